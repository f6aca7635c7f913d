"""The persons who are counted, and their attributes, gathered from columns in memory or on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.kept import Stored, parts_of
from cleanroom.matching.types import I64, Column, DatasetView

Values = NDArray[Any]


@dataclass(frozen=True)
class Chosen:
    """Some persons of a version, block by block.

    Attributes:
        view: whose persons they are.
        blocks: of each block its first person, the one after its last, and positions in it, ascending.
    """

    view: DatasetView
    blocks: tuple[tuple[int, int, I64], ...]

    @property
    def size(self) -> int:
        """Return how many persons there are."""
        return sum(at.size for _, _, at in self.blocks)

    def column(self, name: str) -> Column:
        """Gather an attribute of these persons."""
        whole = self.view.column(name)
        return Column(whole.info, self._gathered(whole.values))

    def _gathered(self, values: Values | Stored) -> Values:
        return np.concatenate([values[:0], *self.each(values)])

    def each(self, values: Values | Stored) -> Iterator[Values]:
        """Give the persons' items of a column, block by block."""
        parts = parts_of(values, (range(start, stop) for start, stop, _ in self.blocks))
        for part, (_, _, at) in zip(parts, self.blocks, strict=True):
            yield part.take(at, axis=0, mode="clip")


def choose(
    view: DatasetView, members: Callable[[int, int], I64], within: range, *, persons: int, rows: int
) -> Iterator[Chosen]:
    """Walk through a range of persons and give some of them, not many more than `rows` at a time.

    Args:
        view: whose persons they are.
        members: takes a first person and the one after the last; gives who of them counts, ascending from the first.
        within: the range.
        persons: of one block.
        rows: how many to give at once; the last are given even if there are none.
    """
    blocks: list[tuple[int, int, I64]] = []
    held = 0
    for start in range(within.start, within.stop, persons):
        stop = min(start + persons, within.stop)
        at = members(start, stop)
        if at.size:
            blocks.append((start, stop, at))
            held += at.size
        if held >= rows:
            yield Chosen(view, tuple(blocks))
            blocks, held = [], 0
    yield Chosen(view, tuple(blocks))
