"""The local engine: sorted tokens searched in blocks, matched rows, bitmaps; numpy on this machine."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cleanroom.matching.evaluate import Rows
from cleanroom.matching.search import NOT_MATCHED, find_matches
from cleanroom.matching.types import (
    I64,
    BaseView,
    Bools,
    Column,
    DatasetView,
    ExactCounts,
    ExactSums,
    Plan,
    SideCounts,
)

_BLOCK = 1 << 22
_THREADS = 2


class LocalEngine:
    """Counts in memory, with a pool of threads that stays."""

    def __init__(self, threads: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="match")

    def count(self, view: DatasetView, base: BaseView, plan: Plan) -> ExactCounts:
        """Count what the plan asks for; see `MatchEngine.count`."""
        matches = find_matches(view, base, plan.keys, labels=plan.labels, pool=self._pool)
        counted = (matches.first_key != NOT_MATCHED) & view.consented
        keys = np.bincount(matches.first_key[counted], minlength=len(plan.keys)) if plan.per_key else ()
        labels: tuple[int, ...] = ()
        if matches.label is not None:
            labels = tuple(np.bincount(matches.label[counted], minlength=base.labels)[: base.labels].tolist())
        side = _count_side(view, counted, plan, sums=plan.sums)
        return ExactCounts(
            overlap=side.persons,
            keys={name: int(count) for name, count in zip(plan.keys, keys, strict=bool(plan.per_key))},
            labels=labels,
            segments=side.segments,
            breakdowns=side.breakdowns,
            dataset=_count_side(view, view.consented, plan) if plan.dataset_side else None,
            sums=side.sums,
            open_breakdown=_count_open(view, counted, plan.open_breakdown) if plan.open_breakdown else {},
        )


def _count_open(view: DatasetView, counted: Bools, name: str) -> dict[str, int]:
    """Count persons by the values of an open category; values that none of them has are left out."""
    names, codes = view.dictionary(name), view.column(name).values
    counts = np.zeros(len(names), np.int64)
    for start in range(0, view.persons, _BLOCK):
        block = slice(start, start + _BLOCK)
        counts += np.bincount(codes[block][counted[block]], minlength=counts.size)
    return {names[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()}


def _count_side(view: DatasetView, counted: Bools, plan: Plan, *, sums: tuple[str, ...] = ()) -> SideCounts:
    parts = []
    for start in range(0, max(view.persons, 1), _BLOCK):
        block = slice(start, start + _BLOCK)
        at = np.flatnonzero(counted[block])
        rows = Rows(at.size, _column_of(view, block, at))
        parts.append(_count_rows(rows, at.size, plan, sums))
    return SideCounts(
        persons=sum(part.persons for part in parts),
        segments=tuple(map(sum, zip(*(part.segments for part in parts), strict=True))),
        breakdowns=_added(part.breakdowns for part in parts),
        sums=tuple(_add_up(same) for same in zip(*(part.sums for part in parts), strict=True)),
    )


def _column_of(view: DatasetView, block: slice, at: I64) -> Callable[[str], Column]:
    def column(name: str) -> Column:
        whole = view.column(name)
        return Column(whole.info, whole.values[block][at])

    return column


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
