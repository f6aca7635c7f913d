"""What takes two people: everything that was asked for and what became of it, and the say of whoever has one."""

from fastapi import APIRouter, Response

from cleanroom.foureyes.evidence import EVIDENCE_EXPORT
from cleanroom.foureyes.queue import queue, queued
from cleanroom.foureyes.types import AskState
from policies.codec import policy_from_data, policy_to_yaml
from provider_portal import second_person
from provider_portal.compliance.looking import Looking, sees_all, whose
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import TWO_PEOPLE, page
from provider_portal.visits import Visit, may_any

router = APIRouter(prefix="/compliance/two-people")
_PAGES = "/compliance/two-people"
_NOTICES = {
    "asked": N_("Asked. Somebody else has to confirm it before anything is done."),
    "done": N_("Confirmed, and done."),
    "rejected": N_("Rejected. Nothing was done."),
    "withdrawn": N_("Taken back. Nothing was done."),
}


@router.get("")
def list_asks(visit: Looking) -> Response:
    """Show what waits for a second person, and what became of the rest."""
    room = visit.room
    wanted = asked(visit, ("asked", "state"), default="asked", descending=True)
    state, about = visit.chosen("state", AskState), visit.asked("deed")
    deed = about if about in room.four_eyes.deeds else None
    with room.db.reading() as tx:
        found, total = queue(
            tx,
            room.four_eyes,
            whose(visit.who),
            state=state,
            deed=deed,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        "compliance/two_people.html",
        found=found,
        total=total,
        wanted=wanted,
        state=state,
        states=tuple(AskState),
        deed=deed,
        deeds=tuple(room.four_eyes.deeds),
        whole_room=sees_all(visit.who),
    )


@router.get("/{ask_id}")
def show_ask(visit: Looking, ask_id: str) -> Response:
    """Show who asked for what and why, who decided, and what it means."""
    return _ask_page(visit, ask_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{ask_id}/confirm")
def confirm(visit: Looking, ask_id: str) -> Response:
    """Confirm and do it; the person's password is asked for again."""
    return second_person.confirm(visit, ask_id, pages=_PAGES, show=_ask_page)


@router.post("/{ask_id}/reject")
def reject(visit: Looking, ask_id: str) -> Response:
    """Refuse it for good."""
    return second_person.reject(visit, ask_id, pages=_PAGES, show=_ask_page)


@router.post("/{ask_id}/withdraw")
def withdraw(visit: Looking, ask_id: str) -> Response:
    """Take back what one asked for oneself."""
    return second_person.withdraw(visit, ask_id, pages=_PAGES, show=_ask_page)


def _ask_page(
    visit: Visit,
    ask_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    reason: str = "",
    status: int = 200,
) -> Response:
    room, who = visit.room, visit.who
    with room.db.reading() as tx:
        found = queued(tx, room.four_eyes, ask_id, organisation_id=whose(who))
    ask = found.ask
    mine, own = ask.asked_by == who.user_id, ask.organisation_id == who.organisation_id
    document = ask.details.get("document")
    return page(
        visit,
        "compliance/ask.html",
        status=status,
        found=found,
        ask=ask,
        mine=mine,
        # What would be exported; other deeds are decided in the cabinet, beside what they are about.
        exported=ask.details.get("wanted") if ask.deed == EVIDENCE_EXPORT else None,
        text=policy_to_yaml(policy_from_data(document)) if document else "",
        decides=own and not mine and who.may(room.four_eyes.deeds[ask.deed].confirms),
        elsewhere=own and ask.deed != EVIDENCE_EXPORT and may_any(who, TWO_PEOPLE),
        reason=reason,
        notice=notice,
        error=error,
    )
