"""What takes two people: asking for it, looking at what others asked for, and deciding that."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.foureyes.deeds import SHRED, UNSAFE_POLICY
from cleanroom.foureyes.queue import Queued, queue, queued
from cleanroom.foureyes.types import AskState
from cleanroom.rekeying.shelf import keys_of
from policies.codec import policy_from_data, policy_from_yaml, policy_to_data, policy_to_yaml
from policies.diff import diff
from policies.model import PolicyDocument
from provider_portal import second_person
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import TWO_PEOPLE, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/four-eyes")
Looking = Annotated[Visit, Depends(needs(TWO_PEOPLE))]
_LONGEST_POLICY = 50_000
_NOTICES = {
    "asked": N_("Asked. Somebody else has to confirm it before anything is done."),
    "done": N_("Confirmed, and done."),
    "rejected": N_("Rejected. Nothing was done."),
    "withdrawn": N_("Taken back. Nothing was done."),
}


@router.get("")
def list_asks(visit: Looking) -> Response:
    """Show what waits for a second person, and what became of the rest."""
    wanted = asked(visit, ("asked", "state"), default="asked", descending=True)
    state = visit.chosen("state", AskState)
    with visit.room.db.reading() as tx:
        found, total = queue(
            tx,
            visit.room.four_eyes,
            visit.who.organisation_id,
            state=state,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    deeds = _asked_here(visit)
    return page(
        visit,
        "cabinet/four_eyes.html",
        found=found,
        total=total,
        wanted=wanted,
        state=state,
        states=tuple(AskState),
        deeds=deeds,
    )


@router.get("/new")
def new_ask(visit: Looking) -> Response:
    """Show the form for one of the deeds."""
    return _form(visit, visit.asked("deed"), about=visit.asked("about"))


@router.post("/new")
def add_ask(visit: Looking) -> Response:
    """Ask for a deed."""
    deed, about, reason = visit.typed("deed"), visit.typed("about").strip(), visit.typed("reason")
    text = visit.typed("policy", longest=_LONGEST_POLICY)
    try:
        details = {"document": policy_to_data(policy_from_yaml(text))} if deed == UNSAFE_POLICY else None
        with visit.room.db.transaction() as tx:
            made = visit.room.four_eyes.ask(
                tx, deed, about, reason=reason, by=visit.who.user_id, details=details
            )
    except CleanroomError as error:
        return _form(
            visit, deed, about=about, reason=reason, policy=text, error=error_words(error), status=400
        )
    return go(visit, f"/four-eyes/{made.id}?done=asked")


@router.get("/{ask_id}")
def show_ask(visit: Looking, ask_id: str) -> Response:
    """Show what is asked for, why, and what it would mean."""
    return _ask_page(visit, ask_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{ask_id}/confirm")
def confirm(visit: Looking, ask_id: str) -> Response:
    """Confirm and do it; the person's password is asked for again."""
    return second_person.confirm(visit, ask_id, pages="/four-eyes", show=_ask_page)


@router.post("/{ask_id}/reject")
def reject(visit: Looking, ask_id: str) -> Response:
    """Refuse it for good."""
    return second_person.reject(visit, ask_id, pages="/four-eyes", show=_ask_page)


@router.post("/{ask_id}/withdraw")
def withdraw(visit: Looking, ask_id: str) -> Response:
    """Take back what one asked for oneself."""
    return second_person.withdraw(visit, ask_id, pages="/four-eyes", show=_ask_page)


def _asked_here(visit: Visit) -> list[str]:
    """Return what the person may ask for on these pages; exports of evidence have pages of their own."""
    deeds = visit.room.four_eyes.deeds
    return [name for name in (SHRED, UNSAFE_POLICY) if visit.who.may(deeds[name].asks)]


def _form(
    visit: Visit,
    deed: str,
    *,
    about: str = "",
    reason: str = "",
    policy: str = "",
    error: str | None = None,
    status: int = 200,
) -> Response:
    mine = _asked_here(visit)
    name = deed if deed in visit.room.four_eyes.deeds else mine[0]
    if name not in mine:
        raise HTTPException(403)
    workspaces = []
    if name == SHRED:
        with visit.room.db.reading() as tx:
            workspaces = [
                one for one in keys_of(tx, visit.who.organisation_id) if not one.workspace.destroyed_at
            ]
    return page(
        visit,
        "cabinet/four_eyes_new.html",
        status=status,
        deed=name,
        workspaces=workspaces,
        about=about,
        reason=reason,
        policy=policy,
        error=error,
    )


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
        one = queued(tx, room.four_eyes, ask_id, organisation_id=who.organisation_id)
        changes = _changes(visit, tx, one)
        workspace = next(
            (
                keys
                for keys in keys_of(tx, who.organisation_id)
                if one.ask.deed == SHRED and keys.workspace.id == one.ask.subject_id
            ),
            None,
        )
    mine = one.ask.asked_by == who.user_id
    return page(
        visit,
        "cabinet/four_eyes_ask.html",
        status=status,
        one=one,
        changes=changes,
        policy=policy_to_yaml(_document(one)) if one.ask.deed == UNSAFE_POLICY else "",
        workspace=workspace,
        mine=mine,
        decides=not mine and who.may(room.four_eyes.deeds[one.ask.deed].confirms),
        reason=reason,
        notice=notice,
        error=error,
    )


def _document(one: Queued) -> PolicyDocument:
    return policy_from_data(one.ask.details["document"])


def _changes(visit: Visit, tx: Transaction, one: Queued) -> Any:
    """Return how an override differs from the rule in force."""
    if one.ask.deed != UNSAFE_POLICY or one.ask.state is not AskState.WAITING:
        return ()
    current = visit.room.rules.current(tx, one.ask.subject_id)
    return diff(current.document, _document(one)) if current is not None else ()
