"""Listings, requests and entitlements as values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cleanroom.marketplace.content import ListingContent
from cleanroom.marketplace.plans import PricePlan
from cleanroom.release.types import ReleasedFigure
from policies.decision import Deny, Gap


class ListingState(StrEnum):
    """Where a listing stands, and each of its versions; a version is never paused or retired."""

    DRAFT = "draft"
    REVIEW = "review"
    LIVE = "live"
    PAUSED = "paused"
    RETIRED = "retired"
    SUPERSEDED = "superseded"


class Review(StrEnum):
    """Who looks at a listing before it goes live.

    `second`: another person of the provider, or the operator. `operator`: only the operator. `none`: nobody else.
    """

    SECOND = "second"
    OPERATOR = "operator"
    NONE = "none"


class Barrier(StrEnum):
    """Why somebody may not let a wording go live: it takes a second person, or the operator."""

    SECOND = "second"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Way:
    """Where a listing may go.

    Attributes:
        to: the state.
        barrier: what stands in the way of whoever looks; None when nothing does.
    """

    to: ListingState
    barrier: Barrier | None = None


class RequestState(StrEnum):
    """What became of a request."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class EntitlementState(StrEnum):
    """Whether an entitlement still gives a right."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class ListingVersion:
    """One wording of a listing.

    Attributes:
        id: `lv_...`.
        number: 1 for the first.
        state: draft, review, live or superseded.
        content: what it says.
        policy_id: the version of the analysis rule that it was written for.
        policy_sha256: hex digest of that document.
        grade: of the red team's report that the rule was published with; None without one.
        written_by: whose wording it is.
        reviewed_by: who let it go live; None before.
        created_at: when it was written.
    """

    id: str
    number: int
    state: ListingState
    content: ListingContent
    policy_id: str
    policy_sha256: str
    grade: str | None
    written_by: str
    reviewed_by: str | None
    created_at: datetime


@dataclass(frozen=True)
class Listing:
    """A listing as its reader may see it.

    Attributes:
        id: `lst_...`.
        provider_id: who offers.
        dataset_id: what is offered, or a part of it.
        state: draft, review, live, paused or retired.
        version: for a buyer the live one, with the plans that are offered to it; for its owner the newest.
        live_number: of the version that buyers see; None before the first.
        sizes: how many people may be counted, by purpose, as released to everyone; purposes without a release are
            missing. It is the sample that a listing shows: there is no other figure about people in it.
        created_at: when it was made.
    """

    id: str
    provider_id: str
    dataset_id: str
    state: ListingState
    version: ListingVersion
    live_number: int | None
    sizes: Mapping[str, ReleasedFigure]
    created_at: datetime

    def offered_to(self, *parties: str | None) -> "Listing":
        """Return the listing with the plans that are offered to everyone or to one of these parties."""
        content = self.version.content
        plans = tuple(replace_parties(plan) for plan in content.plans if plan.open_to(*parties))
        return replace(self, version=replace(self.version, content=replace(content, plans=plans)))


def replace_parties(plan: PricePlan) -> PricePlan:
    """Return a plan without the names of those to whom it is offered: they are no business of each other's."""
    return replace(plan, offered_to=frozenset())


@dataclass(frozen=True)
class Ask:
    """What a buyer asks for.

    Attributes:
        plan_key: one of the listing's tariffs.
        purposes: within the listing's.
        kinds: of analysis, within the listing's.
        size: S, M or L, within the listing's.
        days: the term, from the approval on.
        questions: at most so many; None for as many as the listing lets.
        note: to the provider, at most 2,000 characters.
    """

    plan_key: str
    purposes: frozenset[str]
    kinds: frozenset[str]
    size: str
    days: int
    questions: int | None = None
    note: str = ""


@dataclass(frozen=True)
class EntitlementRequest:
    """A buyer's request, and what became of it.

    Attributes:
        id: `erq_...`.
        listing_id: for which listing.
        listing_version_id: as it read when it was asked.
        provider_id: who decides.
        advertiser_id: for whom.
        agency_id: through whom, if anyone.
        ask: what is asked for.
        state: pending, approved, rejected or withdrawn.
        reason: of a rejection.
        requested_by: the person or client that asked.
        requested_at: when.
        decided_by: the person or client that decided; `policy` when the listing's own terms did; `room` when a party
            left or the data is gone; None before.
        decided_at: when; None before.
    """

    id: str
    listing_id: str
    listing_version_id: str
    provider_id: str
    advertiser_id: str
    agency_id: str | None
    ask: Ask
    state: RequestState
    reason: str
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None

    def age(self, now: datetime) -> timedelta:
        """Return how long it has waited, or waited until it was decided."""
        return (self.decided_at or now) - self.requested_at


@dataclass(frozen=True)
class Entitlement:
    """A right to use a dataset, with its grant.

    Attributes:
        id: `ent_...`.
        request_id: of the request that it answers.
        grant_id: the budget that comes with it.
        listing_id: of which listing.
        listing_version_id: the wording it was made from, for good.
        plan: the tariff, as that wording has it, without whom a private offer names.
        dataset_id: what may be asked.
        provider_id: whose it is.
        advertiser_id: for whom.
        agency_id: through whom, if anyone.
        fee_bp: the operator's share of every amount, in basis points.
        valid_from: first instant.
        expires_at: the instant it ends at, exclusive.
        state: active, expired or revoked.
        ended_at: from when it gives no right any more; None while it does.
        end_reason: of a revocation.
    """

    id: str
    request_id: str
    grant_id: str
    listing_id: str
    listing_version_id: str
    plan: PricePlan
    dataset_id: str
    provider_id: str
    advertiser_id: str
    agency_id: str | None
    fee_bp: int
    valid_from: datetime
    expires_at: datetime
    state: EntitlementState
    ended_at: datetime | None
    end_reason: str

    @property
    def ends_at(self) -> datetime:
        """The instant from which it gives no right, known or to come."""
        return self.ended_at or self.expires_at


@dataclass(frozen=True)
class Asked:
    """What became of a request at once.

    Attributes:
        request: pending; or approved, when the listing's own terms approve it.
        entitlement: of an approved one.
        refused: why the terms could not approve it after all, without what others hold; it waits for the provider then.
    """

    request: EntitlementRequest
    entitlement: Entitlement | None = None
    refused: Deny | Gap | None = None
