"""Sets of the values of one attribute, and the leaves of conditions as such sets."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil, floor
from operator import itemgetter

from policies.attributes import NUMERIC_TYPES, AttributeInfo
from policies.condition import COMPARISONS, NULL_OPS, Leaf, Scalar
from policies.errors import QuestionError

Ranges = tuple[tuple[int, int], ...]

_EPOCH = date(1970, 1, 1).toordinal()
_NUMBER = re.compile(r"[+-]?[0-9]{1,450}(\.[0-9]{1,450})?")


@dataclass(frozen=True)
class ValueSet:
    """A set of stored values or codes.

    Attributes:
        ranges: closed, ascending, neither touching nor overlapping.
        null: whether "no value" belongs to the set.
    """

    ranges: Ranges
    null: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing belongs to the set."""
        return not self.ranges and not self.null

    def complement(self, domain: tuple[int, int]) -> "ValueSet":
        """Return everything of the domain, "no value" included, that is not in the set."""
        gaps, low = [], domain[0]
        for first, last in self.ranges:
            if low < first:
                gaps.append((low, first - 1))
            low = last + 1
        if low <= domain[1]:
            gaps.append((low, domain[1]))
        return ValueSet(tuple(gaps), not self.null)

    def within(self, other: "ValueSet") -> bool:
        """Tell whether all of the set belongs to another one; it takes as many steps as the shorter one has ranges."""
        if self.null and not other.null:
            return False
        if len(self.ranges) <= len(other.ranges):
            return all(last <= _reach(other.ranges, first, last - 1) for first, last in self.ranges)
        starts = (first for first, _ in other.ranges)
        ends = (last for _, last in other.ranges)
        lowest, highest = self.ranges[0][0], self.ranges[-1][1]
        # Nothing of the set may lie before, between and behind the ranges of the other.
        gaps = zip(
            (lowest, *(end + 1 for end in ends)), (*(start - 1 for start in starts), highest), strict=True
        )
        return not any(low <= high and _reach(self.ranges, high, low - 1) >= low for low, high in gaps)

    def __contains__(self, value: int | None) -> bool:
        return self.null if value is None else any(first <= value <= last for first, last in self.ranges)


def _reach(ranges: Ranges, value: int, otherwise: int) -> int:
    """Return the end of the last range that begins at a value or before it; `otherwise` when none does."""
    at = bisect_right(ranges, value, key=itemgetter(0))
    return ranges[at - 1][1] if at else otherwise


def union(sets: Sequence[ValueSet]) -> ValueSet:
    """Return what belongs to at least one of the sets."""
    return ValueSet(_merge([pair for item in sets for pair in item.ranges]), any(item.null for item in sets))


def intersection(sets: Sequence[ValueSet], domain: tuple[int, int]) -> ValueSet:
    """Return what belongs to every one of the sets, in one pass over all their ranges."""
    if len(sets) == 1:
        return sets[0]
    return union([item.complement(domain) for item in sets]).complement(domain)


def leaf_values(leaf: Leaf, info: AttributeInfo) -> ValueSet:
    """Turn a comparison into the set of values for which it holds.

    Logic has two values: a comparison with "no value" does not hold (`!=` and `not_in` included), and `not`
    is the complement. A literal that was not declared is accepted and holds for nobody; `other` names the
    declared "other".

    Args:
        leaf: a comparison of an attribute that is not a set.
        info: the attribute's declared shape.

    Returns:
        Ranges of stored values (numbers, days since 1970-01-01) or of codes (categories, booleans).

    Raises:
        QuestionError: the operator is not offered for the type, or the literal is not of the type.
    """
    everything = ValueSet((info.domain,))
    if leaf.op in NULL_OPS:
        return ValueSet((), null=True) if leaf.op == "is_null" else everything
    if leaf.op == "has_any" or (
        info.type not in NUMERIC_TYPES and leaf.op in ("<", "<=", ">", ">=", "between")
    ):
        raise _unsupported(leaf, info)
    literals = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    assert literals[0] is not None
    if info.type in NUMERIC_TYPES:
        numbers = [_number(literal, leaf, info) for literal in literals if literal is not None]
        positive = _numeric(leaf.op, numbers, info.domain)
    else:
        codes = (_code(literal, leaf.attribute, info) for literal in literals if literal is not None)
        positive = ValueSet(_merge([(code, code) for code in codes if code]))
    if leaf.op in ("!=", "not_in"):
        return ValueSet(positive.complement(info.domain).ranges)
    return positive


def has_any_codes(leaf: Leaf, info: AttributeInfo) -> tuple[frozenset[int], bool]:
    """Turn a leaf over a set-valued attribute into `has any of these codes`, and whether it is negated.

    "No value" and "the empty set" are one, so `is_null` is "has none at all".
    """
    if leaf.op in NULL_OPS:
        return frozenset(range(1, info.domain[1] + 1)), leaf.op == "is_null"
    if leaf.op != "has_any" or not isinstance(leaf.value, tuple):
        raise _unsupported(leaf, info)
    codes = (_code(literal, leaf.attribute, info) for literal in leaf.value)
    return frozenset(code for code in codes if code), False


def _code(literal: Scalar, attribute: str, info: AttributeInfo) -> int:
    """Return the code of a literal of a category, a boolean or a set; 0 when it was not declared."""
    if info.type == "boolean":
        if isinstance(literal, bool) or literal in ("true", "false"):
            return 2 if literal in (True, "true") else 1
        raise _mismatch(attribute, info, "true or false")
    if isinstance(literal, bool):
        raise _mismatch(attribute, info, "text; put words such as yes and no in quotes")
    text = str(literal)
    # Most literals are spelled as they were declared.
    return info.codes.get(text) or info.codes.get(unicodedata.normalize("NFC", text), 0)


def _number(literal: Scalar, leaf: Leaf, info: AttributeInfo) -> int | Fraction:
    """Return a literal in stored units, exactly."""
    if info.type == "date":
        if isinstance(literal, str):
            try:
                return date.fromisoformat(literal).toordinal() - _EPOCH
            except ValueError:
                pass
        raise _mismatch(leaf.attribute, info, "dates such as 2026-01-31")
    scale = 10**info.scale if info.type == "decimal" else 1
    if isinstance(literal, int) and not isinstance(literal, bool):
        return literal * scale
    if isinstance(literal, str) and _NUMBER.fullmatch(literal):
        return Fraction(literal) * scale
    raise _mismatch(leaf.attribute, info, "numbers")


def _numeric(op: str, numbers: Sequence[int | Fraction], domain: tuple[int, int]) -> ValueSet:
    first, last = numbers[0], numbers[-1]
    lowest, highest = domain
    if op == "<":
        pairs = [(lowest, ceil(first) - 1)]
    elif op == "<=":
        pairs = [(lowest, floor(first))]
    elif op == ">":
        pairs = [(floor(first) + 1, highest)]
    elif op == ">=":
        pairs = [(ceil(first), highest)]
    elif op == "between":
        pairs = [(ceil(first), floor(last))]
    else:
        pairs = [(int(number), int(number)) for number in numbers if number.denominator == 1]
    inside = ((max(low, lowest), min(high, highest)) for low, high in pairs)
    return ValueSet(_merge([(low, high) for low, high in inside if low <= high]))


def _merge(pairs: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _unsupported(leaf: Leaf, info: AttributeInfo) -> QuestionError:
    if info.type == "set":
        offered: tuple[str, ...] = ("has_any", *NULL_OPS)
    elif info.type in NUMERIC_TYPES:
        offered = (*COMPARISONS, "between", "in", "not_in", *NULL_OPS)
    else:
        offered = ("==", "!=", "in", "not_in", *NULL_OPS)
    return QuestionError(
        f"`{leaf.op}` is not offered for {leaf.attribute!r}, which is of type {info.type}.",
        remedy=f"Use one of: {', '.join(offered)}.",
    )


def _mismatch(attribute: str, info: AttributeInfo, expected: str) -> QuestionError:
    return QuestionError(f"{attribute!r} is of type {info.type}; its literals are {expected}.")
