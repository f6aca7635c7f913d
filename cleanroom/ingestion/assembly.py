"""From rows in file order to a version's sealed columns, in fixed memory and 4 bytes per person."""

import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.dictionary import write_dictionary
from cleanroom.datasets.files import PlaceWriter
from cleanroom.datasets.holders import HolderWriter
from cleanroom.datasets.types import Role
from cleanroom.ingestion.columns import Holders, NumberBounds, PersonColumns, holders_of, person_columns
from cleanroom.ingestion.errors import PayloadError
from cleanroom.ingestion.merging import merge_rows
from cleanroom.ingestion.records import VALUE_DTYPE, RecordLayout
from cleanroom.ingestion.spool import Block, Records, Spill, Spool, bucket_bits, bucket_of
from cleanroom.ingestion.value_codes import Codes, OpenCategories
from cleanroom.parallel import Result, in_order

_BLOCK = 65_536
"""Rows arranged at a time: few enough for the processor's cache, and many against the cost of a call."""
_BUCKET_BYTES = 1 << 21
"""A bucket is sorted in the processor's cache, more than twice as fast as outside it."""
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


@dataclass(frozen=True)
class Arranged:
    """Rows of persons yet to be merged, or merged persons (numbered from 0) with the holders of each key."""

    rows: tuple[Block, ...] = ()
    persons: Block | None = None
    values: tuple[Block, ...] = ()


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
        pool: Executor | None = None,
    ) -> None:
        """Prepare.

        Args:
            layout: of the dataset's schema.
            rows: how many rows will come at most.
            memory_bytes: how much memory rows in flight may take.
            spill: where runs go.
            open_categories: the codes that rows have; needed when the layout has any.
            pool: threads that sort while the caller's writes; None: the caller's does both.
        """
        self._layout = layout
        self._open = open_categories or OpenCategories(layout.attributes)
        self._pool = pool
        bucket_bytes = min(memory_bytes // 128, _BUCKET_BYTES)
        # Rows of one person each are never held as rows, and leave their share to the others.
        share = memory_bytes // 6 if layout.person else memory_bytes * 3 // 8
        self._row_bits = bucket_bits(rows * layout.row_dtype.itemsize, bucket_bytes=bucket_bytes)
        ranks = len(layout.keys) + 1
        self._person_bits = bucket_bits(
            rows * layout.person_dtype.itemsize, bucket_bytes=bucket_bytes, ranks=ranks
        )
        self._rows = Spool(
            layout.row_dtype, buckets=1 << self._row_bits, memory_bytes=memory_bytes * 2 // 5, spill=spill
        )
        self._persons = Spool(
            layout.person_dtype,
            buckets=ranks << self._person_bits,
            memory_bytes=share,
            spill=spill,
        )
        self._value_bits = []
        self._values = []
        for key in layout.keys:
            bits = bucket_bits(rows * key.width * VALUE_DTYPE.itemsize, bucket_bytes=bucket_bytes)
            self._value_bits.append(bits)
            memory = share // len(layout.keys)
            self._values.append(Spool(VALUE_DTYPE, buckets=1 << bits, memory_bytes=memory, spill=spill))
        self._final: dict[int, Codes] = {}
        self._bounds = NumberBounds(layout)
        self.tally = Tally()

    def arrange(self, rows: Records) -> Arranged:
        """Do with rows what does not depend on other rows; any thread may."""
        if not self._layout.person:
            return self._merge(rows)
        blocks = (rows[start : start + _BLOCK] for start in range(0, rows.size, _BLOCK))
        return Arranged(
            rows=tuple(
                self._rows.arrange(block, bucket_of(block["person_hi"], self._row_bits)) for block in blocks
            )
        )

    def take(self, arranged: Arranged) -> None:
        """Take rows that were arranged, in the order of the file."""
        for block in arranged.rows:
            self._rows.hold(block)
        if arranged.persons is not None:
            self._hold(arranged.persons, arranged.values)

    def add(self, rows: Records) -> None:
        """Arrange and take rows, in the order of the file."""
        self.take(self.arrange(rows))

    def write(
        self,
        writer: PlaceWriter,
        *,
        fingerprint: "hmac.HMAC | None" = None,
        progress: Callable[[float], None] | None = None,
    ) -> Tally:
        """Merge everything and write the version's columns.

        Args:
            writer: where the columns go.
            fingerprint: of a base: takes each key's distinct tokens with their labels, in sorted order.
            progress: called after each bucket with the share of this work that is done.

        Returns:
            What was counted on the way.
        """
        stages = _Stages(progress, int(self._layout.person) + 1 + len(self._values))
        if self._layout.person:
            buckets = range(self._rows.buckets)
            for arranged in stages.over(in_order(self._pool, self._merge_bucket, buckets), len(buckets)):
                self.take(arranged)
        self._rows.close()
        position = np.empty(self.tally.persons, np.uint32)
        labels = np.empty(self.tally.persons if self._layout.label else 0, np.uint8)
        self._write_dictionaries(writer)
        self._write_persons(writer, position, labels, stages)
        self._persons.close()
        for index, name in enumerate(self._layout.key_names):
            if fingerprint is not None:
                fingerprint.update(b"key\n" + name.encode() + b"\n")
            self.tally.distinct[name] = 0
            self._write_values(writer, index, position, labels, fingerprint, stages)
            self._values[index].close()
        return self.tally

    def close(self) -> None:
        """Remove whatever was spilled."""
        for spool in (self._rows, self._persons, *self._values):
            spool.close()

    def _merge_bucket(self, bucket: int) -> Arranged:
        return self._merge(self._rows.read(bucket))

    def _merge(self, rows: Records) -> Arranged:
        merged = merge_rows(rows, self._layout, first_seq=0)
        persons = merged.persons
        self._bounds.note(persons)
        bucket = persons["rank"].astype(np.uint16) << np.uint16(self._person_bits)
        bucket |= bucket_of(persons["primary"], self._person_bits)
        return Arranged(
            persons=self._persons.arrange(persons, bucket),
            values=tuple(
                spool.arrange(values, bucket_of(values["hi"], bits))
                for spool, bits, values in zip(self._values, self._value_bits, merged.values, strict=True)
            ),
        )

    def _hold(self, persons: Block, values: tuple[Block, ...]) -> None:
        """Number persons in order of arrival and hold them."""
        first = np.uint32(self.tally.persons)
        self.tally.persons += persons.records.size
        if self.tally.persons > _MAX_PERSONS:
            raise PayloadError(f"A version has at most {_MAX_PERSONS} persons.", remedy="Split the dataset.")
        for index, attribute in enumerate(self._layout.attributes):
            if attribute.open:
                self._open.of(attribute.name).keep(persons.records[f"a{index}"])
        for block, spool in zip((persons, *values), (self._persons, *self._values), strict=True):
            block.records["seq"] += first
            spool.hold(block)

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
        position: NDArray[np.uint32],
        labels: NDArray[np.uint8],
        stages: "_Stages",
    ) -> None:
        sizes = self._persons.sizes()
        first = np.concatenate(([0], np.cumsum(sizes)))

        kinds = self._bounds.kinds()

        def columns(bucket: int) -> PersonColumns:
            # Buckets number disjoint persons, so several threads may fill `position` and `labels` at once.
            persons = self._persons.read(bucket)
            return person_columns(
                persons,
                self._layout,
                self._final,
                kinds,
                int(first[bucket]),
                position=position,
                labels=labels,
            )

        # Columns without anybody are columns: a question finds zeros in them and not a missing file.
        buckets = np.flatnonzero(sizes).tolist() or [0]
        for made in stages.over(in_order(self._pool, columns, buckets), len(buckets)):
            for role, column, data in made.columns:
                writer.write(role, column, data)
            for name, count in made.fill.items():
                self.tally.fill[name] = self.tally.fill.get(name, 0) + count
            for purpose, counts in made.consent.items():
                self.tally.consent[purpose] = self.tally.consent.get(purpose, 0) + counts

    def _write_values(
        self,
        writer: PlaceWriter,
        index: int,
        position: NDArray[np.uint32],
        labels: NDArray[np.uint8],
        fingerprint: "hmac.HMAC | None",
        stages: "_Stages",
    ) -> None:
        def holders(bucket: int) -> Holders:
            values = self._values[index].read(bucket)
            return holders_of(values, index, position=position, labels=labels, paired=fingerprint is not None)

        holding = HolderWriter(writer, index)
        buckets = range(self._values[index].buckets)
        for made in stages.over(in_order(self._pool, holders, buckets), len(buckets)):
            writer.write(Role.KEY_HI, index, made.hi)
            writer.write(Role.KEY_LO, index, made.lo)
            holding.write(made.person)
            self.tally.distinct[self._layout.key_names[index]] += made.distinct
            if made.over_shared.size:
                self.tally.over_shared.append(made.over_shared)
            if fingerprint is not None:
                fingerprint.update(made.pairs)


class _Stages:
    """Tells how far the work is, of which every stage is an equal share."""

    def __init__(self, progress: Callable[[float], None] | None, count: int) -> None:
        self._progress = progress
        self._count = count
        self._done = 0

    def over(self, results: Iterator[Result], count: int) -> Iterator[Result]:
        """Yield the results of a stage that has so many."""
        for number, result in enumerate(results, start=1):
            yield result
            if self._progress is not None:
                self._progress((self._done + number / count) / self._count)
        self._done += 1
