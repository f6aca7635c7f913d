"""From rows in file order to a version's sealed columns, in fixed memory and 4 bytes per person."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.dictionary import write_dictionary
from cleanroom.datasets.files import PlaceWriter
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.tokens import starts_of, tokens_of
from cleanroom.datasets.types import MAX_HOLDERS, Role
from cleanroom.ingestion.errors import PayloadError
from cleanroom.ingestion.merging import Merged, merge_rows, sort_order
from cleanroom.ingestion.records import VALUE_DTYPE, RecordLayout
from cleanroom.ingestion.spool import Records, Spill, Spool, bucket_bits, bucket_of, pick
from cleanroom.ingestion.value_codes import Codes, OpenCategories
from cleanroom.schema.model import NULL_DATE, NULL_INT, AttributeType, ConsentState
from crypto.limits import TOKEN_BYTES

_BLOCK = 131_072
_MAX_PERSONS = (1 << 32) - 1


@dataclass
class Tally:
    """What is counted while columns are written; for the owner's report.

    Attributes:
        persons: persons of the version.
        fill: persons with a value, by attribute.
        distinct: distinct values, by key.
        consent: persons by state, by purpose.
        distinct_values: distinct values, by open category.
        over_shared: records of `JUNK_DTYPE`: values with too many holders.
    """

    persons: int = 0
    fill: dict[str, int] = field(default_factory=dict)
    distinct: dict[str, int] = field(default_factory=dict)
    consent: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    distinct_values: dict[str, int] = field(default_factory=dict)
    over_shared: list[Records] = field(default_factory=list)


class Assembly:
    """Takes rows and writes columns.

    Rows are bucketed by person and merged, persons bucketed by primary token and numbered, the values of each
    key bucketed by token and sorted; what does not fit in memory waits in sealed runs.
    """

    def __init__(
        self,
        layout: RecordLayout,
        *,
        rows: int,
        memory_bytes: int,
        spill: Spill,
        open_categories: OpenCategories | None = None,
    ) -> None:
        """Prepare.

        Args:
            layout: of the dataset's schema.
            rows: how many rows will come at most.
            memory_bytes: how much memory rows in flight may take.
            spill: where runs go.
            open_categories: the codes that rows have; needed when the layout has any.
        """
        self._layout = layout
        self._open = open_categories or OpenCategories(layout.attributes)
        bucket_bytes = memory_bytes // 128
        self._row_bits = bucket_bits(rows * layout.row_dtype.itemsize, bucket_bytes=bucket_bytes)
        self._person_bits = bucket_bits(rows * layout.person_dtype.itemsize, bucket_bytes=bucket_bytes)
        self._rows = Spool(
            layout.row_dtype, buckets=1 << self._row_bits, memory_bytes=memory_bytes * 2 // 5, spill=spill
        )
        self._persons = Spool(
            layout.person_dtype,
            buckets=(len(layout.keys) + 1) << self._person_bits,
            memory_bytes=memory_bytes // 6,
            spill=spill,
        )
        self._value_bits = []
        self._values = []
        for key in layout.keys:
            bits = bucket_bits(rows * key.width * VALUE_DTYPE.itemsize, bucket_bytes=bucket_bytes)
            self._value_bits.append(bits)
            memory = memory_bytes // 6 // len(layout.keys)
            self._values.append(Spool(VALUE_DTYPE, buckets=1 << bits, memory_bytes=memory, spill=spill))
        self._final: dict[int, Codes] = {}
        self.tally = Tally()

    def add(self, rows: Records) -> None:
        """Take rows, in the order of the file."""
        if not self._layout.person:
            self._take(merge_rows(rows, self._layout, first_seq=self.tally.persons))
            return
        for start in range(0, rows.size, _BLOCK):
            block = rows[start : start + _BLOCK]
            self._rows.add(block, bucket_of(block["person_hi"], self._row_bits))

    def write(
        self,
        writer: PlaceWriter,
        *,
        fingerprint: "hmac.HMAC | None" = None,
        progress: Callable[[], None] | None = None,
    ) -> Tally:
        """Merge everything and write the version's columns.

        Args:
            writer: where the columns go.
            fingerprint: of a base: takes each key's distinct tokens with their labels, in sorted order.
            progress: called after each bucket.

        Returns:
            What was counted on the way.
        """
        beat = progress or (lambda: None)
        if self._layout.person:
            for bucket in range(self._rows.buckets):
                self._take(merge_rows(self._rows.read(bucket), self._layout, first_seq=self.tally.persons))
                beat()
        self._rows.close()
        position = np.empty(self.tally.persons, np.uint32)
        labels = np.empty(self.tally.persons if self._layout.label else 0, np.uint8)
        done = 0
        self._write_dictionaries(writer)
        for bucket in range(self._persons.buckets):
            persons = self._persons.read(bucket)
            if persons.size:
                done = self._write_persons(writer, persons, position, labels, done)
                beat()
        if not self.tally.persons:
            # Columns without anybody are columns: a question finds zeros in them and not a missing file.
            self._write_persons(writer, np.empty(0, self._layout.person_dtype), position, labels, 0)
        self._persons.close()
        for index, name in enumerate(self._layout.key_names):
            if fingerprint is not None:
                fingerprint.update(b"key\n" + name.encode() + b"\n")
            self.tally.distinct[name] = 0
            for bucket in range(self._values[index].buckets):
                self._write_values(
                    writer, index, self._values[index].read(bucket), position, labels, fingerprint
                )
                beat()
            self._values[index].close()
        return self.tally

    def close(self) -> None:
        """Remove whatever was spilled."""
        for spool in (self._rows, self._persons, *self._values):
            spool.close()

    def _take(self, merged: Merged) -> None:
        persons = merged.persons
        self.tally.persons += persons.size
        for index, attribute in enumerate(self._layout.attributes):
            if attribute.open:
                self._open.of(attribute.name).keep(persons[f"a{index}"])
        if self.tally.persons > _MAX_PERSONS:
            raise PayloadError(f"A version has at most {_MAX_PERSONS} persons.", remedy="Split the dataset.")
        bucket = persons["rank"].astype(np.uint16) << np.uint16(self._person_bits)
        bucket |= bucket_of(persons["primary"], self._person_bits)
        self._persons.add(persons, bucket)
        for spool, bits, values in zip(self._values, self._value_bits, merged.values, strict=True):
            spool.add(values, bucket_of(values["hi"], bits))

    def _write_dictionaries(self, writer: PlaceWriter) -> None:
        """Settle the codes of open categories, now that it is known whose rows stay."""
        for index, attribute in enumerate(self._layout.attributes):
            if attribute.open:
                self._final[index], values = self._open.of(attribute.name).finish()
                write_dictionary(writer, index, values)
                self.tally.distinct_values[attribute.name] = len(values)

    def _write_persons(
        self,
        writer: PlaceWriter,
        persons: Records,
        position: NDArray[np.uint32],
        labels: NDArray[np.uint8],
        done: int,
    ) -> int:
        persons = pick(persons, np.argsort(persons["primary"]))
        end = done + persons.size
        position[persons["seq"]] = np.arange(done, end, dtype=np.uint32)
        layout = self._layout
        if layout.person:
            writer.write(Role.PERSON_HI, 0, persons["person_hi"])
            writer.write(Role.PERSON_LO, 0, persons["person_lo"])
        for index, attribute in enumerate(layout.attributes):
            values = np.ascontiguousarray(persons[f"a{index}"])
            if attribute.open:
                values = self._final[index][values]
            writer.write(Role.ATTRIBUTE, index, values)
            self.tally.fill[attribute.name] = self.tally.fill.get(attribute.name, 0) + _filled(
                attribute.type, values
            )
        for index, consent in enumerate(layout.consents):
            states = np.ascontiguousarray(persons[f"c{index}"])
            writer.write(Role.CONSENT_STATE, index, states)
            counts = np.bincount(states, minlength=len(ConsentState))
            self.tally.consent[consent.purpose] = self.tally.consent.get(consent.purpose, 0) + counts
            if consent.has_at:
                writer.write(Role.CONSENT_AT, index, persons[f"ca{index}"])
            if consent.has_until:
                writer.write(Role.CONSENT_UNTIL, index, persons[f"cu{index}"])
        if layout.label:
            labels[done:end] = persons["label"]
            writer.write(Role.LABEL, 0, persons["label"])
        return end

    def _write_values(
        self,
        writer: PlaceWriter,
        index: int,
        values: Records,
        position: NDArray[np.uint32],
        labels: NDArray[np.uint8],
        fingerprint: "hmac.HMAC | None",
    ) -> None:
        hi, lo, person = sort_values(values["hi"], values["lo"], position[values["seq"]])
        writer.write(Role.KEY_HI, index, hi)
        writer.write(Role.KEY_LO, index, lo)
        writer.write(Role.KEY_PERSON, index, person)
        if not hi.size:
            return
        starts = starts_of(hi, lo)
        self.tally.distinct[self._layout.key_names[index]] += starts.size
        holders = np.diff(np.append(starts, hi.size))
        over = starts[holders > MAX_HOLDERS]
        if over.size:
            found = np.empty(over.size, JUNK_DTYPE)
            found["key"], found["hi"], found["lo"] = index, hi[over], lo[over]
            found["holders"] = holders[holders > MAX_HOLDERS]
            self.tally.over_shared.append(found)
        if fingerprint is not None:
            # Token and label side by side, so that the buckets leave no trace in it.
            pairs = np.zeros((starts.size, TOKEN_BYTES + 1), np.uint8)
            pairs[:, :TOKEN_BYTES] = np.frombuffer(tokens_of(hi[starts], lo[starts]), np.uint8).reshape(
                -1, TOKEN_BYTES
            )
            if labels.size:
                pairs[:, TOKEN_BYTES] = np.minimum.reduceat(labels[person], starts)
            fingerprint.update(pairs.tobytes())


def sort_values(
    hi: NDArray[np.uint64], lo: NDArray[np.uint64], person: NDArray[np.uint32]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32]]:
    """Sort the holders of a key's values by token; a person that holds a value twice holds it once."""
    order = sort_order(hi, lo)
    hi, lo, person = hi[order], lo[order], person[order]
    same = (hi[1:] == hi[:-1]) & (lo[1:] == lo[:-1])
    if not same.any():
        return hi, lo, person
    shared = np.zeros(hi.size, np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    at = np.flatnonzero(shared)
    person[at] = person[at][np.lexsort((person[at], lo[at], hi[at]))]
    once = np.ones(hi.size, np.bool_)
    once[1:] = ~(same & (person[1:] == person[:-1]))
    return hi[once], lo[once], person[once]


def _filled(kind: AttributeType, values: NDArray[Any]) -> int:
    if kind is AttributeType.SET:
        return int(values.any(axis=1).sum())
    null = {
        AttributeType.INTEGER: NULL_INT,
        AttributeType.DECIMAL: NULL_INT,
        AttributeType.DATE: NULL_DATE,
    }.get(kind, 0)
    return int((values != null).sum())
