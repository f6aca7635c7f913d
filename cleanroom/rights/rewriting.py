"""Writing the files of a version anew without some of its people: block by block, in the order that they have."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock
from cleanroom.datasets.dictionary import read_dictionary, write_dictionary
from cleanroom.datasets.errors import SealedColumnError
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter
from cleanroom.datasets.holders import HolderWriter, read_holders
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import OwnerFigure, Role, SealedFile
from cleanroom.ingestion.columns import filled
from cleanroom.ingestion.metering import Meter
from cleanroom.rights.pairs import Pairs
from cleanroom.schema.layout import stored_column
from cleanroom.schema.model import Attribute, ConsentState, Schema
from cleanroom.storage import ObjectStore
from crypto.keys import WrapKey

_BLOCK = 1 << 20
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Old:
    """A version as it is.

    Attributes:
        place: where its files belong.
        schema: of its dataset.
        reader: of its files.
        files: their list.
        persons: how many it has.
        fingerprint_key: of the workspace, for a base; None for a dataset.
    """

    place: Place
    schema: Schema
    reader: PlaceReader
    files: tuple[SealedFile, ...]
    persons: int
    fingerprint_key: bytes | None


@dataclass(frozen=True)
class New:
    """A version as it will be.

    Attributes:
        files: all of them, each made anew.
        persons: how many are left.
        fingerprint: of a base.
    """

    files: tuple[SealedFile, ...]
    persons: int
    fingerprint: bytes | None


class Rewriting:
    """Rewrites one version; no SQL, and one file at a time, so that memory does not grow with columns."""

    def __init__(
        self, old: Old, keep: Mask, *, store: ObjectStore, kek: WrapKey, clock: Clock, meter: Meter
    ) -> None:
        """Prepare.

        Args:
            old: what is there.
            keep: (persons,) who stays.
            store: where the files go.
            kek: wraps their keys.
            clock: names them.
            meter: counts rows and entries of keys.
        """
        self._old = old
        self._keep = keep
        # Persons keep their order, so the positions of those who stay are counted off.
        self._position = (np.cumsum(keep, dtype=np.uint32) - np.uint32(1)).astype(np.uint32)
        self._store = store
        self._kek = kek
        self._clock = clock
        self._meter = meter
        self._files: list[SealedFile] = []
        self._fill: dict[str, int] = {}
        self._distinct: dict[str, int] = {}
        self._distinct_values: dict[str, int] = {}
        self._consent: dict[str, dict[str, int]] = {}
        self._junk = [self._old.reader.read(Role.JUNK, part, JUNK_DTYPE).copy() for part in (0, 1)]
        # By list, who holds its values: (2, values), of those who stay and of those who go.
        self._held = [np.zeros((2, records.size), np.bool_) for records in self._junk]

    def run(self, **gone: int) -> New:
        """Write every file.

        Args:
            gone: what to add to which field of the owner's report: how many people went, and why.

        Raises:
            BaseException: whatever stands in the way; what was written so far is removed again.
        """
        try:
            schema = self._old.schema
            for role in (Role.PERSON_HI, Role.PERSON_LO):
                if self._old.reader.has(role):
                    self._copy(role, 0, "<u8")
            for index, attribute in enumerate(schema.attributes):
                self._attribute(index, attribute)
            self._consents()
            if self._old.reader.has(Role.LABEL):
                self._copy(Role.LABEL, 0, "u1")
            fingerprint = self._keys()
            self._lists(gone)
            self._require_all()
        except BaseException:
            self.discard()
            raise
        return New(tuple(self._files), int(self._keep.sum()), fingerprint)

    def discard(self) -> None:
        """Remove what was written."""
        for file in self._files:
            self._store.delete(file.object_key)
        self._files.clear()

    def _require_all(self) -> None:
        """Refuse to drop a kind of file that this class does not know."""
        old, new = ({(file.role, file.column) for file in files} for files in (self._old.files, self._files))
        if old != new:
            raise SealedColumnError(
                "A version has files that cannot be written anew.", remedy="Bring the room up to date."
            )

    def _writer(self) -> PlaceWriter:
        return PlaceWriter(self._store, self._old.place, kek=self._kek, clock=self._clock)

    def _blocks(self, role: Role, column: int, dtype: Any, words: int = 1) -> Iterator[NDArray[Any]]:
        """Give the items of those who stay; one block at least, as a column without anybody is a column."""
        for start in range(0, max(self._old.persons, 1), _BLOCK):
            stop = min(start + _BLOCK, self._old.persons)
            items = self._old.reader.read_rows(role, column, dtype, start * words, stop * words)
            yield items.reshape(-1, words)[self._keep[start:stop]]

    def _copy(self, role: Role, column: int, dtype: Any) -> None:
        with self._writer() as writer:
            for block in self._blocks(role, column, dtype):
                writer.write(role, column, np.ascontiguousarray(block))
        self._files += writer.files

    def _attribute(self, index: int, attribute: Attribute) -> None:
        spec = stored_column(attribute)
        kind = np.dtype(spec.dtype)
        if kind.kind == "i":
            kind = self._old.reader.number_kind(Role.ATTRIBUTE, index, kind, self._old.persons)
        codes = self._dictionary(index, attribute) if attribute.open else None
        count = 0
        with self._writer() as writer:
            for block in self._blocks(Role.ATTRIBUTE, index, kind, spec.width):
                values = np.ascontiguousarray(block)
                if codes is not None:
                    values = codes[values]
                # A set is a row of words, whatever their number; every other value is one item.
                wide = len(spec.shape(1)) > 1
                count += filled(attribute.type, values if wide else values.reshape(-1))
                writer.write(Role.ATTRIBUTE, index, values)
        self._files += writer.files
        self._fill[attribute.name] = count

    def _dictionary(self, index: int, attribute: Attribute) -> NDArray[np.uint32]:
        """Write an open category's values without those that nobody has any more; returns the new codes."""
        values = read_dictionary(self._old.reader, index)
        used = np.zeros(len(values) + 1, np.bool_)
        for block in self._blocks(Role.ATTRIBUTE, index, "<u4"):
            used[block.reshape(-1)] = True
        used[0] = False
        codes = np.cumsum(used, dtype=np.uint32)
        codes[0] = 0
        left = [value for code, value in enumerate(values, 1) if used[code]]
        with self._writer() as writer:
            write_dictionary(writer, index, left)
        self._files += writer.files
        self._distinct_values[attribute.name] = len(left)
        return codes

    def _consents(self) -> None:
        for index, consent in enumerate(self._old.schema.consents):
            states = np.zeros(len(ConsentState), np.int64)
            with self._writer() as writer:
                for block in self._blocks(Role.CONSENT_STATE, index, "u1"):
                    states += np.bincount(block.reshape(-1), minlength=len(ConsentState))
                    writer.write(Role.CONSENT_STATE, index, np.ascontiguousarray(block))
            self._files += writer.files
            self._consent[consent.purpose] = {
                state.name.lower(): int(states[state]) for state in ConsentState
            }
            if consent.collected_at:
                self._copy(Role.CONSENT_AT, index, "<i8")
            if consent.expires_at:
                self._copy(Role.CONSENT_UNTIL, index, "<i4")
        self._meter.add(self._old.persons)

    def _keys(self) -> bytes | None:
        old, mac = self._old, None
        labels = np.empty(0, np.uint8)
        if old.fingerprint_key is not None:
            label = old.schema.label
            mac = hmac.new(old.fingerprint_key, b"cleanroom/base/v1\n", hashlib.sha256)
            named = {"keys": list(old.schema.key_names), "labels": list(label.values) if label else []}
            mac.update(canonical_json(named) + b"\n")
            if label:
                labels = old.reader.read(Role.LABEL, 0, "u1")[self._keep]
        for column, name in enumerate(old.schema.key_names):
            if mac is not None:
                mac.update(b"key\n" + name.encode() + b"\n")
            self._key(column, name, Pairs(labels, mac))
        return mac.digest() if mac is not None else None

    def _key(self, column: int, name: str, pairs: Pairs) -> None:
        reader, start = self._old.reader, 0
        with self._writer() as writer:
            holders = HolderWriter(writer, column)
            while True:
                hi = reader.read_rows(Role.KEY_HI, column, "<u8", start, start + _BLOCK)
                lo = reader.read_rows(Role.KEY_LO, column, "<u8", start, start + _BLOCK)
                person = read_holders(reader, column, start, start + _BLOCK)
                stays = self._keep[person]
                self._note_junk(column, hi, stays)
                hi, lo, person = hi[stays], lo[stays], self._position[person[stays]]
                writer.write(Role.KEY_HI, column, hi)
                writer.write(Role.KEY_LO, column, lo)
                holders.write(person)
                pairs.add(hi, lo, person)
                self._meter.add(stays.size)
                if stays.size < _BLOCK:
                    break
                start += _BLOCK
        self._files += writer.files
        self._distinct[name] = pairs.finish()

    def _note_junk(self, column: int, hi: NDArray[np.uint64], stays: Mask) -> None:
        """Count the holders of listed values who stay, and those who go, in the lists' own records."""
        for records, held in zip(self._junk, self._held, strict=True):
            own = np.flatnonzero(records["key"] == column)
            listed = records["hi"][own]
            for part, row in ((stays, 0), (~stays, 1)):
                held[row, own[np.isin(listed, hi[part])]] = True

    def _lists(self, gone: dict[str, int]) -> None:
        """Write the junk lists and the report; a listed value goes when all who held it did."""
        known, waiting = self._junk
        left, orphaned = (~held[0] & held[1] for held in self._held)
        with self._writer() as writer:
            writer.write(Role.JUNK, 0, known[~left])
            # The list keeps its places, so that a report's handles stay good.
            waiting[orphaned] = np.zeros((), JUNK_DTYPE)
            writer.write(Role.JUNK, 1, waiting)
            writer.write(Role.REPORT, 0, canonical_json(self._report(gone).to_dict()))
        self._files += writer.files

    def _report(self, gone: dict[str, int]) -> OwnerFigure:
        report = OwnerFigure.from_dict(json.loads(self._old.reader.read_bytes(Role.REPORT)))
        counted: dict[str, Any] = {name: getattr(report, name) + count for name, count in gone.items()}
        return replace(
            report,
            persons=int(self._keep.sum()),
            fill=self._fill,
            distinct=self._distinct,
            distinct_values=self._distinct_values,
            consent=self._consent,
            **counted,
        )


def rows_of(old: Old) -> int:
    """Return how many rows and entries of keys a version has: what a `Meter` counts."""
    entries = (old.reader.size(Role.KEY_HI, column) // 8 for column in range(len(old.schema.key_names)))
    return old.persons + sum(entries)
