"""Conditions as people type them: one comparison a line, all of which hold; anything deeper as JSON."""

import json
import re
from collections.abc import Mapping

from policies.attributes import NUMERIC_TYPES, AttributeInfo
from policies.condition import (
    COMPARISONS,
    LIST_OPS,
    NULL_OPS,
    All,
    Condition,
    Leaf,
    Scalar,
    condition_to_data,
    parse_condition,
)
from policies.errors import QuestionError

_WORDS = ("between", *LIST_OPS, *NULL_OPS)
_LINE = re.compile(
    rf"(?P<attribute>.+?)\s*(?:(?P<sign>{'|'.join(sorted(COMPARISONS, key=len, reverse=True))}|(?<![=!<>])=)"
    rf"|\s(?P<word>{'|'.join(_WORDS)})(?!\w))\s*(?P<value>.*)"
)
_WHOLE = re.compile(r"-?\d{1,300}")
_TRUTH = {"true": True, "false": False}


def condition_from_text(text: str, attributes: Mapping[str, AttributeInfo]) -> Condition:
    """Read a condition that a person typed.

    Args:
        text: lines such as `age < 30`, `age between 18 and 30`, `city in Omsk, Perm` and `sex not_null`, all of which
            hold; or JSON, as in a question's segments.
        attributes: the dataset's, by name; what is no number there stays text even if it looks like one.

    Raises:
        QuestionError: a line that cannot be read; the message shows it.
        NestingError: JSON that is nested too deep.
    """
    plain = text.strip()
    if plain.startswith("{"):
        try:
            return parse_condition(json.loads(plain))
        except (ValueError, RecursionError):
            raise QuestionError(
                "A condition begins with a brace and is no JSON.",
                remedy='Write {"all": [...]}, or lines such as: age < 30',
            ) from None
    leaves = [_leaf(line.strip(), attributes) for line in plain.splitlines() if line.strip()]
    if not leaves:
        raise QuestionError("A condition is empty.", remedy="Write lines such as: age < 30")
    return leaves[0] if len(leaves) == 1 else All(tuple(leaves))


def condition_to_text(condition: Condition, attributes: Mapping[str, AttributeInfo]) -> str:
    """Write a condition so that `condition_from_text` reads the same again: in lines where that is possible."""
    leaves = condition.items if isinstance(condition, All) else (condition,)
    if all(isinstance(leaf, Leaf) for leaf in leaves):
        text = "\n".join(_line(leaf) for leaf in leaves if isinstance(leaf, Leaf))
        try:
            if condition_from_text(text, attributes) == condition:
                return text
        except QuestionError:
            # A name or a value holds what parts lines or lists: JSON can write it.
            pass
    return json.dumps(condition_to_data(condition), ensure_ascii=False)


def _leaf(line: str, attributes: Mapping[str, AttributeInfo]) -> Leaf:
    found = _LINE.fullmatch(line)
    if found is None:
        raise QuestionError(
            f"This line is no condition: {line[:80]!r}.",
            remedy=f"Write an attribute, one of {', '.join((*COMPARISONS, *_WORDS))}, and a value.",
        )
    name, value = found["attribute"].strip(), found["value"].strip()
    op = {"=": "=="}.get(found["sign"] or found["word"], found["sign"] or found["word"])
    known = attributes.get(name)
    if op not in NULL_OPS and not all(part.strip() for part in value.split(",")):
        raise QuestionError(
            f"A value is missing in {line[:80]!r}.", remedy="Write one, or several with commas between them."
        )
    data: dict[str, object] = {"attribute": name, "op": op}
    if op in NULL_OPS:
        if value:
            data["value"] = value
    elif op == "between":
        data["value"] = [_scalar(part, known) for part in re.split(r"\s+and\s+|\s*,\s*", value)]
    elif op in LIST_OPS:
        data["value"] = [_scalar(part.strip(), known) for part in value.split(",")]
    else:
        data["value"] = _scalar(value, known)
    leaf = parse_condition(data)
    assert isinstance(leaf, Leaf)
    return leaf


def _scalar(text: str, known: AttributeInfo | None) -> Scalar:
    numeric = known is None or known.type in NUMERIC_TYPES
    if numeric and _WHOLE.fullmatch(text):
        return int(text)
    if known is not None and known.type == "boolean" and text in _TRUTH:
        return _TRUTH[text]
    return text


def _line(leaf: Leaf) -> str:
    if leaf.value is None:
        return f"{leaf.attribute} {leaf.op}"
    if isinstance(leaf.value, tuple):
        between = " and " if leaf.op == "between" else ", "
        return f"{leaf.attribute} {leaf.op} {between.join(_text(value) for value in leaf.value)}"
    return f"{leaf.attribute} {leaf.op} {_text(leaf.value)}"


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
