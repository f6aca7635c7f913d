"""The nodes of canonical conditions, ready to evaluate on columns.

Four classes of nodes, and nothing else:

- `CLeaf(attribute, values, coded)`: the attribute's stored value (integer, decimal, date: ranges in stored
  units, days since 1970-01-01 for dates) or its code (category, boolean: `coded`, 1..V declared, V + 1
  other) lies in `values`;
- `CHasAny(attribute, codes, negated)`: a person's set holds at least one of these codes (code c is bit number
  c - 1), or, when negated, none of them (a person without any value included);
- `CAll(items)`: every item holds; `CAll(())` is everyone;
- `CAny(items)`: at least one item holds; `CAny(())` is nobody.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from policies.attributes import AttributeInfo
from policies.values import ValueSet


def _digest(items: "Sequence[Node]") -> str:
    return hashlib.sha256("\n".join(item.key for item in items).encode()).hexdigest()


@dataclass(frozen=True)
class CLeaf:
    """An attribute's value lies in a set.

    Attributes:
        attribute: the attribute's name.
        values: ranges of stored values or codes, and whether "no value" belongs to them.
        coded: whether the ranges are of codes.
        key: orders and compares nodes.
    """

    attribute: str
    values: ValueSet
    coded: bool
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spans = ",".join(f"{low}..{high}" for low, high in self.values.ranges)
        object.__setattr__(self, "key", f"0 {self.attribute} {spans} {self.values.null:d}")

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes, one by one, ascending; code 0 stands for "no value". Only for coded leaves."""
        listed = [code for low, high in self.values.ranges for code in range(low, high + 1)]
        return (*((0,) if self.values.null else ()), *listed)


@dataclass(frozen=True)
class CHasAny:
    """A person's set holds at least one of the codes; negated: none of them.

    Attributes:
        attribute: the attribute's name.
        codes: ascending; code c is bit c - 1 of the stored words.
        negated: whether the set must hold none of them.
        key: orders and compares nodes.
    """

    attribute: str
    codes: tuple[int, ...]
    negated: bool
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "key", f"1 {self.attribute} {self.negated:d} {','.join(map(str, self.codes))}"
        )


@dataclass(frozen=True)
class CAll:
    """Every item holds; without items: everyone.

    Attributes:
        items: in the order of their keys.
        key: orders and compares nodes.
    """

    items: tuple["Node", ...]
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", "2 " + _digest(self.items))


@dataclass(frozen=True)
class CAny:
    """At least one item holds; without items: nobody.

    Attributes:
        items: in the order of their keys.
        key: orders and compares nodes.
    """

    items: tuple["Node", ...]
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", "3 " + _digest(self.items))


Node: TypeAlias = CLeaf | CHasAny | CAll | CAny

EVERYONE = CAll(())
NOBODY = CAny(())


def node_to_data(node: Node, attributes: Mapping[str, AttributeInfo]) -> dict[str, Any]:
    """Write a canonical tree as plain data for hashing and for receipts.

    Codes are written as the declared values, so that a receipt can be read; `other` is apart, so that a
    value named "other" cannot be mistaken for it. Range ends are text, because canonical JSON ends at 53
    bits; None is unbounded.
    """
    if isinstance(node, CAll | CAny):
        return {
            "all" if isinstance(node, CAll) else "any": [
                node_to_data(item, attributes) for item in node.items
            ]
        }
    info = attributes[node.attribute]
    data: dict[str, Any] = {"attribute": node.attribute}
    if isinstance(node, CHasAny):
        return data | {
            "has_none" if node.negated else "has_any": _names(node.codes, info),
            "other": _other(node.codes, info),
        }
    data["null"] = node.values.null
    if node.coded:
        codes = node.codes
        return data | {"in": _names(codes, info), "other": _other(codes, info)}
    low, high = info.domain
    data["ranges"] = [
        [None if first == low else str(first), None if last == high else str(last)]
        for first, last in node.values.ranges
    ]
    return data


def _names(codes: Sequence[int], info: AttributeInfo) -> list[str]:
    values = ("false", "true") if info.type == "boolean" else info.values
    return [values[code - 1] for code in codes if 1 <= code <= len(values)]


def _other(codes: Sequence[int], info: AttributeInfo) -> bool:
    return info.type != "boolean" and len(info.values) + 1 in codes
