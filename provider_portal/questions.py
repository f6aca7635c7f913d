"""Questions in words: what a buyer asks, as an owner reads it before saying yes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provider_portal.i18n import N_, Writing

_COMPARED: Mapping[str, str] = {
    "==": N_("%(attribute)s is %(value)s"),
    "!=": N_("%(attribute)s is not %(value)s"),
    "<": N_("%(attribute)s is below %(value)s"),
    "<=": N_("%(attribute)s is at most %(value)s"),
    ">": N_("%(attribute)s is above %(value)s"),
    ">=": N_("%(attribute)s is at least %(value)s"),
    "between": N_("%(attribute)s is from %(low)s to %(high)s"),
    "in": N_("%(attribute)s is one of: %(value)s"),
    "not_in": N_("%(attribute)s is none of: %(value)s"),
    "has_any": N_("%(attribute)s has any of: %(value)s"),
    "is_null": N_("%(attribute)s has no value"),
    "not_null": N_("%(attribute)s has a value"),
}


@dataclass(frozen=True)
class InWords:
    """A question in words.

    Attributes:
        segments: names and conditions, in the asker's order.
        breakdowns: the attributes of each.
        sums: attributes that are added up.
        precision: how exact figures are to be.
        reads: every attribute that it reads.
        affinity: whether the dataset's own side is counted too.
    """

    segments: tuple[tuple[str, str], ...]
    breakdowns: tuple[tuple[str, ...], ...]
    sums: tuple[str, ...]
    precision: str
    reads: tuple[str, ...]
    affinity: bool


def in_words(question: Mapping[str, Any], write: Writing) -> InWords:
    """Say a question in words.

    Args:
        question: as `policies.question.question_to_dict` writes it.
        write: the language.
    """
    segments = question.get("segments") or {}
    breakdowns = tuple(tuple(group) for group in question.get("breakdowns") or ())
    sums = tuple(question.get("sums") or ())
    read = {name for condition in segments.values() for name in _reads(condition)}
    read |= {name for group in breakdowns for name in group} | set(sums)
    return InWords(
        segments=tuple((name, condition_words(condition, write)) for name, condition in segments.items()),
        breakdowns=breakdowns,
        sums=sums,
        precision=_precision(question, write),
        reads=tuple(sorted(read)),
        affinity=bool(question.get("affinity")),
    )


def condition_words(condition: Mapping[str, Any], write: Writing, *, inner: bool = False) -> str:
    """Say a condition in words; groups inside others stand in brackets."""
    for word, joined in (("all", N_("%(one)s and %(other)s")), ("any", N_("%(one)s or %(other)s"))):
        if word in condition:
            parts = [condition_words(one, write, inner=True) for one in condition[word]]
            text = parts[0]
            for part in parts[1:]:
                text = write.gettext(joined) % {"one": text, "other": part}
            return f"({text})" if inner and len(parts) > 1 else text
    if "not" in condition:
        return write.gettext(N_("not %(condition)s")) % {
            "condition": f"({condition_words(condition['not'], write)})"
        }
    op, value = condition["op"], condition.get("value")
    ends = value if isinstance(value, list) and op == "between" else ("", "")
    return write.gettext(_COMPARED[op]) % {
        "attribute": condition["attribute"],
        "value": _values(value if isinstance(value, list) else [value], write),
        "low": _value(ends[0], write),
        "high": _value(ends[1], write),
    }


def _values(values: Sequence[Any], write: Writing) -> str:
    return ", ".join(_value(value, write) for value in values)


def _value(value: Any, write: Writing) -> str:
    if isinstance(value, bool):
        return write.gettext(N_("yes") if value else N_("no"))
    return write.number(value) if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _reads(condition: Mapping[str, Any]) -> set[str]:
    if "attribute" in condition:
        return {str(condition["attribute"])}
    inner = condition.get("all") or condition.get("any") or [condition["not"]]
    return set().union(*(_reads(one) for one in inner))


def _precision(question: Mapping[str, Any], write: Writing) -> str:
    if "half_width" in question:
        return write.gettext(N_("%(people)s people either side")) % {
            "people": write.number(question["half_width"])
        }
    if "percent" in question:
        return write.gettext(N_("%(percent)s of %(expected)s people either side")) % {
            "percent": write.percent(question["percent"], 100),
            "expected": write.number(question["expected"]),
        }
    return write.gettext(_LEVELS[question.get("precision", "normal")])


_LEVELS: Mapping[str, str] = {"rough": N_("rough"), "normal": N_("normal"), "fine": N_("fine")}
