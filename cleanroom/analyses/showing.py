"""What an asker is shown of an answer: its figures under the asker's names, ratios of them, and bands to merge."""

from collections.abc import Mapping
from dataclasses import dataclass

from cleanroom.analyses.cells import Layout
from cleanroom.analyses.suggesting import Suggestion, suggestions_from
from cleanroom.datasets.types import DatasetVersion
from cleanroom.release.answers import MOST_FIGURES, Found
from cleanroom.release.ratios import ratios
from cleanroom.release.service import named
from cleanroom.release.types import ReleasedFigure, ReleasedRatio
from cleanroom.remembered import Remembered
from policies.attributes import AttributeInfo
from policies.question import Question


@dataclass(frozen=True)
class Shown:
    """One answer as one asker reads it, made of released figures alone.

    Attributes:
        found: the answer that it was made of.
        figures: under the asker's names, with the public size of the dataset if there is one.
        ratios: made of them.
        suggestions: bands to merge.
    """

    found: Found
    figures: tuple[ReleasedFigure, ...]
    ratios: tuple[ReleasedRatio, ...]
    suggestions: tuple[Suggestion, ...]


# The question says how figures are called, and of which dataset and base, whose schemas do not change.
_Key = tuple[str, Question, str, ReleasedFigure | None]
_SHOWN = Remembered[_Key, Shown](MOST_FIGURES, lambda shown: len(shown.figures))


def show(
    found: Found,
    layout: Layout,
    *,
    question: Question,
    base_version: DatasetVersion,
    public_size: ReleasedFigure | None,
    attributes: Mapping[str, AttributeInfo],
) -> Shown:
    """Lay an answer out for its asker; one that was laid out before in the same words is shown again.

    Args:
        found: what was released or found.
        layout: of the question.
        question: as asked.
        base_version: of the asker's base.
        public_size: of the dataset, if it was released to everyone.
        attributes: the dataset's, by name.
    """
    key = found.analysis_id, question, base_version.id, public_size
    known = _SHOWN.get(key)
    # The very answer, not one of the same id: nothing that the store did not give may be shown in its place.
    if known is not None and known.found is found:
        return known
    figures = named(found.figures, layout.asked_names())
    if public_size is not None and not layout.question.affinity:
        figures = (*figures, public_size)
    shown = Shown(
        found=found,
        figures=figures,
        ratios=ratios(figures, base_persons=base_version.persons, sums=found.mechanism.sums),
        suggestions=suggestions_from(found.figures, found.mechanism, layout, attributes),
    )
    return _SHOWN.put(key, shown)
