"""What may be asked: purposes, kinds of analysis, attributes, the depth of breakdowns, and whose side."""

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
    """Which attributes may stand in conditions, in breakdowns and in sums; None allows all that the schema has."""

    filter: frozenset[str] | None
    breakdown: frozenset[str] | None
    blocked: frozenset[str] = frozenset()
    sum: frozenset[str] | None = frozenset()
    tag: ClassVar[str] = "attributes"

    @property
    def named(self) -> frozenset[str]:
        """Every attribute that the rule names."""
        return frozenset().union(
            self.filter or frozenset(), self.breakdown or frozenset(), self.sum or frozenset(), self.blocked
        )

    def check(self, request: Request) -> Reason | None:
        """Forbid conditions, breakdowns and sums that read an attribute not allowed there."""
        question = request.question
        refused = {name for name in _filtered(question) if not self._may(name, self.filter)}
        refused |= {
            name for group in question.breakdowns for name in group if not self._may(name, self.breakdown)
        }
        refused |= {name for name in question.sums if not self._may(name, self.sum)}
        if not refused:
            return None
        read = [self.filter, self.breakdown, *([self.sum] if question.sums else [])]
        offered = tuple(
            sorted(name for name in request.attributes if all(self._may(name, allowed) for allowed in read))
        )
        asked = tuple(sorted(refused))
        return Reason(
            self.tag, f"The owner does not allow these attributes here: {', '.join(asked)}.", offered, asked
        )

    def repair(self, request: Request) -> Request | None:
        """Leave out the segments that read such an attribute, and the attribute in breakdowns and sums."""
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
        sums = tuple(name for name in question.sums if self._may(name, self.sum))
        # Statistics without a sum are a profile.
        kind = "profile" if question.sums and not sums else question.kind
        nearer = replace(question, kind=kind, segments=segments, breakdowns=breakdowns, sums=sums)
        return with_question(request, nearer)

    def meet(self, other: Self) -> Self:
        """Keep the attributes that both allow, and block what either blocks."""
        return replace(
            self,
            filter=both(self.filter, other.filter),
            breakdown=both(self.breakdown, other.breakdown),
            blocked=self.blocked | other.blocked,
            sum=both(self.sum, other.sum),
        )

    def to_data(self) -> dict[str, Any]:
        """Return the four lists."""
        return {
            "filter": listed(self.filter),
            "breakdown": listed(self.breakdown),
            "sum": listed(self.sum),
            "blocked": sorted(self.blocked),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `filter`, `breakdown`, `sum` (lists or "*"; absent allows none) and `blocked`."""
        only_keys(data, cls.tag, ("filter", "breakdown", "sum", "blocked"))
        return cls(
            names_or_all(data, cls.tag, "filter"),
            names_or_all(data, cls.tag, "breakdown"),
            names(data, cls.tag, "blocked"),
            names_or_all(data, cls.tag, "sum"),
        )

    def _may(self, name: str, allowed: frozenset[str] | None) -> bool:
        return name not in self.blocked and (allowed is None or name in allowed)


def _filtered(question: Question) -> set[str]:
    return {name for segment in question.segments for name in attributes_of(segment.condition)}


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


@REGISTRY.register
@dataclass(frozen=True)
class OverlapRequired(Rule):
    """A question is about the overlap alone: no figure of the dataset's own side, hence no affinity index.

    The size that an owner has released to everyone is no question and is not touched by it.
    """

    tag: ClassVar[str] = "overlap_required"

    def check(self, request: Request) -> Reason | None:
        """Forbid figures of the dataset's side."""
        if not request.question.affinity:
            return None
        message = (
            "The owner answers questions about the overlap only; affinity indices count in the dataset too."
        )
        return Reason(self.tag, message, "no affinity", "affinity")

    def repair(self, request: Request) -> Request | None:
        """Leave the affinity indices out."""
        return with_question(request, replace(request.question, affinity=False))

    def meet(self, other: Self) -> Self:  # noqa: ARG002 - both say the same
        """Return the rule itself."""
        return self

    def to_data(self) -> dict[str, Any]:
        """Return nothing: the rule has no limits to set."""
        return {}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read a rule without any key."""
        only_keys(data, cls.tag, ())
        return cls()
