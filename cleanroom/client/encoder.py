"""Turns batches of text rows into the payload's columns, and says which rows are rejected and why."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cleanroom.client.attributes import (
    Mask,
    encode_attribute,
    encode_consent,
    encode_instants,
    encode_labels,
    encode_last_days,
)
from cleanroom.client.hashing import Digests
from cleanroom.client.identifiers import (
    hash_column,
    is_junk,
    normal_form,
    normalise_column,
    parse_hashed_column,
)
from cleanroom.client.lazy_rows import RowBatch
from cleanroom.schema.batch import Columns
from cleanroom.schema.layout import Mode, reasons
from cleanroom.schema.model import MatchKey, Schema
from crypto.hash_profiles import HashProfile, hash_profile, parse_hashed

OP_COLUMN = "_op"
_OPS = {"add": 0, "replace": 0, "delete": 1}
_KEPT = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class EncodedBatch:
    """Rows ready to be written.

    Attributes:
        columns: of the kept rows, as the layout asks.
        rejected: number and reason of the rows left out, ascending.
        invalid: identifiers left out of kept rows, by key.
        junk: well-known junk identifiers in kept rows, by key.
    """

    columns: Columns
    rejected: list[tuple[int, str]]
    invalid: dict[str, int]
    junk: dict[str, int]


@dataclass(frozen=True)
class _Key:
    digests: dict[str, NDArray[np.uint8]]
    present: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    junk: NDArray[np.bool_]


class RowEncoder:
    """Encodes the batches of one file; without state, so batches may be encoded side by side."""

    def __init__(self, schema: Schema, mode: Mode) -> None:
        self._schema = schema
        self._mode = mode
        self._reasons = reasons(schema)
        self._codes = {reason: code for code, reason in enumerate(self._reasons)}

    def encode(self, batch: RowBatch) -> EncodedBatch:
        """Encode one batch.

        Raises:
            MalformedDigestError: no value of a hashed key in the first rows is a digest of its profile.
        """
        schema, frame = self._schema, batch.frame
        rejects = _Rejects(batch.rows.size, self._codes)
        columns: Columns = {"row": batch.rows}
        if schema.person_id:
            person = frame[schema.person_id]
            if (person.str.len_bytes() != person.str.len_chars()).any():
                person = person.str.normalize("NFC")
            columns["person"] = hash_column(person, profile=hash_profile("room"))
            rejects.mark("missing_person_id", person.is_null().to_numpy())
        if self._mode == "delta":
            self._ops(frame, columns, rejects)
        keys = {key.name: self._key(key, batch) for key in schema.match_keys}
        for one in keys.values():
            columns |= one.digests
        self._attributes(frame, columns, rejects)
        self._consents(frame, columns, rejects)
        if schema.label:
            label = encode_labels(frame[schema.label.column], schema.label.values)
            columns["label"] = label.array
            rejects.mark("unknown_label", label.bad)
        valid = np.logical_or.reduce([one.valid.any(axis=1) for one in keys.values()])
        rejects.mark("no_valid_key", ~valid)
        if self._mode == "delta":
            # A deletion needs to say who, nothing else.
            rejects.forgive(columns["op"] == _OPS["delete"], ("unknown_op", "missing_person_id"))
        kept = rejects.kept
        return EncodedBatch(
            columns=columns if kept.all() else {name: array[kept] for name, array in columns.items()},
            rejected=sorted(batch.rejected + self._named(batch, rejects)),
            invalid={
                name: n for name, one in keys.items() if (n := int((one.present & ~one.valid)[kept].sum()))
            },
            junk={name: n for name, one in keys.items() if (n := int(one.junk[kept].sum()))},
        )

    def _named(self, batch: RowBatch, rejects: "_Rejects") -> list[tuple[int, str]]:
        out = ~rejects.kept
        return [
            (row, self._reasons[code])
            for row, code in zip(batch.rows[out].tolist(), rejects.codes[out].tolist(), strict=True)
        ]

    def _ops(self, frame: pl.DataFrame, columns: Columns, rejects: "_Rejects") -> None:
        if OP_COLUMN not in frame.columns:
            columns["op"] = np.zeros(frame.height, dtype=np.uint8)
            return
        ops = (
            frame[OP_COLUMN]
            .str.to_lowercase()
            .replace_strict(list(_OPS), list(_OPS.values()), default=None, return_dtype=pl.UInt8)
        )
        columns["op"] = ops.fill_null(0).to_numpy()
        rejects.mark("unknown_op", ops.is_null().to_numpy())

    def _key(self, key: MatchKey, batch: RowBatch) -> _Key:
        values = [batch.frame[column] for column in key.columns]
        present = np.column_stack([one.is_not_null().to_numpy() for one in values])
        if key.form == "hashed":
            profile = hash_profile(key.hash_profile)
            parsed = np.stack([parse_hashed_column(one, profile=profile) for one in values], axis=1)
            valid = np.asarray(parsed.any(axis=2))
            if present.any() and not valid.any() and batch.rows[0] == 1:
                # Not a few bad cells but another form than declared: say which, at once.
                first = next(one.drop_nulls()[0] for one in values if one.null_count() < one.len())
                parse_hashed(profile, first)
            return _Key({f"key:{key.qualified_names[0]}": parsed}, present, valid, np.zeros_like(present))
        digests: dict[str, list[Digests]] = {f"key:{name}": [] for name in key.qualified_names}
        valid, junk = np.zeros_like(present), np.zeros_like(present)
        for index, one in enumerate(values):
            forms: dict[HashProfile, pl.Series] = {}
            for name, profile in zip(digests, map(hash_profile, key.profiles), strict=True):
                form = normal_form(profile)
                if form not in forms:
                    forms[form] = normalise_column(
                        one, profile=profile, identifier=key.identifier, default_region=key.default_region
                    )
                digests[name].append(hash_column(forms[form], profile=profile))
            declared = forms[normal_form(hash_profile(key.hash_profile))]
            valid[:, index] = declared.is_not_null().to_numpy()
            junk[:, index] = is_junk(declared, key.identifier).to_numpy()
        stacked = {
            name: columns[0][:, np.newaxis] if len(columns) == 1 else np.stack(columns, axis=1)
            for name, columns in digests.items()
        }
        return _Key(stacked, present, valid, junk)

    def _attributes(self, frame: pl.DataFrame, columns: Columns, rejects: "_Rejects") -> None:
        for attribute in self._schema.attributes:
            encoded = encode_attribute(frame[attribute.column], attribute)
            columns[f"attr:{attribute.name}"] = encoded.array
            rejects.mark(f"bad_value:{attribute.name}", encoded.bad)
            if encoded.too_many is not None:
                rejects.mark(f"too_many_values:{attribute.name}", encoded.too_many)
            if encoded.too_long is not None:
                rejects.mark(f"too_long:{attribute.name}", encoded.too_long)

    def _consents(self, frame: pl.DataFrame, columns: Columns, rejects: "_Rejects") -> None:
        for consent in self._schema.consents:
            purpose = consent.purpose
            columns[f"consent:{purpose}"] = encode_consent(frame[consent.column], consent)
            if consent.collected_at:
                instants = encode_instants(frame[consent.collected_at])
                columns[f"consent_at:{purpose}"] = instants.array
                rejects.mark(f"bad_consent_date:{purpose}", instants.bad)
            if consent.expires_at:
                days = encode_last_days(frame[consent.expires_at])
                columns[f"consent_until:{purpose}"] = days.array
                rejects.mark(f"bad_consent_date:{purpose}", days.bad)


class _Rejects:
    """The reason per row; the lowest code of those that apply."""

    def __init__(self, rows: int, codes: dict[str, int]) -> None:
        self.codes = np.full(rows, _KEPT, dtype=np.uint16)
        self._by_reason = codes

    @property
    def kept(self) -> Mask:
        return np.asarray(self.codes == _KEPT)

    def mark(self, reason: str, rows: Mask) -> None:
        if rows.any():
            self.codes[rows] = np.minimum(self.codes[rows], self._by_reason[reason])

    def forgive(self, rows: Mask, except_for: tuple[str, ...]) -> None:
        fatal = np.isin(self.codes, [self._by_reason[reason] for reason in except_for])
        self.codes[rows & ~fatal] = _KEPT
