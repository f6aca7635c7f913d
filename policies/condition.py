"""Conditions as they are asked: a tree of `all`, `any` and `not` over leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from policies.errors import NestingError, QuestionError
from policies.text import nfc

MAX_DEPTH = 64
MAX_INTEGER_BITS = 1024
MAX_LITERAL_CHARACTERS = 1_000
MAX_EXPONENT = 400

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
LIST_OPS = ("in", "not_in", "has_any")
NULL_OPS = ("is_null", "not_null")
OPS = (*COMPARISONS, "between", *LIST_OPS, *NULL_OPS)

Scalar: TypeAlias = str | int | bool
"""A literal. YAML dates become ISO text and fractions decimal text, so that a literal has one spelling."""


@dataclass(frozen=True)
class Leaf:
    """One comparison of an attribute.

    Attributes:
        attribute: the attribute's name.
        op: one of `OPS`. `between` includes both ends.
        value: a scalar for comparisons, a tuple for `between` and the list operators, None for `is_null`,
            `not_null`.
    """

    attribute: str
    op: str
    value: Scalar | tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class All:
    """Every item holds."""

    items: tuple["Condition", ...]


@dataclass(frozen=True)
class Any_:  # noqa: N801 - `Any` is taken by typing, and the word of the document is `any`
    """At least one item holds."""

    items: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """The item does not hold."""

    item: "Condition"


Condition: TypeAlias = All | Any_ | Not | Leaf


def parse_condition(source: object) -> Condition:
    """Read a condition from plain data.

    Without recursion: a hostile nesting is refused by its limit and never by the interpreter's.

    Args:
        source: `{all: [...]}`, `{any: [...]}`, `{not: {...}}` or `{attribute, op, value}`.

    Returns:
        The tree; at most `MAX_DEPTH` levels deep, of any width.

    Raises:
        NestingError: deeper than `MAX_DEPTH`.
        QuestionError: an unknown key or operator, an empty list, or a value of the wrong form.
    """
    done: list[Condition] = []
    # A plain item is still to be read; a (word, count) pair closes a group whose items are the last `count`
    # results.
    work: list[tuple[object, int] | tuple[str, int, None]] = [(source, 1)]
    while work:
        step = work.pop()
        if len(step) == 3:
            word, count, _ = step
            items = tuple(done[len(done) - count :])
            del done[len(done) - count :]
            done.append(Not(items[0]) if word == "not" else All(items) if word == "all" else Any_(items))
            continue
        node, depth = step
        if depth > MAX_DEPTH:
            raise NestingError(
                f"Conditions may be nested {MAX_DEPTH} levels deep.", remedy="Flatten the condition."
            )
        group = _group(node)
        if group is None:
            done.append(_leaf(node))
            continue
        word, children = group
        work.append((word, len(children), None))
        work.extend((child, depth + 1) for child in reversed(children))
    return done[0]


def condition_to_data(condition: Condition) -> dict[str, Any]:
    """Write a condition as the plain data that `parse_condition` reads."""
    if isinstance(condition, Not):
        return {"not": condition_to_data(condition.item)}
    if isinstance(condition, All | Any_):
        word = "all" if isinstance(condition, All) else "any"
        return {word: [condition_to_data(item) for item in condition.items]}
    leaf: dict[str, Any] = {"attribute": condition.attribute, "op": condition.op}
    if isinstance(condition.value, tuple):
        leaf["value"] = list(condition.value)
    elif condition.value is not None:
        leaf["value"] = condition.value
    return leaf


def attributes_of(condition: Condition) -> frozenset[str]:
    """Return the names of the attributes that a condition reads."""
    names: set[str] = set()
    work: list[Condition] = [condition]
    while work:
        node = work.pop()
        if isinstance(node, Leaf):
            names.add(node.attribute)
        else:
            work.extend([node.item] if isinstance(node, Not) else node.items)
    return frozenset(names)


def width_of(condition: Condition) -> int:
    """Return how many nodes and listed values a condition has: what it takes to keep it."""
    found, work = 0, [condition]
    while work:
        node = work.pop()
        found += 1
        if isinstance(node, Leaf):
            found += len(node.value) if isinstance(node.value, tuple) else 0
        else:
            work.extend([node.item] if isinstance(node, Not) else node.items)
    return found


def _group(node: object) -> tuple[str, Sequence[object]] | None:
    if not isinstance(node, Mapping):
        raise QuestionError(
            "A condition is a mapping.",
            remedy="Write {all: [...]}, {any: [...]}, {not: {...}} or {attribute, op, value}.",
        )
    words = [word for word in ("all", "any", "not") if word in node]
    if not words:
        return None
    if len(node) > 1:
        raise QuestionError(
            f"A condition with `{words[0]}` has no other key.",
            remedy="Nest the other conditions inside its list.",
        )
    word, body = words[0], node[words[0]]
    if word == "not":
        return word, [body]
    if not isinstance(body, Sequence) or isinstance(body, str | bytes) or not body:
        raise QuestionError(
            f"`{word}` takes a list of at least one condition.", remedy="Leave the empty group out."
        )
    return word, body


def _leaf(node: object) -> Leaf:
    assert isinstance(node, Mapping)
    unknown = sorted(str(key) for key in node if key not in ("attribute", "op", "value"))
    attribute, op = node.get("attribute"), node.get("op")
    if unknown or not isinstance(attribute, str) or not isinstance(op, str):
        raise QuestionError(
            "A leaf of a condition has the keys attribute, op and value.",
            remedy="The first two are text; remove others.",
        )
    if op not in OPS:
        raise QuestionError(
            f"Unknown operator {op[:40]!r} on {attribute[:80]!r}.", remedy=f"Use one of: {', '.join(OPS)}."
        )
    attribute = nfc(attribute)
    value = node.get("value")
    if op in NULL_OPS:
        if value is not None:
            raise QuestionError(f"`{op}` takes no value.", remedy="Remove `value`.")
        return Leaf(attribute, op)
    if op not in LIST_OPS and op != "between":
        return Leaf(attribute, op, _scalar(value, attribute))
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise QuestionError(
            f"`{op}` on {attribute[:80]!r} takes a list.", remedy="Write value: [first, second]."
        )
    if op == "between" and len(value) != 2:
        raise QuestionError(
            f"`between` on {attribute[:80]!r} takes 2 values, not {len(value)}.",
            remedy="Write value: [lowest, highest].",
        )
    return Leaf(attribute, op, tuple(_scalar(item, attribute) for item in value))


def _scalar(value: object, attribute: str) -> Scalar:
    if isinstance(value, str):
        if len(value) > MAX_LITERAL_CHARACTERS:
            raise QuestionError(
                f"A literal for {attribute[:80]!r} passes {MAX_LITERAL_CHARACTERS} characters."
            )
        return nfc(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Canonical JSON ends at 53 bits, and a question that cannot be written down could not be recorded.
        if value.bit_length() > MAX_INTEGER_BITS:
            raise QuestionError(f"A number for {attribute[:80]!r} passes {MAX_INTEGER_BITS} bits.")
        return value if abs(value) < 1 << 53 else str(value)
    if isinstance(value, float | Decimal):
        exact = Decimal(repr(value)) if isinstance(value, float) else value
        if exact.is_finite() and abs(exact.adjusted()) < MAX_EXPONENT:
            return format(exact, "f")
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise QuestionError(
        f"A literal for {attribute[:80]!r} is text, a finite number, a boolean or a date.",
        remedy="Write instants as dates, such as 2026-01-31.",
    )
