"""Which bands to merge so that the cells of a breakdown are shown; from public figures and guesses alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, prod

from policies.attributes import NUMERIC_TYPES, AttributeInfo


@dataclass(frozen=True)
class Axis:
    """One attribute of a breakdown.

    Attributes:
        attribute: its name.
        bands: how many of its first cells are neighbouring bands; 0 for an attribute without an order.
        cells: all its cells, those of other values and of no value included.
    """

    attribute: str
    bands: int
    cells: int


@dataclass(frozen=True)
class Merge:
    """Bands of one attribute to merge, so that fewer cells are withheld.

    Attributes:
        attribute: whose bands.
        runs: first and last position of the bands to make one, each run at least two bands long; other bands stay
            as they are.
        withheld_before: how many people are expected in cells that are withheld, as the breakdown stands.
        withheld_after: the same once the bands are merged.
    """

    attribute: str
    runs: tuple[tuple[int, int], ...]
    withheld_before: float
    withheld_after: float


def axes_of(breakdown: Sequence[str], attributes: Mapping[str, AttributeInfo]) -> tuple[Axis, ...]:
    """Return the axes of a breakdown; only numbers and dates have neighbouring bands."""
    infos = {name: attributes[name] for name in breakdown}
    return tuple(
        Axis(name, len(info.bands) + 1 if info.type in NUMERIC_TYPES else 0, info.cells)
        for name, info in infos.items()
    )


def merges(axes: Sequence[Axis], sizes: Sequence[float], *, needed: float) -> tuple[Merge, ...]:
    """Propose neighbouring bands to merge, one attribute at a time.

    Bands grow until every slice across them that can reach what is needed does so; a slice that falls short even as a
    whole is not waited for. That gives the most bands that are still shown.

    Args:
        axes: the breakdown's attributes, in the order of its cells.
        sizes: expected people of every cell, row-major; from `expected_sizes`, or as an asker guesses them.
        needed: people from which a cell counts as shown: a threshold, or more for a better chance.

    Returns:
        For each attribute whose bands can be merged to some effect: how. The one that leaves the fewest people
        withheld comes first.
    """
    if len(sizes) != prod(axis.cells for axis in axes):
        raise ValueError("a breakdown has as many sizes as cells")
    before = _withheld(sizes, needed)
    found = []
    for position, axis in enumerate(axes):
        slices = _slices(axes, sizes, position)
        runs = _runs([column[: axis.bands] for column in slices], needed)
        merged = [
            _withheld(
                [*(sum(column[first : last + 1]) for first, last in runs), *column[axis.bands :]], needed
            )
            for column in slices
        ]
        longer = tuple((first, last) for first, last in runs if last > first)
        # Guesses are no whole numbers, so adding the same ones in another order can look like a gain.
        if longer and fsum(merged) < before:
            found.append(Merge(axis.attribute, longer, before, fsum(merged)))
    return tuple(sorted(found, key=lambda merge: merge.withheld_after))


def expected_sizes(shown: Sequence[int | None], *, whole: int | None, threshold: int) -> tuple[float, ...]:
    """Guess the sizes of withheld cells from what was shown: they share what the shown ones leave of the whole.

    Args:
        shown: released values of a breakdown's cells; None where one was withheld.
        whole: the released overlap; None when it was withheld.
        threshold: the noisy count below which a cell was withheld, so that none is guessed to reach it.

    Returns:
        A size for every cell.
    """
    known = [value for value in shown if value is not None]
    withheld = len(shown) - len(known)
    share = max(0.0, ((whole or 0) - sum(known)) / withheld) if withheld else 0.0
    return tuple(min(share, threshold - 1.0) if value is None else float(value) for value in shown)


def _withheld(sizes: Sequence[float], needed: float) -> float:
    return fsum(size for size in sizes if size < needed)


def _slices(axes: Sequence[Axis], sizes: Sequence[float], position: int) -> list[list[float]]:
    """Return the cells along one attribute, once for every combination of the others' cells."""
    step = prod(axis.cells for axis in axes[position + 1 :])
    length = axes[position].cells
    starts = (start + offset for start in range(0, len(sizes), step * length) for offset in range(step))
    return [[sizes[start + at * step] for at in range(length)] for start in starts]


def _runs(slices: Sequence[Sequence[float]], needed: float) -> list[tuple[int, int]]:
    """Part bands into as many runs as possible in each of which every slice that can reach what is needed does."""
    able = [column for column in slices if sum(column) >= needed]
    bands = len(slices[0])
    if not able:
        return [(at, at) for at in range(bands)]
    runs: list[tuple[int, int]] = []
    first = 0
    for last in range(bands):
        if all(sum(column[first : last + 1]) >= needed for column in able):
            runs.append((first, last))
            first = last + 1
    if first < bands:
        # What is left at the end reaches it only together with its neighbour.
        runs[-1] = (runs[-1][0], bands - 1)
    return runs
