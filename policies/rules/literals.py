"""What conditions may tell apart: the values, or the grid, that an owner allows as literals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import lcm
from typing import Any, ClassVar, Self

from policies.attributes import AttributeInfo
from policies.condition import Leaf, parse_condition
from policies.decision import Reason
from policies.errors import PolicyFormatError, QuestionError
from policies.nodes import CAll, CAny, CHasAny, CLeaf, Node
from policies.request import Request
from policies.rules.base import REGISTRY, Rule, both, only_keys, whole_number
from policies.text import nfc
from policies.values import leaf_values

_LARGEST_STEP = 1_000_000_000
_MOST_VALUES = 10_000


@dataclass(frozen=True)
class Cuts:
    """Where the values of one attribute may be parted from one another.

    Attributes:
        values: literals as text: the values of a category or set that may be named, all others staying
            together; for numbers and dates, the ends at which ranges may begin. None names no list.
        step: ranges of numbers begin at its multiples, in whole units (days since 1970-01-01 for dates);
            None for any.
    """

    values: frozenset[str] | None = None
    step: int | None = None

    def meet(self, other: "Cuts") -> "Cuts":
        """Keep the literals that both allow."""
        steps = [step for step in (self.step, other.step) if step is not None]
        return Cuts(both(self.values, other.values), lcm(*steps) if steps else None)

    def allow(self, leaf: CLeaf | CHasAny, info: AttributeInfo) -> bool:
        """Tell whether a canonical leaf parts values only where it may; "no value" is always apart."""
        if isinstance(leaf, CLeaf) and not leaf.coded:
            return self._allow_ends(_ends(leaf, info), leaf.attribute, info)
        if info.type == "boolean":
            named = {code for code, word in enumerate(("false", "true"), 1) if word in (self.values or ())}
        else:
            named = {info.codes.get(value, 0) for value in self.values or ()}
        together = set(range(1, info.domain[1] + 1)) - named
        asked = set(leaf.codes) & together
        return not asked or asked == together

    def _allow_ends(self, ends: set[int], attribute: str, info: AttributeInfo) -> bool:
        if self.step is not None:
            grid = self.step * (10**info.scale if info.type == "decimal" else 1)
            if any(end % grid for end in ends):
                return False
        return self.values is None or ends <= {_stored(text, attribute, info) for text in self.values}


@REGISTRY.register
@dataclass(frozen=True)
class Literals(Rule):
    """Which literals may stand in conditions, per attribute; attributes that it does not name take any.

    It looks at what a condition tells apart and not at how it is spelled: `< 18` and `not >= 18` part the
    same people at 18.
    """

    allowed: Mapping[str, Cuts]
    tag: ClassVar[str] = "literals"

    @property
    def named(self) -> frozenset[str]:
        """Every attribute that the rule names."""
        return frozenset(self.allowed)

    def check(self, request: Request) -> Reason | None:
        """Forbid conditions with other literals."""
        refused = {
            name
            for condition in request.canonical.segments
            for name in self._refused(condition, request.attributes)
        }
        if not refused:
            return None
        asked = tuple(sorted(refused))
        limit = tuple(text for name in asked for text in _words(name, self.allowed[name]))
        message = f"The owner allows only some literals for: {', '.join(asked)}."
        return Reason(self.tag, message, limit, asked)

    def repair(self, request: Request) -> Request | None:
        """Leave out the segments with other literals."""
        question, canonical = request.question, request.canonical
        kept = tuple(
            segment
            for segment in question.segments
            if not self._refused(canonical.segments[canonical.segment_of[segment.name]], request.attributes)
        )
        return replace(request, question=replace(question, segments=kept))

    def meet(self, other: Self) -> Self:
        """Keep the literals that both allow."""
        joined = dict(self.allowed)
        for name, cuts in other.allowed.items():
            joined[name] = joined[name].meet(cuts) if name in joined else cuts
        return replace(self, allowed=joined)

    def to_data(self) -> dict[str, Any]:
        """Return the lists and steps per attribute."""
        return {"allowed": {name: _to_data(self.allowed[name]) for name in sorted(self.allowed)}}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `allowed`: attribute to a list of literals, or to `values` and `step`."""
        only_keys(data, cls.tag, ("allowed",))
        allowed = data.get("allowed")
        if not isinstance(allowed, Mapping) or not all(isinstance(name, str) and name for name in allowed):
            raise PolicyFormatError(
                f"`allowed` of the rule {cls.tag!r} maps attributes to literals.",
                remedy="Write allowed: {age: {step: 5}, city: [Москва]}.",
            )
        return cls({nfc(name): _cuts(name, limit) for name, limit in allowed.items()})

    def _refused(self, condition: Node, attributes: Mapping[str, AttributeInfo]) -> set[str]:
        return {
            leaf.attribute
            for leaf in _leaves(condition)
            if leaf.attribute in self.allowed
            and not self.allowed[leaf.attribute].allow(leaf, attributes[leaf.attribute])
        }


def _leaves(node: Node) -> Iterable[CLeaf | CHasAny]:
    work = [node]
    while work:
        item = work.pop()
        if isinstance(item, CAll | CAny):
            work.extend(item.items)
        else:
            yield item


def _ends(leaf: CLeaf, info: AttributeInfo) -> set[int]:
    """Return every stored value at which the leaf's answer changes."""
    low, high = info.domain
    ends = {end for first, last in leaf.values.ranges for end in (first, last + 1)}
    return ends - {low, high + 1}


def _stored(text: str, attribute: str, info: AttributeInfo) -> int | None:
    """Return a literal in stored units; None when it is not one of the attribute's type, and allows nothing."""
    try:
        found = leaf_values(Leaf(attribute, ">=", text), info).ranges
    except QuestionError:
        return None
    return found[0][0] if found else None


def _words(name: str, cuts: Cuts) -> list[str]:
    words = [f"{name}: {value}" for value in sorted(cuts.values or ())] or [f"{name}: none"]
    return ([] if cuts.values is None else words) + (
        [] if cuts.step is None else [f"{name}: step {cuts.step}"]
    )


def _to_data(cuts: Cuts) -> dict[str, Any]:
    values = {} if cuts.values is None else {"values": sorted(cuts.values)}
    return values | ({} if cuts.step is None else {"step": cuts.step})


def _cuts(name: str, limit: object) -> Cuts:
    if isinstance(limit, list | tuple):
        return Cuts(_texts(name, limit))
    if not isinstance(limit, Mapping) or not limit:
        raise PolicyFormatError(
            f"The literals of {name[:80]!r} are a list, or `values` and `step`.",
            remedy="Write a list, {step: 5}, or both under `values` and `step`.",
        )
    only_keys(limit, Literals.tag, ("values", "step"))
    values = _texts(name, limit["values"]) if "values" in limit else None
    step = whole_number(limit, Literals.tag, "step", low=1, high=_LARGEST_STEP) if "step" in limit else None
    return Cuts(values, step)


def _texts(name: str, values: object) -> frozenset[str]:
    """Read literals as questions spell them, and write each as text."""
    if not isinstance(values, list | tuple) or len(values) > _MOST_VALUES:
        raise PolicyFormatError(f"The literals of {name[:80]!r} are a list of at most {_MOST_VALUES}.")
    if not values:
        return frozenset()
    try:
        leaf = parse_condition({"attribute": name, "op": "in", "value": list(values)})
    except QuestionError as error:
        raise PolicyFormatError(error.message, remedy=error.remedy) from None
    assert isinstance(leaf, Leaf)
    assert isinstance(leaf.value, tuple)
    return frozenset(str(value).lower() if isinstance(value, bool) else str(value) for value in leaf.value)
