"""The published version as rows again, for a delta to change."""

from collections.abc import Iterator

import numpy as np

from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.holders import read_holders
from cleanroom.datasets.numbers import as_kind
from cleanroom.datasets.types import Role
from cleanroom.ingestion.records import OP_EARLIER, VALUE_DTYPE, RecordLayout
from cleanroom.ingestion.spool import Records, Spill, Spool, pick
from cleanroom.schema.layout import stored_column
from cleanroom.schema.model import NULL_INT

_BLOCK = 131_072
_ENTRIES = 1 << 20


class PreviousRows:
    """Gives a version's persons back as rows, block by block.

    A person with more values of a key than the file has columns takes several rows: all repeat what the last
    row decides, and only the first carries what adds up.
    """

    def __init__(
        self, layout: RecordLayout, reader: PlaceReader, persons: int, memory_bytes: int, spill: Spill
    ) -> None:
        self._layout = layout
        self._reader = reader
        self._persons = persons
        self._memory_bytes = memory_bytes
        self._spill = spill

    def __iter__(self) -> Iterator[Records]:
        """Yield rows of `layout.row_dtype`, all marked as earlier ones."""
        per_bucket = max(_BLOCK, -(-self._persons // 60_000))
        buckets = max(1, -(-self._persons // per_bucket))
        spools = [self._by_person(index, per_bucket, buckets) for index in range(len(self._layout.keys))]
        try:
            for bucket in range(buckets):
                start = bucket * per_bucket
                stop = min(start + per_bucket, self._persons)
                yield self._rows(start, stop, [spool.read(bucket) for spool in spools])
        finally:
            for spool in spools:
                spool.close()

    def _by_person(self, index: int, per_bucket: int, buckets: int) -> Spool:
        memory = self._memory_bytes // 5 // len(self._layout.keys)
        spool = Spool(VALUE_DTYPE, buckets=buckets, memory_bytes=memory, spill=self._spill)
        start = 0
        while True:
            stop = start + _ENTRIES
            person = read_holders(self._reader, index, start, stop)
            if not person.size:
                return spool
            values = np.empty(person.size, VALUE_DTYPE)
            values["hi"] = self._reader.read_rows(Role.KEY_HI, index, "<u8", start, stop)
            values["lo"] = self._reader.read_rows(Role.KEY_LO, index, "<u8", start, stop)
            values["seq"] = person
            spool.add(values, (person // per_bucket).astype(np.uint16))
            start = stop

    def _rows(self, start: int, stop: int, values: list[Records]) -> Records:
        layout, count = self._layout, stop - start
        needed = np.ones(count, np.int64)
        held = []
        for key, records in zip(layout.keys, values, strict=True):
            owner = records["seq"] - np.uint32(start)
            order = np.argsort(owner, kind="stable")
            owner = owner[order]
            held_each = np.bincount(owner, minlength=count)
            nth = np.arange(owner.size) - (np.cumsum(held_each) - held_each)[owner]
            needed = np.maximum(needed, -(-held_each // key.width))
            held.append((owner, nth, pick(records, order)))
        offset = np.concatenate(([0], np.cumsum(needed)))
        person = np.repeat(np.arange(count), needed)
        rows = np.zeros(person.size, layout.row_dtype)
        rows["op"] = OP_EARLIER
        self._fill(rows, start, stop, person)
        repeated = np.ones(person.size, np.bool_)
        repeated[offset[:-1]] = False
        for index, attribute in enumerate(layout.attributes):
            if attribute.aggregate == "sum":
                rows[f"a{index}"][repeated] = NULL_INT
        for index, (key, (owner, nth, records)) in enumerate(zip(layout.keys, held, strict=True)):
            at = offset[owner] + nth // key.width
            rows[f"k{index}"][at, nth % key.width, 0] = records["hi"]
            rows[f"k{index}"][at, nth % key.width, 1] = records["lo"]
        return rows

    def _fill(
        self, rows: Records, start: int, stop: int, person: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> None:
        """Copy what the persons keep, each person's columns into all its rows."""
        reader = self._reader
        rows["person_hi"] = reader.read_rows(Role.PERSON_HI, 0, "<u8", start, stop)[person]
        rows["person_lo"] = reader.read_rows(Role.PERSON_LO, 0, "<u8", start, stop)[person]
        for index, attribute in enumerate(self._layout.attributes):
            spec = stored_column(attribute)
            words = spec.width
            kind = np.dtype(spec.dtype)
            if kind.kind == "i":
                kept = reader.number_kind(Role.ATTRIBUTE, index, kind, self._persons)
                flat = as_kind(reader.read_rows(Role.ATTRIBUTE, index, kept, start, stop), kind)
            else:
                flat = reader.read_rows(Role.ATTRIBUTE, index, kind, start * words, stop * words)
            target = rows[f"a{index}"]
            target[...] = flat.reshape(stop - start, *target.shape[1:])[person]
        for index, consent in enumerate(self._layout.consents):
            rows[f"c{index}"] = reader.read_rows(Role.CONSENT_STATE, index, "u1", start, stop)[person]
            if consent.has_at:
                rows[f"ca{index}"] = reader.read_rows(Role.CONSENT_AT, index, "<i8", start, stop)[person]
            if consent.has_until:
                rows[f"cu{index}"] = reader.read_rows(Role.CONSENT_UNTIL, index, "<i4", start, stop)[person]
        if self._layout.label:
            rows["label"] = reader.read_rows(Role.LABEL, 0, "u1", start, stop)[person]
