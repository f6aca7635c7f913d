"""A question and the facts a decision may depend on; none of them comes from the provider's rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from policies.attributes import AttributeInfo
from policies.canonical_question import CanonicalQuestion, canonical_question
from policies.decision import Reason
from policies.question import Question


@dataclass(frozen=True)
class GrantFacts:
    """A grant as the decision sees it.

    Attributes:
        purposes: for which it was given.
        valid_from: first instant.
        expires_at: the instant it ends at, exclusive.
        left_micro: unspent micro-rho.
        active: neither revoked nor closed.
        left_delta_pico: unspent delta, in 10^-12.
    """

    purposes: tuple[str, ...]
    valid_from: datetime
    expires_at: datetime
    left_micro: int
    active: bool = True
    left_delta_pico: int = 0


class ApprovalState(StrEnum):
    """Where a request for the owner's approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Ruling:
    """What an owner has said to a question or a template of questions.

    Attributes:
        state: pending, approved or rejected.
        reason: the owner's words; empty while it is pending.
    """

    state: ApprovalState
    reason: str = ""


@dataclass(frozen=True)
class Request:
    """A question, who asks it, and the public facts around it.

    Attributes:
        question: as asked.
        attributes: all attributes of the dataset's schema, by name; the policy decides which of them may be
            used.
        advertiser_id: for whom it is asked.
        agency_id: who asks on the advertiser's behalf, if anyone.
        at: the instant of asking.
        base_persons: persons in the asker's own base.
        grant: what pays for it.
        labels: how many labels the base declares.
        match_keys: how many match keys both sides share.
        stopped: whether the owner's kill switch is on.
        sector: the advertiser's sector; None when it has not declared one.
        recent: the instants of earlier questions of the same advertiser, through the same agency if any,
            refused ones included, the newest first; as many as the rules need.
        rulings: the owner's rulings for this grant, by approval key.
        asked: fresh questions that this grant has asked before; as long as a quota limits them.
    """

    question: Question
    attributes: Mapping[str, AttributeInfo]
    advertiser_id: str
    agency_id: str | None
    at: datetime
    base_persons: int
    grant: GrantFacts
    labels: int = 0
    match_keys: int = 1
    stopped: bool = False
    sector: str | None = None
    recent: tuple[datetime, ...] = ()
    rulings: Mapping[str, Ruling] = field(default_factory=dict)
    asked: int = 0

    @cached_property
    def canonical(self) -> CanonicalQuestion:
        """The question's canonical form, found once for all that decide on it; raises QuestionError."""
        return canonical_question(self.question, self.attributes)


def wait_until(request: Request, instant: datetime) -> Request:
    """Return the request at a later instant: the next whole second, as instants are told in seconds."""
    whole = instant.replace(microsecond=0)
    return replace(request, at=whole if whole == instant else whole + timedelta(seconds=1))


class Check(Protocol):
    """Something that can forbid a request, and knows how the request could be changed."""

    def check(self, request: Request) -> Reason | None:
        """Return the reason for which the request is forbidden, or None."""
        ...

    def repair(self, request: Request) -> Request | None:
        """Return the nearest request that this check lets pass, or None when there is none."""
        ...
