"""Questions as they are asked: what to count, for which purpose, over which dataset and base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.condition import Condition, condition_to_data, parse_condition
from policies.errors import QuestionError
from policies.text import nfc

KINDS = ("match_test", "overlap", "profile")
LEVELS = ("rough", "normal", "fine")
MAX_NAME_CHARACTERS = 200
MAX_SEGMENTS = 1_000
MAX_HALF_WIDTH = 1_000_000_000
_KEYS = (
    "kind",
    "purpose",
    "dataset_id",
    "base_id",
    "segments",
    "breakdowns",
    "precision",
    "half_width",
    "labels",
    "per_key",
    "affinity",
)


@dataclass(frozen=True)
class Precision:
    """How precise the figures are to be: a level, or a half-width in people for the overlap.

    Attributes:
        level: rough, normal or fine; None when a half-width is given.
        half_width: people either side of a figure in 95 of 100 answers; None when a level is given.
    """

    level: str | None = "normal"
    half_width: int | None = None

    def __post_init__(self) -> None:
        if (self.level is None) == (self.half_width is None):
            raise QuestionError(
                "A question has a precision or a half-width, and not both.", remedy="Remove one of them."
            )
        if self.level is not None and self.level not in LEVELS:
            raise QuestionError(
                "Unknown precision.", remedy=f"Use one of: {', '.join(LEVELS)}; or `half_width` in people."
            )
        if self.half_width is not None and not 1 <= self.half_width <= MAX_HALF_WIDTH:
            raise QuestionError(f"A half-width lies between 1 and {MAX_HALF_WIDTH} people.")


@dataclass(frozen=True)
class Segment:
    """A named condition; the name is for the reader and no part of the question."""

    name: str
    condition: Condition


@dataclass(frozen=True)
class Question:
    """One analysis, as asked.

    Attributes:
        kind: `match_test` (one total), `overlap` (with labels, shares per key and segments) or `profile`
            (breakdowns too).
        purpose: the declared reason for processing.
        dataset_id: the provider's dataset.
        base_id: the advertiser's base.
        segments: named conditions, counted inside the overlap.
        breakdowns: each a group of attributes whose cells are counted inside the overlap.
        precision: of every figure.
        labels: count the base's labels, if it has any.
        per_key: count by the key that matched, if there are several.
        affinity: count segments and breakdowns in the whole dataset too, for affinity indices.
    """

    kind: str
    purpose: str
    dataset_id: str
    base_id: str
    segments: tuple[Segment, ...] = ()
    breakdowns: tuple[tuple[str, ...], ...] = ()
    precision: Precision = Precision()
    labels: bool = True
    per_key: bool = True
    affinity: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise QuestionError("Unknown kind of analysis.", remedy=f"Use one of: {', '.join(KINDS)}.")
        if self.kind == "match_test" and self.segments:
            raise QuestionError(
                "A match test is one total; it has no segments.", remedy="Ask for an `overlap`."
            )
        if self.kind != "profile" and (self.breakdowns or self.affinity):
            raise QuestionError(
                "Only a profile has breakdowns and affinity indices.", remedy="Ask for a `profile`."
            )
        if len(self.segments) > MAX_SEGMENTS:
            raise QuestionError(
                f"A question has at most {MAX_SEGMENTS} segments, not {len(self.segments)}.",
                remedy="Ask the rest in another question.",
            )
        names = [segment.name for segment in self.segments]
        if len(set(names)) < len(names):
            raise QuestionError("Two segments have the same name.", remedy="Rename one of them.")
        if any(len(set(group)) < len(group) or not group for group in self.breakdowns):
            raise QuestionError("A breakdown is a list of at least one attribute, each once.")


def question_from_dict(
    source: Mapping[str, Any], *, dataset_id: str | None = None, base_id: str | None = None
) -> Question:
    """Read a question from plain data, such as a segments file or a request's body.

    Args:
        source: `purpose`; optionally `kind` (profile when there are breakdowns, else overlap), `segments`
            (name to condition), `breakdowns`, `precision` or `half_width`, `labels`, `per_key`, `affinity`,
            `dataset_id`, `base_id`.
        dataset_id: used when the source names none.
        base_id: used when the source names none.

    Raises:
        QuestionError: an unknown key or a value of the wrong form; NestingError for conditions nested too
            deep.
    """
    if not isinstance(source, Mapping):
        raise QuestionError("A question is a mapping.", remedy=f"Its keys are: {', '.join(_KEYS)}.")
    unknown = sorted(str(key) for key in source if key not in _KEYS)
    if unknown:
        raise QuestionError(
            f"Unknown key {unknown[0][:80]!r} in a question.", remedy=f"Use: {', '.join(_KEYS)}."
        )
    breakdowns = _breakdowns(source.get("breakdowns") or ())
    segments = source.get("segments") or {}
    if not isinstance(segments, Mapping):
        raise QuestionError(
            "`segments` maps names to conditions.", remedy="Write segments: {name: {all: [...]}}."
        )
    return Question(
        kind=_text(source, "kind", "profile" if breakdowns else "overlap"),
        purpose=_text(source, "purpose", None),
        dataset_id=_text(source, "dataset_id", dataset_id),
        base_id=_text(source, "base_id", base_id),
        segments=tuple(
            Segment(_name(name), parse_condition(condition)) for name, condition in segments.items()
        ),
        breakdowns=breakdowns,
        precision=_precision(source),
        labels=_flag(source, "labels", default=True),
        per_key=_flag(source, "per_key", default=True),
        affinity=_flag(source, "affinity", default=False),
    )


def question_to_dict(question: Question) -> dict[str, Any]:
    """Write a question as the plain data that `question_from_dict` reads; fit for canonical JSON."""
    data: dict[str, Any] = {
        "kind": question.kind,
        "purpose": question.purpose,
        "dataset_id": question.dataset_id,
        "base_id": question.base_id,
        "segments": {segment.name: condition_to_data(segment.condition) for segment in question.segments},
        "breakdowns": [list(group) for group in question.breakdowns],
        "labels": question.labels,
        "per_key": question.per_key,
        "affinity": question.affinity,
    }
    if question.precision.level is None:
        return data | {"half_width": question.precision.half_width}
    return data | {"precision": question.precision.level}


def _text(source: Mapping[str, Any], key: str, default: str | None) -> str:
    value = source.get(key, default)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        raise QuestionError(f"A question needs `{key}`: text of 1 to {MAX_NAME_CHARACTERS} characters.")
    return nfc(value)


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        raise QuestionError(
            f"A name is text of 1 to {MAX_NAME_CHARACTERS} characters.", remedy="Put numbers in quotes."
        )
    return nfc(value)


def _flag(source: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = source.get(key, default)
    if not isinstance(value, bool):
        raise QuestionError(f"`{key}` is true or false.")
    return value


def _breakdowns(value: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise QuestionError(
            "`breakdowns` is a list of lists of attributes.", remedy="Write breakdowns: [[sex, age]]."
        )
    groups = []
    for group in value:
        if not isinstance(group, Sequence) or isinstance(group, str):
            raise QuestionError(
                "A breakdown is a list of attributes.", remedy="Write breakdowns: [[sex, age]]."
            )
        groups.append(tuple(_name(name) for name in group))
    return tuple(groups)


def _precision(source: Mapping[str, Any]) -> Precision:
    level, half_width = source.get("precision"), source.get("half_width")
    if level is None and half_width is None:
        return Precision()
    if (level is not None and not isinstance(level, str)) or (
        half_width is not None and type(half_width) is not int
    ):
        raise QuestionError(
            "`precision` is a word and `half_width` a whole number of people.",
            remedy=f"Words: {', '.join(LEVELS)}.",
        )
    return Precision(level, half_width)
