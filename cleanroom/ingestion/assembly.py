"""From rows in file order to a version's sealed columns, in fixed memory and a few bytes per row."""

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
from cleanroom.ingestion.budget import Budget
from cleanroom.ingestion.columns import Holders, PersonColumns, holders_of, person_columns
from cleanroom.ingestion.errors import PayloadError
from cleanroom.ingestion.merging import split_rows
from cleanroom.ingestion.records import NOBODY, VALUE_DTYPE, RecordLayout
from cleanroom.ingestion.repeats import Repeats
from cleanroom.ingestion.spool import Block, Records, Spill, Spool, bucket_bits, bucket_of
from cleanroom.ingestion.value_codes import Codes, OpenCategories
from cleanroom.ingestion.widths import Widths
from cleanroom.parallel import Result, in_order

_BUCKET_BYTES = 1 << 21
_ON_THEIR_WAY_BYTES = 28 << 20
"""A bucket is sorted in the processor's cache, more than twice as fast as outside it."""
_MAX_ROWS = NOBODY


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
    """Rows, numbered from 0, with the values of each key, and what tells their persons apart."""

    rows: Block
    values: tuple[Block, ...]
    ids: Block | None


class Assembly:
    """Takes rows and writes columns.

    Rows are bucketed by primary token and the values of each key by token; what does not fit in memory waits in
    sealed runs. Persons with several rows are merged when all are there, and then everything is sorted bucket by
    bucket.
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
        # The rest is for buckets that are read, and rows on their way: these take some however little there is.
        kept_bytes = max(memory_bytes * 3 // 4 - _ON_THEIR_WAY_BYTES, memory_bytes // 4)
        budget = Budget(kept_bytes)
        ranks = len(layout.keys) + 1
        self._person_bits = bucket_bits(
            rows * layout.person_dtype.itemsize, bucket_bytes=bucket_bytes, ranks=ranks
        )
        self._persons = Spool(
            layout.person_dtype,
            buckets=ranks << self._person_bits,
            memory_bytes=kept_bytes // 2,
            spill=spill,
            budget=budget,
            pool=pool,
        )
        self._repeats = None
        if layout.person:
            self._repeats = Repeats(
                layout,
                rows=rows,
                memory_bytes=kept_bytes // 2,
                bucket_bytes=bucket_bytes,
                budget=budget,
                spill=spill,
                pool=pool,
            )
        self._value_bits = []
        self._values = []
        for key in layout.keys:
            bits = bucket_bits(rows * key.width * VALUE_DTYPE.itemsize, bucket_bytes=bucket_bytes)
            self._value_bits.append(bits)
            self._values.append(
                Spool(
                    VALUE_DTYPE,
                    buckets=1 << bits,
                    memory_bytes=kept_bytes // 2 // len(layout.keys),
                    spill=spill,
                    budget=budget,
                    pool=pool,
                )
            )
        self._final: dict[int, Codes] = {}
        self._rows = 0
        self._widths = Widths(layout)
        self.tally = Tally()

    def arrange(self, rows: Records) -> Arranged:
        """Do with rows what does not depend on other rows; any thread may."""
        split = split_rows(rows, self._layout)
        return Arranged(
            rows=self._placed(split.persons),
            values=tuple(
                spool.arrange(values, bucket_of(values["hi"], bits))
                for spool, bits, values in zip(self._values, self._value_bits, split.values, strict=True)
            ),
            ids=self._repeats.arrange(split.persons) if self._repeats else None,
        )

    def take(self, arranged: Arranged) -> None:
        """Take rows that were arranged, in the order of the file."""
        first = np.uint32(self._rows)
        self._rows += arranged.rows.records.size
        if self._rows > _MAX_ROWS:
            raise PayloadError(f"A load has at most {_MAX_ROWS} rows.", remedy="Split the dataset.")
        self._keep_codes(arranged.rows.records)
        blocks, spools = (arranged.rows, *arranged.values), (self._persons, *self._values)
        for block, spool in zip(blocks, spools, strict=True):
            block.records["seq"] += first
            spool.hold(block)
        if self._repeats and arranged.ids:
            self._repeats.hold(arranged.ids)

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
        repeats = self._repeats
        if repeats:
            # While the last of what has no room is still being written.
            repeats.find(self._rows)
        for spool in (self._persons, *self._values):
            spool.settle()
        merging = 2 if repeats and repeats.found else 0
        stages = _Stages(progress, merging + 1 + len(self._values))
        sizes = self._persons.sizes()
        if repeats and merging:
            sizes = self._merge(repeats, stages)
        self.tally.persons = int(sizes.sum())
        position = np.empty(self._rows, np.uint32)
        labels = np.empty(self.tally.persons if self._layout.label else 0, np.uint8)
        self._write_dictionaries(writer)
        self._write_persons(writer, sizes, position, labels, stages)
        self._persons.close()
        if repeats:
            repeats.follow(position)
        for index, name in enumerate(self._layout.key_names):
            if fingerprint is not None:
                fingerprint.update(b"key\n" + name.encode() + b"\n")
            self.tally.distinct[name] = 0
            self._write_values(writer, index, position, labels, fingerprint, stages)
            self._values[index].close()
        return self.tally

    def close(self) -> None:
        """Remove whatever was spilled."""
        for spool in (self._persons, *self._values):
            spool.close()
        if self._repeats:
            self._repeats.close()

    def _placed(self, persons: Records) -> Block:
        persons = self._widths.fitted(persons)
        bucket = persons["rank"].astype(np.uint16) << np.uint16(self._person_bits)
        bucket |= bucket_of(persons["primary"], self._person_bits)
        return self._persons.arrange(persons, bucket)

    def _keep_codes(self, persons: Records) -> None:
        for index, attribute in enumerate(self._layout.attributes):
            if attribute.open:
                self._open.of(attribute.name).keep(persons[f"a{index}"])

    def _merge(self, repeats: Repeats, stages: "_Stages") -> NDArray[np.int64]:
        """Merge the rows of persons with several; returns how many persons each bucket has then."""
        for attribute in self._layout.attributes:
            if attribute.open:
                self._open.of(attribute.name).keep_none()

        def take_out(bucket: int) -> tuple[Records, Block]:
            persons, rows = repeats.split(self._persons.read(bucket))
            return persons, repeats.arrange_rows(rows)

        def merge(bucket: int) -> Block:
            return self._placed(repeats.merge(bucket))

        buckets = self._persons.buckets
        taken_out = np.zeros(buckets, np.int64)
        found = stages.over(in_order(self._pool, take_out, range(buckets)), buckets)
        for bucket, (persons, rows) in enumerate(found):
            self._keep_codes(persons)
            taken_out[bucket] = rows.records.size
            repeats.hold_rows(rows)
        repeats.settle()
        for merged in stages.over(in_order(self._pool, merge, range(repeats.buckets)), repeats.buckets):
            self._keep_codes(merged.records)
            self._persons.hold(merged)
        self._persons.settle()
        return self._persons.sizes() - taken_out

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
        sizes: NDArray[np.int64],
        position: NDArray[np.uint32],
        labels: NDArray[np.uint8],
        stages: "_Stages",
    ) -> None:
        first = np.concatenate(([0], np.cumsum(sizes)))

        def columns(bucket: int) -> PersonColumns:
            # Buckets number disjoint persons, so several threads may fill `position` and `labels` at once.
            persons = self._persons.read(bucket)
            if self._repeats:
                persons, _ = self._repeats.split(persons)
            return person_columns(
                persons,
                self._layout,
                self._final,
                self._widths.kinds,
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
