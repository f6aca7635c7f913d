"""Questions that wait for the owner's word: the list, one of them in words, and the ruling, which can be changed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import ANALYSES_READ, REQUESTS_DECIDE
from cleanroom.analyses import docket
from cleanroom.errors import CleanroomError
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.lists import approvals_page
from provider_portal.own import people_of
from provider_portal.questions import in_words
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/requests/questions")
# Exact questions are more than who bought what: whoever only keeps the books does not read them.
Reading = Annotated[Visit, Depends(needs(ANALYSES_READ, kinds=PROVIDERS))]
Deciding = Annotated[Visit, Depends(needs(REQUESTS_DECIDE, kinds=PROVIDERS))]
_NOTICES = {
    "approved": N_("Approved. The question is answered when it is asked again."),
    "rejected": N_("Rejected. The asker reads your reason."),
}


@router.get("")
def list_approvals(visit: Reading) -> Response:
    """Show which questions wait, and which were ruled on."""
    return approvals_page(visit, "cabinet/approvals.html")


@router.get("/{approval_id}")
def show_approval(visit: Reading, approval_id: str) -> Response:
    """Show who asks what, for which purpose, and what it would take."""
    return _approval_page(visit, approval_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{approval_id}/approve")
def approve(visit: Deciding, approval_id: str) -> Response:
    """Let the question or the template pass from now on."""
    who, reason = visit.who, visit.typed("note")
    try:
        with visit.room.db.transaction() as tx:
            visit.room.approvals.approve(
                tx, approval_id, organisation_id=who.organisation_id, reason=reason, by=who.user_id
            )
    except CleanroomError as error:
        if error.code != "rules.approval_reason":
            raise
        return _approval_page(visit, approval_id, error=error_words(error), note=reason, status=400)
    return go(visit, f"/requests/questions/{approval_id}?done=approved")


@router.post("/{approval_id}/reject")
def reject(visit: Deciding, approval_id: str) -> Response:
    """Refuse it from now on, with words for the asker."""
    who, reason = visit.who, visit.typed("reason")
    try:
        with visit.room.db.transaction() as tx:
            visit.room.approvals.reject(
                tx, approval_id, organisation_id=who.organisation_id, reason=reason, by=who.user_id
            )
    except CleanroomError as error:
        if error.code != "rules.approval_reason":
            raise
        return _approval_page(visit, approval_id, error=error_words(error), reason=reason, status=400)
    return go(visit, f"/requests/questions/{approval_id}?done=rejected")


def _approval_page(
    visit: Visit,
    approval_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    reason: str = "",
    note: str = "",
    status: int = 200,
) -> Response:
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        approval = room.approvals.approval(tx, approval_id, organisation_id=organisation_id)
        entry = docket.docket_entry(tx, approval)
        people = people_of(visit, tx, organisation_id)
    return page(
        visit,
        "cabinet/approval.html",
        status=status,
        entry=entry,
        question=in_words(approval.question, visit.writing),
        people=people,
        notice=notice,
        error=error,
        reason=reason,
        note=note,
    )
