"""The local engine: sorted tokens searched in blocks, matched rows, bitmaps; numpy on this machine."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from cleanroom.matching.buckets import Positions
from cleanroom.matching.chosen import Chosen, choose
from cleanroom.matching.evaluate import Rows
from cleanroom.matching.search import SearchSizes, find_matches
from cleanroom.matching.types import (
    I64,
    U8,
    BaseView,
    DatasetView,
    ExactCounts,
    ExactSums,
    Plan,
    SideCounts,
)

T = TypeVar("T")

_THREADS = 2
_PERSONS_PER_BLOCK = 1 << 20
_ROWS_AT_ONCE = 1 << 20
_FEW_SEGMENTS = 64


class LocalEngine:
    """Counts in memory, with a pool of threads that stays."""

    def __init__(
        self,
        threads: int = _THREADS,
        *,
        search: SearchSizes | None = None,
        persons_per_block: int = _PERSONS_PER_BLOCK,
        rows_at_once: int = _ROWS_AT_ONCE,
    ) -> None:
        """Prepare; no choice changes what is counted.

        Args:
            threads: that count.
            search: how much is searched for at once.
            persons_per_block: whose columns are looked at together.
            rows_at_once: persons whose conditions are evaluated together, up to a block more.
        """
        self._threads = threads
        self._search = search or SearchSizes(threads=threads)
        self._persons_per_block = persons_per_block
        self._rows_at_once = rows_at_once
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="match")

    def count(self, view: DatasetView, base: BaseView, plan: Plan) -> ExactCounts:
        """Count what the plan asks for; see `MatchEngine.count`."""
        matches = find_matches(view, base, plan.keys, labels=plan.labels, pool=self._pool, sizes=self._search)

        def matched(start: int, stop: int) -> Positions:
            at = matches.within(start, stop)
            return at.take(np.flatnonzero(view.consented[start:stop].take(at, mode="clip")))

        def shares(chosen: Chosen) -> I64:
            if matches.first_key is None:
                return np.array([chosen.size])
            return _counted(chosen.each(matches.first_key), len(plan.keys) + 1)[1:]

        def labelled(chosen: Chosen) -> I64:
            assert matches.label is not None
            return _counted(chosen.each(matches.label), 256)[: base.labels]

        def count(chosen: Chosen) -> tuple[SideCounts, I64 | None, I64 | None, I64 | None]:
            return (
                _count_rows(Rows(chosen.size, chosen.column), chosen.size, plan, plan.sums),
                shares(chosen) if plan.per_key else None,
                labelled(chosen) if matches.label is not None else None,
                _count_open(view, chosen, plan.open_breakdown) if plan.open_breakdown else None,
            )

        sides, keys, named, opened = zip(*self._each(view, matched, plan, count), strict=True)
        side = _added_sides(sides)
        return ExactCounts(
            overlap=side.persons,
            keys=dict(zip(plan.keys, np.add.reduce(keys).tolist(), strict=True)) if plan.per_key else {},
            labels=tuple(np.add.reduce(named).tolist()) if matches.label is not None else (),
            segments=side.segments,
            breakdowns=side.breakdowns,
            dataset=self._dataset_side(view, plan) if plan.dataset_side else None,
            sums=side.sums,
            open_breakdown=_by_value(view, plan.open_breakdown, np.add.reduce(opened))
            if plan.open_breakdown
            else {},
        )

    def _dataset_side(self, view: DatasetView, plan: Plan) -> SideCounts:
        def count(chosen: Chosen) -> SideCounts:
            return _count_rows(Rows(chosen.size, chosen.column), chosen.size, plan, ())

        return _added_sides(
            self._each(view, lambda start, stop: np.flatnonzero(view.consented[start:stop]), plan, count)
        )

    def _each(
        self,
        view: DatasetView,
        members: Callable[[int, int], Positions],
        plan: Plan,
        count: Callable[[Chosen], T],
    ) -> list[T]:
        """Count some persons, each thread those of one contiguous range, as many as fit at a time."""
        # Many conditions take the interpreter's time more than the processor's, and threads only share that.
        threads = self._threads if len(plan.segments) <= _FEW_SEGMENTS else 1
        step = max(-(-view.persons // threads), 1)

        def count_range(start: int) -> list[T]:
            chosen = choose(
                view,
                members,
                range(start, min(start + step, view.persons)),
                persons=self._persons_per_block,
                rows=self._rows_at_once,
            )
            return [count(part) for part in chosen]

        return [
            part for parts in self._pool.map(count_range, range(0, step * threads, step)) for part in parts
        ]


def _counted(blocks: Iterable[U8], size: int) -> I64:
    counts = np.zeros(size, np.int64)
    for block in blocks:
        counts += np.bincount(block, minlength=size)
    return counts


def _count_open(view: DatasetView, chosen: Chosen, name: str) -> I64:
    """Count persons by the codes of an open category."""
    return np.bincount(chosen.column(name).values, minlength=len(view.dictionary(name)))


def _by_value(view: DatasetView, name: str, counts: I64) -> dict[str, int]:
    """Give counts their values; those that nobody has are left out."""
    names = view.dictionary(name)
    return {names[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()}


def _added_sides(parts: Sequence[SideCounts]) -> SideCounts:
    return SideCounts(
        persons=sum(part.persons for part in parts),
        segments=tuple(map(sum, zip(*(part.segments for part in parts), strict=True))),
        breakdowns=_added(part.breakdowns for part in parts),
        sums=tuple(_add_up(same) for same in zip(*(part.sums for part in parts), strict=True)),
    )


def _count_rows(rows: Rows, persons: int, plan: Plan, sums: tuple[str, ...]) -> SideCounts:
    counts, *totals = rows.segments(plan.segments, sums).tolist()
    # One breakdown at a time: where everyone stands in it takes as much memory as a column.
    tables = [_tables(rows, attributes, sums) for attributes in plan.breakdowns]
    return SideCounts(
        persons=persons,
        segments=tuple(counts),
        breakdowns=tuple(counts for counts, *_ in tables),
        sums=tuple(
            ExactSums(
                attribute=name,
                overlap=int(rows.totals(name).sum(dtype=np.int64)),
                segments=tuple(totals[position]),
                breakdowns=tuple(table[1 + position] for table in tables),
            )
            for position, name in enumerate(sums)
        ),
    )


def _tables(rows: Rows, attributes: tuple[str, ...], sums: tuple[str, ...]) -> tuple[I64, ...]:
    """Return a breakdown's counts, and its sums of each attribute."""
    cells = rows.cells(attributes)
    return (cells.counts(), *(cells.sums(rows.totals(name)) for name in sums))


def _add_up(same: Sequence[ExactSums]) -> ExactSums:
    return ExactSums(
        attribute=same[0].attribute,
        overlap=sum(part.overlap for part in same),
        segments=tuple(map(sum, zip(*(part.segments for part in same), strict=True))),
        breakdowns=_added(part.breakdowns for part in same),
    )


def _added(parts: Iterable[tuple[I64, ...]]) -> tuple[I64, ...]:
    """Add the tables of all blocks."""
    return tuple(np.add.reduce(same) for same in zip(*parts, strict=True))
