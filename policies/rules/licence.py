"""What a buyer's licence adds to the owner's rules: how many questions, about which segments, and by whom."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from policies.canonical import canonical_condition
from policies.condition import Condition, attributes_of, condition_to_data, parse_condition
from policies.decision import Reason
from policies.errors import PolicyFormatError, QuestionError
from policies.request import Request
from policies.rules.base import REGISTRY, Rule, only_keys, whole_number

MOST_QUESTIONS = 1_000_000
_MOST_SEGMENTS = 200


@REGISTRY.register
@dataclass(frozen=True)
class Quota(Rule):
    """How many fresh questions one grant may ask in all; stored answers and refusals at once take nothing off it."""

    max: int
    tag: ClassVar[str] = "quota"

    def check(self, request: Request) -> Reason | None:
        """Forbid one question too many."""
        if request.asked < self.max:
            return None
        return Reason(
            self.tag, f"The licence is for {self.max} questions in all.", self.max, request.asked + 1
        )

    def repair(self, request: Request) -> Request | None:  # noqa: ARG002 - nothing that the asker can change
        """Return None: no fresh question under this grant is permitted."""
        return None

    def meet(self, other: Self) -> Self:
        """Keep the smaller number."""
        return min(self, other, key=lambda rule: rule.max)

    def to_data(self) -> dict[str, Any]:
        """Return the number."""
        return {"max": self.max}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `max`."""
        only_keys(data, cls.tag, ("max",))
        return cls(whole_number(data, cls.tag, "max", low=0, high=MOST_QUESTIONS))


@REGISTRY.register
@dataclass(frozen=True)
class Direct(Rule):
    """Only the advertiser itself asks: no agency gets to see figures that may not be passed on."""

    tag: ClassVar[str] = "direct"

    def check(self, request: Request) -> Reason | None:
        """Forbid a grant that goes through an agency."""
        return self.refuse(request.agency_id)

    def refuse(self, agency_id: str | None) -> Reason | None:
        """Return the reason for which an agency may not ask, or None when there is none."""
        if agency_id is None:
            return None
        return Reason(self.tag, "The figures are for the advertiser alone.", "no agency", agency_id)

    def repair(self, request: Request) -> Request | None:  # noqa: ARG002 - nothing that the asker can change
        """Return None: no question of this grant is permitted."""
        return None

    def meet(self, other: Self) -> Self:  # noqa: ARG002 - two of them say the same
        """Keep the rule."""
        return self

    def to_data(self) -> dict[str, Any]:
        """Return nothing: the rule has no limits."""
        return {}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read the rule; it has no keys."""
        only_keys(data, cls.tag, ())
        return cls()


@REGISTRY.register
@dataclass(frozen=True)
class ReadyMade(Rule):
    """Only these segments may be asked for, in whatever spelling, and neither breakdowns nor sums."""

    segments: frozenset[Condition]
    tag: ClassVar[str] = "ready_made"

    @property
    def named(self) -> frozenset[str]:
        """Every attribute that the segments read."""
        return frozenset(name for condition in self.segments for name in attributes_of(condition))

    def check(self, request: Request) -> Reason | None:
        """Forbid other segments, and whatever else would look inside the overlap."""
        if self._kept(request) == request.question:
            return None
        message = f"The licence is for {len(self.segments)} ready-made segments, without breakdowns and sums."
        return Reason(self.tag, message, "ready-made segments", "another part of the dataset")

    def repair(self, request: Request) -> Request | None:
        """Leave out everything else."""
        return replace(request, question=self._kept(request))

    def _kept(self, request: Request) -> Any:
        allowed = set()
        for condition in self.segments:
            try:
                allowed.add(canonical_condition(condition, request.attributes).key)
            except QuestionError:
                # The dataset no longer declares what this segment reads; nobody can ask for it.
                continue
        question = request.question
        segments = tuple(
            segment
            for segment in question.segments
            if canonical_condition(segment.condition, request.attributes).key in allowed
        )
        kind = "profile" if question.sums else question.kind
        return replace(question, kind=kind, segments=segments, breakdowns=(), sums=())

    def meet(self, other: Self) -> Self:
        """Keep the segments that both allow, in the same words."""
        return type(self)(self.segments & other.segments)

    def to_data(self) -> dict[str, Any]:
        """Return the conditions, in an order of their own."""
        written = [condition_to_data(condition) for condition in self.segments]
        return {"segments": sorted(written, key=lambda data: json.dumps(data, sort_keys=True))}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read `segments`: a list of conditions."""
        only_keys(data, cls.tag, ("segments",))
        segments = data.get("segments")
        if not isinstance(segments, list) or len(segments) > _MOST_SEGMENTS:
            raise PolicyFormatError(
                f"`segments` of the rule {cls.tag!r} is a list of at most {_MOST_SEGMENTS} conditions."
            )
        try:
            return cls(frozenset(parse_condition(segment) for segment in segments))
        except QuestionError as error:
            raise PolicyFormatError(
                f"A segment of the rule {cls.tag!r} cannot be read: {error.message}", remedy=error.remedy
            ) from None
