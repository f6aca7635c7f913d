"""From a frame of digests and codes to rows of tokens: validated again here, bad rows left out by reason."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.tokens import token_halves
from cleanroom.ingestion.errors import PayloadError
from cleanroom.ingestion.records import OP_DELETE, OP_UPSERT, RecordLayout
from cleanroom.ingestion.spool import Records, pick
from cleanroom.ingestion.value_codes import BAD, OpenCategories
from cleanroom.schema.batch import MAX_REJECTS, PreparedBatch
from cleanroom.schema.model import Attribute, AttributeType, ConsentState

Bools = NDArray[np.bool_]
LeftOut = tuple[str, NDArray[np.uint64]]
_MAX_NUMBER = 1 << 62


@dataclass
class Quarantine:
    """Rows left out: how many by reason, and where the first ones are.

    Attributes:
        counts: by reason.
        rows: (row number, reason) of the first 10,000.
    """

    counts: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[int, str]] = field(default_factory=list)

    def add(self, numbers: NDArray[np.uint64], reason: str) -> None:
        """Take rows out for a reason."""
        self.counts[reason] += numbers.size
        room = MAX_REJECTS - len(self.rows)
        self.rows += [(int(number), reason) for number in numbers[: max(room, 0)]]


@dataclass(frozen=True)
class Converted:
    """What became of a frame.

    Attributes:
        rows: that passed, in the file's order.
        left_out: reasons, and the numbers of the rows left out for them.
    """

    rows: Records
    left_out: list[LeftOut]


class FrameReader:
    """Turns frames into records under a workspace's token keys."""

    def __init__(
        self,
        layout: RecordLayout,
        *,
        keys: Mapping[str, bytes],
        person_key: bytes | None,
        latest_consent: int = np.iinfo(np.int64).max,
        open_categories: OpenCategories | None = None,
    ) -> None:
        """Prepare.

        Args:
            layout: of the dataset's schema.
            keys: 32-byte token keys by the key's name in the room.
            person_key: the token key of person_id, when the schema declares one.
            latest_consent: microseconds since 1970 after which no consent can have been collected yet.
            open_categories: gives their values codes; needed when the layout has any.
        """
        self._layout = layout
        self._keys = keys
        self._person_key = person_key
        self._latest_consent = latest_consent
        self._open = open_categories or OpenCategories(layout.attributes)
        self._last_row = 0
        self.quarantine = Quarantine()

    def rows(self, batch: PreparedBatch) -> Records:
        """Validate and tokenise one frame; see `check`, `convert` and `note`.

        Returns:
            The rows that passed, in the file's order.
        """
        self.check(batch)
        return self.note(self.convert(batch))

    def check(self, batch: PreparedBatch) -> None:
        """Check that a frame follows the one before; raises PayloadError when row numbers do not ascend."""
        numbers = batch.columns["row"]
        if int(numbers[0]) <= self._last_row or (numbers[1:] <= numbers[:-1]).any():
            raise PayloadError("The payload's row numbers do not ascend.", remedy="Prepare the file again.")
        self._last_row = int(numbers[-1])

    def note(self, converted: Converted) -> Records:
        """Count what was left out, in the file's order; returns the rows that passed."""
        for reason, numbers in converted.left_out:
            self.quarantine.add(numbers, reason)
        return converted.rows

    def convert(self, batch: PreparedBatch) -> Converted:
        """Validate and tokenise a frame, or a part of one; any thread may.

        Args:
            batch: with the columns of the dataset's layout.

        Raises:
            PayloadError: open categories have too many values.
        """
        layout = self._layout
        columns = dict(batch.columns)
        for name in (f"attr:{attribute.name}" for attribute in layout.attributes if attribute.open):
            columns[name] = self._open.encode(name.removeprefix("attr:"), columns[name])
        ops = columns.get("op", np.zeros(batch.rows, np.uint8))
        present = {key.name: _present(columns[f"key:{key.name}"]) for key in layout.keys}
        kept, left_out = self._validate(columns, ops, present)
        made = np.empty(batch.rows, layout.row_dtype)
        made["op"] = ops
        if self._person_key is not None:
            halves = token_halves(columns["person"], key=self._person_key)
            made["person_hi"], made["person_lo"] = halves[:, 0], halves[:, 1]
        for index, key in enumerate(layout.keys):
            halves = token_halves(columns[f"key:{key.name}"], key=self._keys[key.name])
            halves = halves.reshape(batch.rows, key.width, 2)
            if not present[key.name].all():
                halves[~present[key.name]] = 0
            made[f"k{index}"] = halves
        for index, attribute in enumerate(layout.attributes):
            made[f"a{index}"] = columns[f"attr:{attribute.name}"].reshape(made[f"a{index}"].shape)
        for index, consent in enumerate(layout.consents):
            made[f"c{index}"] = columns[f"consent:{consent.purpose}"]
            if consent.has_at:
                made[f"ca{index}"] = columns[f"consent_at:{consent.purpose}"]
            if consent.has_until:
                made[f"cu{index}"] = columns[f"consent_until:{consent.purpose}"]
        if layout.label:
            made["label"] = columns["label"]
        return Converted(made if kept.all() else pick(made, np.flatnonzero(kept)), left_out)

    def _validate(
        self, columns: Mapping[str, NDArray[Any]], ops: NDArray[np.uint8], present: Mapping[str, Bools]
    ) -> tuple[Bools, list[LeftOut]]:
        numbers = columns["row"]
        upsert = ops != OP_DELETE
        bad: list[tuple[str, Bools]] = [("unknown_op", ops > OP_DELETE)]
        if self._layout.person:
            bad.append(("missing_person_id", ~_present(columns["person"])))
        if self._layout.label:
            labels = columns["label"]
            bad.append(("unknown_label", ((labels == 0) | (labels > self._layout.label)) & upsert))
        for attribute in self._layout.attributes:
            bad += [
                (reason, rows & upsert)
                for reason, rows in _bad_values(attribute, columns[f"attr:{attribute.name}"])
            ]
        for consent in self._layout.consents:
            states = columns[f"consent:{consent.purpose}"]
            bad.append((f"bad_consent:{consent.purpose}", (states > max(ConsentState)) & upsert))
            if consent.has_at:
                late = columns[f"consent_at:{consent.purpose}"] > self._latest_consent
                bad.append((f"bad_consent_date:{consent.purpose}", late & upsert))
        any_key: Bools = np.logical_or.reduce([column for rows in present.values() for column in rows.T])
        bad.append(("no_valid_key", ~any_key & (ops == OP_UPSERT)))
        kept = np.ones(numbers.size, np.bool_)
        left_out: list[LeftOut] = []
        for reason, rows in bad:
            # A reason that nobody gives costs one look.
            if rows.any() and (out := rows & kept).any():
                left_out.append((reason, numbers[out]))
                kept &= ~out
        return kept, left_out


def _present(digests: NDArray[np.uint8]) -> Bools:
    """Tell which digests are not all zero; the last axis is their 32 bytes."""
    words: NDArray[np.uint64] = digests.view(np.uint64)
    found: Bools = words[..., 0] != 0
    # Hardly any digest begins with eight zeros, so this is looked at only when some are missing.
    if not found.all():
        found |= (words[..., 1] | words[..., 2] | words[..., 3]) != 0
    return found


def _bad_values(attribute: Attribute, values: NDArray[Any]) -> list[tuple[str, Bools]]:
    name = f"bad_value:{attribute.name}"
    if attribute.type in (AttributeType.INTEGER, AttributeType.DECIMAL):
        # The lowest number stands for "no value"; the bound keeps sums of a few rows inside 64 bits.
        null = values == np.iinfo(np.int64).min
        return [(name, ~null & ((values > _MAX_NUMBER) | (values < -_MAX_NUMBER)))]
    if attribute.type is AttributeType.DATE:
        return []
    if attribute.open:
        return [(name, values == BAD)]
    codes = 2 if attribute.type is AttributeType.BOOLEAN else len(attribute.values) + 1
    if attribute.type is not AttributeType.SET:
        return [(name, values > codes)]
    allowed = np.zeros(values.shape[1], np.uint64)
    for bit in range(codes):
        allowed[bit // 64] |= np.uint64(1 << bit % 64)
    held = np.bitwise_count(values).sum(axis=1)
    return [
        (name, (values & ~allowed).any(axis=1)),
        (f"too_many_values:{attribute.name}", held > attribute.max_values),
    ]
