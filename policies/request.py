"""A question and the facts a decision may depend on; none of them comes from the provider's rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from policies.attributes import AttributeInfo
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
    """

    purposes: tuple[str, ...]
    valid_from: datetime
    expires_at: datetime
    left_micro: int
    active: bool = True


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


class Check(Protocol):
    """Something that can forbid a request, and knows how the request could be changed."""

    def check(self, request: Request) -> Reason | None:
        """Return the reason for which the request is forbidden, or None."""
        ...

    def repair(self, request: Request) -> Request | None:
        """Return the nearest request that this check lets pass, or None when there is none."""
        ...
