"""Requests of buyers: the list, one of them with what approving it would mean, and the decision."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import ENTITLEMENTS_READ, REQUESTS_DECIDE
from cleanroom.errors import CleanroomError
from cleanroom.marketplace import desk
from cleanroom.marketplace.errors import UnknownRequestError
from cleanroom.marketplace.types import Entitlement, RequestState
from policies.decision import Deny, Gap
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/requests")
Reading = Annotated[Visit, Depends(needs(ENTITLEMENTS_READ, kinds=PROVIDERS))]
Deciding = Annotated[Visit, Depends(needs(REQUESTS_DECIDE, kinds=PROVIDERS))]
_NOTICES = {
    "approved": N_("Approved. The buyer can ask from now on."),
    "rejected": N_("Rejected. The buyer reads your reason."),
}


@router.get("")
def list_requests(visit: Reading) -> Response:
    """Show what buyers asked for."""
    wanted = asked(visit, desk.SORTS, default="asked", descending=True)
    state = visit.chosen("state", RequestState)
    with visit.room.db.reading() as tx:
        found, total = desk.entries(
            tx,
            visit.who.organisation_id,
            state=state,
            buyer=wanted.text,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        "cabinet/requests.html",
        found=found,
        total=total,
        wanted=wanted,
        state=state,
        states=tuple(RequestState),
    )


@router.get("/{request_id}")
def show_request(visit: Reading, request_id: str) -> Response:
    """Show a request, and while it waits what approving it would leave of the privacy budget."""
    notice = _NOTICES.get(visit.asked("done"))
    return _request_page(visit, request_id, notice=notice)


@router.post("/{request_id}/approve")
def approve(visit: Deciding, request_id: str) -> Response:
    """Give the buyer what it asked for, unless a rule or the budget refuses."""
    who = visit.who
    try:
        with visit.room.db.transaction() as tx:
            made = visit.room.marketplace.requests.approve(
                tx, request_id, organisation_id=who.organisation_id, by=who.user_id
            )
    except UnknownRequestError:
        raise
    except CleanroomError as error:
        return _request_page(visit, request_id, error=error_words(error), status=409)
    if isinstance(made, Entitlement):
        return go(visit, f"/requests/{request_id}?done=approved")
    return _request_page(visit, request_id, refused=made, status=409)


@router.post("/{request_id}/reject")
def reject(visit: Deciding, request_id: str) -> Response:
    """Refuse a request, with words for the buyer."""
    who, reason = visit.who, visit.typed("reason")
    try:
        with visit.room.db.transaction() as tx:
            visit.room.marketplace.requests.reject(
                tx, request_id, organisation_id=who.organisation_id, reason=reason, by=who.user_id
            )
    except UnknownRequestError:
        raise
    except CleanroomError as error:
        return _request_page(visit, request_id, error=error_words(error), reason=reason, status=409)
    return go(visit, f"/requests/{request_id}?done=rejected")


def _request_page(
    visit: Visit,
    request_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    refused: Deny | Gap | None = None,
    reason: str = "",
    status: int = 200,
) -> Response:
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        found = room.marketplace.requests.request(tx, request_id, organisation_id=organisation_id)
        if found.provider_id != organisation_id:
            raise UnknownRequestError("There is no request with this id.", remedy="List your requests.")
        entry = desk.entry(tx, found)
        impact = None
        if found.state is RequestState.PENDING:
            impact = room.marketplace.requests.impact(tx, request_id, organisation_id=organisation_id)
        granted = None
        if found.state is RequestState.APPROVED:
            granted = room.marketplace.entitlements.of_request(tx, request_id)
    refusal = refused if refused is not None else impact if isinstance(impact, Deny | Gap) else None
    return page(
        visit,
        "cabinet/request.html",
        status=status,
        entry=entry,
        accounts=impact if isinstance(impact, tuple) else (),
        reasons=refusal.reasons if isinstance(refusal, Deny) else (),
        missing=refusal.missing if isinstance(refusal, Gap) else (),
        granted=granted,
        notice=notice,
        error=error,
        reason=reason,
    )
