"""The persons that have several rows: found once all rows are there, and merged."""

from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from cleanroom.ingestion.budget import Budget
from cleanroom.ingestion.merging import merge_persons
from cleanroom.ingestion.records import NOBODY, OP_DELETE, OP_MERGED, RecordLayout
from cleanroom.ingestion.spool import Block, Records, Spill, Spool, bucket_bits, bucket_of, pick, refit
from cleanroom.parallel import in_order

_MAX_MARK_BITS = 30
_STEP = 1 << 20


class Repeats:
    """Notices every row's person, and merges the rows of those that have several.

    Most files have one row per person, and a row that is a person needs no merging. So only a part of each person's
    token is kept until all rows are there, and sorted; it costs a twentieth of ordering whole rows by person.
    """

    def __init__(
        self,
        layout: RecordLayout,
        *,
        rows: int,
        memory_bytes: int,
        bucket_bytes: int,
        budget: Budget,
        spill: Spill,
        pool: Executor | None,
    ) -> None:
        """Prepare.

        Args:
            layout: of a schema with a person_id.
            rows: how many rows will come at most.
            memory_bytes: how large the rows of one person may be.
            bucket_bytes: about how large a bucket is to be.
            budget: of all spools.
            spill: where runs go.
            pool: threads that sort and write; None: the caller's does.
        """
        self._layout = layout
        self._pool = pool
        self._id_bits = bucket_bits(rows * 8, bucket_bytes=bucket_bytes)
        self._row_bits = bucket_bits(rows * layout.person_dtype.itemsize, bucket_bytes=bucket_bytes)
        self._ids = Spool(
            np.dtype("<u8"),
            buckets=1 << self._id_bits,
            memory_bytes=memory_bytes,
            spill=spill,
            budget=budget,
            pool=pool,
        )
        self._rows = Spool(
            layout.person_dtype,
            buckets=1 << self._row_bits,
            memory_bytes=memory_bytes,
            spill=spill,
            budget=budget,
            pool=pool,
        )
        self._mark_shift = np.uint64(64 - min(max(rows.bit_length(), 10), _MAX_MARK_BITS))
        self._marks: NDArray[np.bool_] | None = None
        self._owners: NDArray[np.uint32] | None = None

    @property
    def found(self) -> bool:
        """Whether there are any; known once `find` was called."""
        return self._marks is not None

    @property
    def buckets(self) -> int:
        """How many buckets `merge` can be called for."""
        return self._rows.buckets

    def arrange(self, rows: Records) -> Block:
        """Take from rows what tells their persons apart; any thread may."""
        ids = rows["person_hi"]
        deleted = rows["op"] == OP_DELETE
        if deleted.any():
            # A deletion is never a person, so it counts as one row of several.
            ids = np.concatenate((ids, ids[deleted]))
        ids = np.sort(ids)
        return self._ids.arrange(ids, bucket_of(ids, self._id_bits), ordered=True)

    def hold(self, ids: Block) -> None:
        """Take what was arranged."""
        self._ids.hold(ids)

    def find(self, rows: int) -> None:
        """Mark the persons that have several of so many rows."""
        self._ids.settle()
        for several in in_order(self._pool, self._several, range(self._ids.buckets)):
            if several.size:
                if self._marks is None:
                    self._marks = np.zeros(1 << (64 - int(self._mark_shift)), np.bool_)
                    self._owners = np.arange(rows, dtype=np.uint32)
                self._marks[several >> self._mark_shift] = True
        self._ids.close()

    def split(self, rows: Records) -> tuple[Records, Records]:
        """Return rows that are persons, merged ones among them, and rows yet to be merged; any thread may."""
        if self._marks is None:
            return rows, rows[:0]
        # Who shares a mark with a person of several rows is merged with nobody.
        out = self._marks[rows["person_hi"] >> self._mark_shift] & (rows["op"] != OP_MERGED)
        if not out.any():
            return rows, rows[:0]
        return pick(rows, np.flatnonzero(~out)), pick(rows, np.flatnonzero(out))

    def arrange_rows(self, rows: Records) -> Block:
        """Order rows that are to be merged by person; any thread may."""
        return self._rows.arrange(rows, bucket_of(rows["person_hi"], self._row_bits))

    def hold_rows(self, rows: Block) -> None:
        """Take rows that were arranged, in any order."""
        self._rows.hold(rows)

    def settle(self) -> None:
        """Wait until all that were taken can be merged."""
        self._rows.settle()

    def merge(self, bucket: int) -> Records:
        """Merge a bucket of the rows taken out; any thread may, since buckets have disjoint rows.

        Returns:
            Persons of `layout.person_dtype`: a sum may need more than its parts.

        Raises:
            SkewError: a person has more rows than fit in memory.
        """
        rows = refit(self._rows.read(bucket), self._layout.person_dtype)
        merged = merge_persons(rows, self._layout)
        if self._owners is not None:
            self._owners[merged.rows] = merged.owners
        merged.persons["op"] = OP_MERGED
        return merged.persons

    def follow(self, position: NDArray[np.uint32]) -> None:
        """Give every row its person's position.

        Args:
            position: of each person, by number of arrival; the other rows' follow from it.
        """
        if self._owners is None:
            return
        # A person's own place says the same before and after, so one array is enough.
        for start in range(0, position.size, _STEP):
            owners = self._owners[start : start + _STEP]
            counts = owners != NOBODY
            found = np.full(owners.size, NOBODY, np.uint32)
            found[counts] = position[owners[counts]]
            position[start : start + _STEP] = found
        self._owners = self._marks = None

    def close(self) -> None:
        """Remove whatever was spilled."""
        self._ids.close()
        self._rows.close()

    def _several(self, bucket: int) -> NDArray[np.uint64]:
        ids = np.sort(self._ids.read(bucket))
        several: NDArray[np.uint64] = ids[1:][ids[1:] == ids[:-1]]
        return several
