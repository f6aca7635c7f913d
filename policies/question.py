"""Questions as they are asked: what to count, for which purpose, over which dataset and base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.condition import Condition, condition_to_data, parse_condition
from policies.errors import QuestionError
from policies.text import nfc

KINDS = ("match_test", "overlap", "profile", "statistics")
TABLES = ("profile", "statistics")
"""The kinds that may have breakdowns."""
LEVELS = ("rough", "normal", "fine")
MAX_NAME_CHARACTERS = 200
MAX_SEGMENTS = 1_000
MAX_SUMS = 16
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
    "percent",
    "expected",
    "sums",
    "labels",
    "per_key",
    "affinity",
)


@dataclass(frozen=True)
class Precision:
    """How precise the figures are to be: a level, people, or percent of an expected size.

    Attributes:
        level: rough, normal or fine; None when a width is given.
        half_width: people either side of a figure in 95 of 100 answers.
        percent: instead of `half_width`, how many percent of `expected` these people are, 1 to 100.
        expected: how large the asker expects the figure to be, in people; their guess, never looked up.
    """

    level: str | None = "normal"
    half_width: int | None = None
    percent: int | None = None
    expected: int | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) != (self.expected is None):
            raise QuestionError("`percent` and `expected` go together.", remedy="Give both, or neither.")
        if [self.level, self.half_width, self.percent].count(None) != 2:
            raise QuestionError(
                "A question has a precision or a half-width, and not both.", remedy="Remove one of them."
            )
        if self.level is not None and self.level not in LEVELS:
            raise QuestionError(
                "Unknown precision.",
                remedy=f"Use one of: {', '.join(LEVELS)}; or `half_width` in people; or `percent` of `expected`.",
            )
        if self.half_width is not None and not 1 <= self.half_width <= MAX_HALF_WIDTH:
            raise QuestionError(f"A half-width lies between 1 and {MAX_HALF_WIDTH} people.")
        if self.percent is not None and not 1 <= self.percent <= 100:
            raise QuestionError("`percent` lies between 1 and 100.")
        if self.expected is not None and not 1 <= self.expected <= MAX_HALF_WIDTH:
            raise QuestionError(f"`expected` lies between 1 and {MAX_HALF_WIDTH} people.")

    @property
    def people(self) -> int | None:
        """The half-width in people, whichever way it was asked for; None for a level."""
        if self.percent is not None and self.expected is not None:
            return -(-self.expected * self.percent // 100)
        return self.half_width


@dataclass(frozen=True)
class Segment:
    """A named condition; the name is for the reader and no part of the question."""

    name: str
    condition: Condition


@dataclass(frozen=True)
class Question:
    """One analysis, as asked.

    Attributes:
        kind: `match_test` (one total), `overlap` (with labels, shares per key and segments), `profile`
            (breakdowns too) or `statistics` (sums and means too).
        purpose: the declared reason for processing.
        dataset_id: the provider's dataset.
        base_id: the advertiser's base.
        segments: named conditions, counted inside the overlap.
        breakdowns: each a group of attributes whose cells are counted inside the overlap.
        precision: of every figure.
        labels: count the base's labels, if it has any.
        per_key: count by the key that matched, if there are several.
        affinity: count segments and breakdowns in the whole dataset too, for affinity indices.
        sums: numeric attributes with a declared `clamp`; each person's total is clamped and added up over the
            overlap, over every segment and over every cell of a breakdown. A person without a value adds
            nothing, so a mean is over everyone counted: a segment `not_null` gives the mean of those who have
            a value.
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
    sums: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise QuestionError("Unknown kind of analysis.", remedy=f"Use one of: {', '.join(KINDS)}.")
        if self.kind == "match_test" and self.segments:
            raise QuestionError(
                "A match test is one total; it has no segments.", remedy="Ask for an `overlap`."
            )
        if self.kind not in TABLES and self.breakdowns:
            raise QuestionError(
                "Only a profile and statistics have breakdowns.", remedy="Ask for a `profile`."
            )
        if self.kind != "profile" and self.affinity:
            raise QuestionError("Only a profile has affinity indices.", remedy="Ask for a `profile`.")
        if (self.kind == "statistics") != bool(self.sums):
            raise QuestionError(
                "Statistics, and nothing else, name the attributes to add up under `sums`.",
                remedy="Ask for `statistics` with `sums`, or for another kind without.",
            )
        if len(set(self.sums)) < len(self.sums) or len(self.sums) > MAX_SUMS:
            raise QuestionError(f"`sums` lists at most {MAX_SUMS} attributes, each once.")
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

    def __hash__(self) -> int:
        # Equal questions agree on these; the conditions of a thousand segments would take longer.
        return hash(
            (self.kind, self.purpose, self.dataset_id, self.base_id, len(self.segments), self.breakdowns)
        )

    def as_kind(self, kind: str) -> "Question | None":
        """Return the question as another kind, without what that kind does not have; None if it lacks something."""
        if kind == "statistics" and not self.sums:
            return None
        return replace(
            self,
            kind=kind,
            segments=() if kind == "match_test" else self.segments,
            breakdowns=self.breakdowns if kind in TABLES else (),
            affinity=self.affinity and kind == "profile",
            sums=self.sums if kind == "statistics" else (),
        )


def question_from_dict(
    source: Mapping[str, Any], *, dataset_id: str | None = None, base_id: str | None = None
) -> Question:
    """Read a question from plain data, such as a segments file or a request's body.

    Args:
        source: `purpose`; optionally `kind` (statistics when there are sums, profile when there are
            breakdowns, else overlap), `segments` (name to condition), `breakdowns`, `sums`, `precision` or
            `half_width` or `percent` with `expected`, `labels`, `per_key`, `affinity`, `dataset_id`, `base_id`.
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
    sums = _names(source.get("sums") or (), "`sums`", "Write sums: [spend].")
    segments = source.get("segments") or {}
    if not isinstance(segments, Mapping):
        raise QuestionError(
            "`segments` maps names to conditions.", remedy="Write segments: {name: {all: [...]}}."
        )
    return Question(
        kind=_text(source, "kind", "statistics" if sums else "profile" if breakdowns else "overlap"),
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
        sums=sums,
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
    if question.sums:
        data["sums"] = list(question.sums)
    precision = question.precision
    if precision.percent is not None:
        return data | {"percent": precision.percent, "expected": precision.expected}
    if precision.half_width is not None:
        return data | {"half_width": precision.half_width}
    return data | {"precision": precision.level}


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


def _names(value: object, what: str, remedy: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise QuestionError(f"{what} is a list of attributes.", remedy=remedy)
    return tuple(_name(name) for name in value)


def _breakdowns(value: object) -> tuple[tuple[str, ...], ...]:
    remedy = "Write breakdowns: [[sex, age]]."
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise QuestionError("`breakdowns` is a list of lists of attributes.", remedy=remedy)
    return tuple(_names(group, "A breakdown", remedy) for group in value)


def _precision(source: Mapping[str, Any]) -> Precision:
    level = source.get("precision")
    numbers = [source.get(key) for key in ("half_width", "percent", "expected")]
    if level is None and numbers == [None, None, None]:
        return Precision()
    if (level is not None and not isinstance(level, str)) or any(
        number is not None and type(number) is not int for number in numbers
    ):
        raise QuestionError(
            "`precision` is a word; `half_width`, `percent` and `expected` are whole numbers.",
            remedy=f"Words: {', '.join(LEVELS)}.",
        )
    return Precision(level, *numbers)
