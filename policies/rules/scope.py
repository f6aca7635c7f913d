"""What may be asked: purposes, kinds of analysis, attributes and the depth of breakdowns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from policies.condition import attributes_of
from policies.decision import Reason
from policies.errors import PolicyFormatError
from policies.question import KINDS, Question
from policies.request import Request
from policies.rules.base import REGISTRY, Rule, both, listed, names, names_or_all, only_keys, whole_number


def with_question(request: Request, question: Question) -> Request:
    """Return the request with another question."""
    return replace(request, question=question)


@REGISTRY.register
@dataclass(frozen=True)
class Purposes(Rule):
    """For which purposes the data may be used."""

    allowed: frozenset[str]
    tag: ClassVar[str] = "purposes"

    def check(self, request: Request) -> Reason | None:
        """Forbid a purpose that is not listed."""
        purpose = request.question.purpose
        if purpose in self.allowed:
            return None
        allowed = tuple(sorted(self.allowed))
        return Reason(
            self.tag, f"The owner allows these purposes: {', '.join(allowed) or 'none'}.", allowed, purpose
        )

    def repair(self, request: Request) -> Request | None:
        """Take an allowed purpose that was granted too."""
        shared = sorted(self.allowed & set(request.grant.purposes))
        return with_question(request, replace(request.question, purpose=shared[0])) if shared else None

    def meet(self, other: Self) -> Self:
        """Keep the purposes that both allow."""
        return replace(self, allowed=self.allowed & other.allowed)

    def to_data(self) -> dict[str, Any]:
        """Return the list."""
        return {"allowed": sorted(self.allowed)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `allowed`."""
        only_keys(data, cls.tag, ("allowed",))
        return cls(names(data, cls.tag, "allowed"))


@REGISTRY.register
@dataclass(frozen=True)
class Analyses(Rule):
    """Which kinds of analysis may be asked."""

    allowed: frozenset[str]
    tag: ClassVar[str] = "analyses"

    def check(self, request: Request) -> Reason | None:
        """Forbid a kind that is not listed."""
        kind = request.question.kind
        if kind in self.allowed:
            return None
        allowed = tuple(name for name in KINDS if name in self.allowed)
        return Reason(
            self.tag, f"The owner allows these analyses: {', '.join(allowed) or 'none'}.", allowed, kind
        )

    def repair(self, request: Request) -> Request | None:
        """Take the richest allowed kind below the one asked, or else the poorest above it."""
        position = KINDS.index(request.question.kind)
        order = [*reversed(KINDS[:position]), *KINDS[position + 1 :]]
        nearer = (request.question.as_kind(kind) for kind in order if kind in self.allowed)
        question = next(filter(None, nearer), None)
        return None if question is None else with_question(request, question)

    def meet(self, other: Self) -> Self:
        """Keep the kinds that both allow."""
        return replace(self, allowed=self.allowed & other.allowed)

    def to_data(self) -> dict[str, Any]:
        """Return the list."""
        return {"allowed": sorted(self.allowed)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `allowed`."""
        only_keys(data, cls.tag, ("allowed",))
        allowed = names(data, cls.tag, "allowed")
        if not allowed <= set(KINDS):
            raise PolicyFormatError(
                "Unknown kind of analysis in a policy.", remedy=f"Use: {', '.join(KINDS)}."
            )
        return cls(allowed)


@REGISTRY.register
@dataclass(frozen=True)
class Attributes(Rule):
    """Which attributes may stand in conditions and in breakdowns; None allows all that the schema has."""

    filter: frozenset[str] | None
    breakdown: frozenset[str] | None
    blocked: frozenset[str] = frozenset()
    tag: ClassVar[str] = "attributes"

    @property
    def named(self) -> frozenset[str]:
        """Every attribute that the rule names."""
        return (self.filter or frozenset()) | (self.breakdown or frozenset()) | self.blocked

    def check(self, request: Request) -> Reason | None:
        """Forbid conditions and breakdowns that read an attribute not allowed there."""
        question = request.question
        filtered = {name for segment in question.segments for name in attributes_of(segment.condition)}
        grouped = {name for group in question.breakdowns for name in group}
        refused = {name for name in filtered if not self._may(name, self.filter)}
        refused |= {name for name in grouped if not self._may(name, self.breakdown)}
        if not refused:
            return None
        offered = tuple(
            sorted(
                name
                for name in request.attributes
                if self._may(name, self.filter) and self._may(name, self.breakdown)
            )
        )
        asked = tuple(sorted(refused))
        return Reason(
            self.tag, f"The owner does not allow these attributes here: {', '.join(asked)}.", offered, asked
        )

    def repair(self, request: Request) -> Request | None:
        """Leave out the segments that read such an attribute, and the attribute in breakdowns."""
        question = request.question
        segments = tuple(
            segment
            for segment in question.segments
            if all(self._may(name, self.filter) for name in attributes_of(segment.condition))
        )
        groups = (
            tuple(name for name in group if self._may(name, self.breakdown)) for group in question.breakdowns
        )
        breakdowns = tuple(group for group in groups if group)
        return with_question(request, replace(question, segments=segments, breakdowns=breakdowns))

    def meet(self, other: Self) -> Self:
        """Keep the attributes that both allow, and block what either blocks."""
        return replace(
            self,
            filter=both(self.filter, other.filter),
            breakdown=both(self.breakdown, other.breakdown),
            blocked=self.blocked | other.blocked,
        )

    def to_data(self) -> dict[str, Any]:
        """Return the three lists."""
        return {
            "filter": listed(self.filter),
            "breakdown": listed(self.breakdown),
            "blocked": sorted(self.blocked),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `filter`, `breakdown` (lists or "*"; absent allows none) and `blocked`."""
        only_keys(data, cls.tag, ("filter", "breakdown", "blocked"))
        return cls(
            names_or_all(data, cls.tag, "filter"),
            names_or_all(data, cls.tag, "breakdown"),
            names(data, cls.tag, "blocked"),
        )

    def _may(self, name: str, allowed: frozenset[str] | None) -> bool:
        return name not in self.blocked and (allowed is None or name in allowed)


@REGISTRY.register
@dataclass(frozen=True)
class BreakdownDepth(Rule):
    """How many attributes a breakdown may cross."""

    max: int
    tag: ClassVar[str] = "breakdown_depth"

    def check(self, request: Request) -> Reason | None:
        """Forbid a breakdown that crosses more attributes."""
        deepest = max((len(group) for group in request.question.breakdowns), default=0)
        if deepest <= self.max:
            return None
        return Reason(self.tag, f"A breakdown may cross at most {self.max} attributes.", self.max, deepest)

    def repair(self, request: Request) -> Request | None:
        """Keep the first attributes of each breakdown."""
        groups = (group[: self.max] for group in request.question.breakdowns)
        breakdowns = tuple(group for group in groups if group)
        return with_question(request, replace(request.question, breakdowns=breakdowns))

    def meet(self, other: Self) -> Self:
        """Keep the smaller depth."""
        return min(self, other, key=lambda rule: rule.max)

    def to_data(self) -> dict[str, Any]:
        """Return the depth."""
        return {"max": self.max}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `max`."""
        only_keys(data, cls.tag, ("max",))
        return cls(whole_number(data, cls.tag, "max", low=0, high=16))
