"""Which bands to merge so that the cells of a breakdown are shown: post-processing, of an answer or of guesses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from cleanroom.analyses.cells import OVERLAP, Layout
from cleanroom.release.types import Mechanism, ReleasedFigure
from policies.attributes import AttributeInfo
from policies.canonical_question import AskedBreakdown
from policies.merging import axes_of, expected_sizes, merges


@dataclass(frozen=True)
class Suggestion:
    """Neighbouring bands of one attribute of a breakdown to make one, so that fewer people are withheld.

    The bands are the owner's, who may declare wider ones; until then segments with the merged ranges show the same.

    Attributes:
        breakdown: its attributes, as asked.
        attribute: whose bands.
        bands: labels of the bands that would become one, for each such band.
        withheld_before: how many people are expected in cells that are withheld, as the breakdown stands.
        withheld_after: the same once the bands are merged.
    """

    breakdown: tuple[str, ...]
    attribute: str
    bands: tuple[tuple[str, ...], ...]
    withheld_before: float
    withheld_after: float


def suggestions_from(
    figures: Sequence[ReleasedFigure],
    mechanism: Mechanism,
    layout: Layout,
    attributes: Mapping[str, AttributeInfo],
) -> tuple[Suggestion, ...]:
    """Suggest merges from an answer: from the released values of its cells alone.

    Args:
        figures: of one answer, under canonical names.
        mechanism: how they were made.
        layout: of the question.
        attributes: the dataset's, by name.
    """
    shown = {figure.name: figure.value for figure in figures}
    found: list[Suggestion] = []
    for asked, cells in _breakdowns(layout, attributes):
        values = [shown[cell] for cell in cells]
        sizes = expected_sizes(values, whole=shown[OVERLAP], threshold=mechanism.threshold_of("breakdown"))
        found += _suggested(asked, sizes, mechanism, layout, attributes)
    return tuple(found)


def suggestions_at(
    expected: Mapping[str, int],
    mechanism: Mechanism,
    layout: Layout,
    attributes: Mapping[str, AttributeInfo],
) -> tuple[Suggestion, ...]:
    """Suggest merges before a question is run, from the sizes that its asker expects.

    Args:
        expected: people by the figure's name, as asked; of a breakdown with any, cells that are not named have none.
        mechanism: how the figures would be made.
        layout: of the question.
        attributes: the dataset's, by name.
    """
    names = layout.asked_names()
    found: list[Suggestion] = []
    for asked, cells in _breakdowns(layout, attributes):
        guesses = [[expected[name] for name in names[cell] if name in expected] for cell in cells]
        if any(guesses):
            sizes = [float(max(guess, default=0)) for guess in guesses]
            found += _suggested(asked, sizes, mechanism, layout, attributes)
    return tuple(found)


def _breakdowns(
    layout: Layout, attributes: Mapping[str, AttributeInfo]
) -> Iterator[tuple[AskedBreakdown, list[str]]]:
    """Give each distinct breakdown once, with the canonical names of its cells."""
    asked = {breakdown.index: breakdown for breakdown in reversed(layout.question.asked_breakdowns)}
    for index, breakdown in sorted(asked.items()):
        cells = prod(axis.cells for axis in axes_of(layout.question.breakdowns[index], attributes))
        yield breakdown, [f"breakdown:{index}:{position}" for position in range(cells)]


def _suggested(
    asked: AskedBreakdown,
    sizes: Sequence[float],
    mechanism: Mechanism,
    layout: Layout,
    attributes: Mapping[str, AttributeInfo],
) -> Iterator[Suggestion]:
    axes = axes_of(layout.question.breakdowns[asked.index], attributes)
    for merge in merges(axes, sizes, needed=mechanism.threshold_of("breakdown")):
        if len(axes) == 1 and merge.runs == ((0, axes[0].bands - 1),):
            # One band of everybody is no breakdown any more; in a crossed one the other attribute remains.
            continue
        labels = layout.cell_labels[merge.attribute]
        yield Suggestion(
            breakdown=asked.attributes,
            attribute=merge.attribute,
            bands=tuple(tuple(labels[first : last + 1]) for first, last in merge.runs),
            withheld_before=merge.withheld_before,
            withheld_after=merge.withheld_after,
        )
