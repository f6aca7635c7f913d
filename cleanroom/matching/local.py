"""The local engine: sorted tokens searched in blocks, matched rows, bitmaps; numpy on this machine."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cleanroom.matching.evaluate import Rows
from cleanroom.matching.search import NOT_MATCHED, find_matches
from cleanroom.matching.types import I64, BaseView, Bools, Column, DatasetView, ExactCounts, Plan, SideCounts

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
        side = _count_side(view, counted, plan)
        return ExactCounts(
            overlap=side.persons,
            keys={name: int(count) for name, count in zip(plan.keys, keys, strict=bool(plan.per_key))},
            labels=labels,
            segments=side.segments,
            breakdowns=side.breakdowns,
            dataset=_count_side(view, view.consented, plan) if plan.dataset_side else None,
        )


def _count_side(view: DatasetView, counted: Bools, plan: Plan) -> SideCounts:
    persons = 0
    segments = [0] * len(plan.segments)
    breakdowns: list[I64 | int] = [0] * len(plan.breakdowns)
    for start in range(0, max(view.persons, 1), _BLOCK):
        block = slice(start, start + _BLOCK)
        at = np.flatnonzero(counted[block])
        persons += at.size

        def column(name: str, block: slice = block, at: I64 = at) -> Column:
            whole = view.column(name)
            return Column(whole.info, whole.values[block][at])

        rows = Rows(at.size, column)
        for position, condition in enumerate(plan.segments):
            segments[position] += rows.count(condition)
        for position, attributes in enumerate(plan.breakdowns):
            breakdowns[position] = rows.cells(attributes) + breakdowns[position]
    return SideCounts(persons, tuple(segments), tuple(np.asarray(cells) for cells in breakdowns))
