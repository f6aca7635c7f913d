"""Requests: a buyer asks for a listing, its provider decides."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from advertiser_api.auth import acting, requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.parties import Party, PartyOut, party, party_out
from advertiser_api.problems import ReasonOut
from advertiser_api.refusals import missing_of, reasons_of, refusal
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown
from advertiser_api.v1.entitlements import EntitlementOut, entitlement_out
from cleanroom.access.scopes import ENTITLEMENTS_READ, REQUESTS_DECIDE, REQUESTS_WRITE
from cleanroom.access.types import Acting, Principal
from cleanroom.db.database import Transaction
from cleanroom.grants.types import AccountKind, Impact
from cleanroom.marketplace.requests import POLICY
from cleanroom.marketplace.types import Ask, Entitlement, EntitlementRequest, RequestState
from cleanroom.room import Room
from policies.decision import Deny, Gap

router = APIRouter(prefix="/v1/entitlement-requests", tags=["requests"])
Reading = Annotated[Party, Depends(party(ENTITLEMENTS_READ))]
Asking = Annotated[Acting, Depends(acting(REQUESTS_WRITE))]
Deciding = Annotated[Principal, Depends(requires(REQUESTS_DECIDE))]
Withdrawing = Annotated[Party, Depends(party(REQUESTS_WRITE))]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class NewRequest(Given):
    """What a buyer asks for, within what the listing offers."""

    listing_id: Id
    plan_key: Annotated[str, Field(max_length=40, examples=["monthly"])]
    purposes: Annotated[list[Name], Field(min_length=1, max_length=50, examples=[["advertising"]])]
    kinds: Annotated[list[Name], Field(min_length=1, max_length=100, examples=[["match_test", "overlap"]])]
    size: Annotated[str, Field(pattern="^[SML]$", description="of the grant of privacy budget")]
    days: Annotated[int, Field(ge=1, le=1_100, description="the term, from the approval on")]
    questions: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    note: Annotated[str, Field(max_length=2_000, description="to the provider")] = ""


class Reason(Given):
    """Why, for the other side to read."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class AccountOut(Shown):
    """What approving would leave in one account of privacy budget."""

    kind: AccountKind
    party: Annotated[str, Field(description="whose; empty for the total")]
    left_micro: Annotated[int, Field(description="micro-rho, now")]
    left_after_micro: Annotated[int, Field(description="below 0 when it does not fit")]
    cap_micro: int
    fits: bool


class ImpactOut(Shown):
    """What approving now would do to the population's privacy budget; for its provider alone."""

    accounts: list[AccountOut]
    reasons: Annotated[list[ReasonOut], Field(description="why the rule forbids it")]
    missing: Annotated[list[str], Field(description="what would have to exist")]


class RequestOut(Shown):
    """A request, and what became of it."""

    id: Id
    listing_id: Id
    listing_version_id: Id
    provider: PartyOut
    advertiser: PartyOut
    agency: PartyOut | None
    plan_key: str
    purposes: list[str]
    kinds: list[str]
    size: str
    days: int
    questions: int | None
    note: str
    state: RequestState
    reason: Annotated[str, Field(description="of a rejection")]
    requested_at: Instant
    decided_at: Instant | None
    decided_by_terms: Annotated[bool, Field(description="approved by the listing's own terms")]
    waited_seconds: Annotated[int, Field(description="until now, or until it was decided")]


class RequestDetail(RequestOut):
    """A request with what its approval would mean."""

    impact: Annotated[ImpactOut | None, Field(description="for the provider, while it waits")]


class RequestMade(RequestOut):
    """A request, and the entitlement if the listing's own terms approved it at once."""

    entitlement: EntitlementOut | None
    reasons: Annotated[list[ReasonOut], Field(description="why the terms could not approve it; it waits")]
    missing: list[str]


@router.post("", summary="Request an entitlement", status_code=201, response_model=RequestMade)
def request_entitlement(room: OpenRoom, caller: Asking, once: OnlyOnce, body: NewRequest) -> Response:
    """Ask for a listing; where its terms say so, match tests of size S are approved at once."""
    ask = Ask(
        plan_key=body.plan_key,
        purposes=frozenset(body.purposes),
        kinds=frozenset(body.kinds),
        size=body.size,
        days=body.days,
        questions=body.questions,
        note=body.note,
    )

    def request(tx: Transaction) -> RequestMade:
        asked = room.marketplace.requests.ask(
            tx,
            body.listing_id,
            ask,
            advertiser_id=caller.advertiser_id,
            agency_id=caller.agency_id,
            by=caller.principal.client_id,
        )
        given, refused = asked.entitlement, asked.refused
        return RequestMade(
            **_request(room, tx, asked.request).__dict__,
            entitlement=entitlement_out(room, tx, given) if given is not None else None,
            reasons=reasons_of(refused) if refused is not None else [],
            missing=missing_of(refused) if refused is not None else [],
        )

    return once(caller.principal, request)


@router.get("", summary="List requests")
def list_requests(
    room: OpenRoom, caller: Reading, page: AskedPage, state: Annotated[RequestState | None, Query()] = None
) -> Listed[RequestOut]:
    """List what the caller asked for, or was asked for, the oldest first."""
    with room.db.reading() as tx:
        found = room.marketplace.requests.requests(
            tx,
            organisation_id=caller.organisation_id,
            advertiser_id=caller.advertiser_id,
            state=state,
            after=page.after or None,
            limit=page.fetch,
        )
        return page.of(found, lambda one: _request(room, tx, one), position=lambda one: one.id)


@router.get("/{request_id}", summary="Read a request")
def read_request(room: OpenRoom, caller: Reading, request_id: IdInPath) -> RequestDetail:
    """Show a request; its provider also sees what approving it would leave of the privacy budget."""
    with room.db.reading() as tx:
        found = room.marketplace.requests.request(
            tx, request_id, organisation_id=caller.organisation_id, advertiser_id=caller.advertiser_id
        )
        impact = None
        if found.provider_id == caller.organisation_id and found.state is RequestState.PENDING:
            impact = _impact(
                room.marketplace.requests.impact(tx, request_id, organisation_id=caller.organisation_id)
            )
        return RequestDetail(**_request(room, tx, found).__dict__, impact=impact)


@router.post("/{request_id}/approve", summary="Approve a request", response_model=EntitlementOut)
def approve_request(
    room: OpenRoom, caller: Deciding, once: OnlyOnce, request_id: IdInPath, request: Request
) -> Response:
    """Give the buyer what it asked for; a second time gives the same entitlement.

    If the rule or an account of privacy budget refuses it, the answer is 409 with `reasons`, each with the nearest
    size that would fit, and the request waits on. That answer is kept under its idempotency key like any other.
    """

    def approve(tx: Transaction) -> tuple[BaseModel, int]:
        made = room.marketplace.requests.approve(
            tx, request_id, organisation_id=caller.organisation_id, by=caller.client_id
        )
        if isinstance(made, Entitlement):
            return entitlement_out(room, tx, made), 200
        return refusal(request, made)

    return once.with_status(caller, approve)


@router.post("/{request_id}/reject", summary="Reject a request", response_model=RequestOut)
def reject_request(
    room: OpenRoom, caller: Deciding, once: OnlyOnce, request_id: IdInPath, body: Reason
) -> Response:
    """Refuse a request, with words for the asker."""

    def reject(tx: Transaction) -> RequestOut:
        rejected = room.marketplace.requests.reject(
            tx,
            request_id,
            organisation_id=caller.organisation_id,
            reason=body.reason,
            by=caller.client_id,
        )
        return _request(room, tx, rejected)

    return once(caller, reject, status=200)


@router.post("/{request_id}/withdraw", summary="Withdraw a request", response_model=RequestOut)
def withdraw_request(room: OpenRoom, caller: Withdrawing, once: OnlyOnce, request_id: IdInPath) -> Response:
    """Take a request back that nobody has decided."""

    def withdraw(tx: Transaction) -> RequestOut:
        withdrawn = room.marketplace.requests.withdraw(
            tx,
            request_id,
            organisation_id=caller.organisation_id,
            advertiser_id=caller.advertiser_id,
            by=caller.principal.client_id,
        )
        return _request(room, tx, withdrawn)

    return once(caller.principal, withdraw, status=200)


def _request(room: Room, tx: Transaction, found: EntitlementRequest) -> RequestOut:
    ask = found.ask
    return RequestOut(
        id=found.id,
        listing_id=found.listing_id,
        listing_version_id=found.listing_version_id,
        provider=party_out(room, tx, found.provider_id),
        advertiser=party_out(room, tx, found.advertiser_id),
        agency=party_out(room, tx, found.agency_id) if found.agency_id is not None else None,
        plan_key=ask.plan_key,
        purposes=sorted(ask.purposes),
        kinds=sorted(ask.kinds),
        size=ask.size,
        days=ask.days,
        questions=ask.questions,
        note=ask.note,
        state=found.state,
        reason=found.reason,
        requested_at=found.requested_at,
        decided_at=found.decided_at,
        decided_by_terms=found.decided_by == POLICY,
        waited_seconds=int(found.age(room.clock.now()).total_seconds()),
    )


def _impact(found: tuple[Impact, ...] | Deny | Gap) -> ImpactOut:
    if not isinstance(found, tuple):
        return ImpactOut(accounts=[], reasons=reasons_of(found), missing=missing_of(found))
    accounts = [
        AccountOut(
            kind=one.kind,
            party=one.party,
            left_micro=one.left.rho_micro,
            left_after_micro=one.left_after.rho_micro,
            cap_micro=one.cap.rho_micro,
            fits=one.left_after.rho_micro >= 0 and one.left_after.delta_pico >= 0,
        )
        for one in found
    ]
    return ImpactOut(accounts=accounts, reasons=[], missing=[])
