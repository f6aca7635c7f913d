"""The team: who may sign in for the organisation, with which role."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import CLIENTS_WRITE, ROLES
from cleanroom.access.types import NewUser, User
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.signin.standings import standings_of
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.ui import go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/team")
Administering = Annotated[Visit, Depends(needs(CLIENTS_WRITE))]
_NOTICES = {
    "role": N_("The role is changed; it counts from now on."),
    "required": N_("From now on everybody needs a second factor."),
    "optional": N_("From now on a second factor is everybody's own choice."),
    "disabled": N_("This person cannot sign in any more, and was signed out everywhere."),
}


@router.get("")
def show_team(visit: Administering) -> Response:
    """Show who may sign in."""
    return _team_page(visit, notice=_NOTICES.get(visit.asked("done")))


@router.post("/invite")
def invite(visit: Administering) -> Response:
    """Make a record, and show the link that lets the person in, this once."""
    email, role = visit.typed("email"), visit.typed("role")
    try:
        with visit.room.db.transaction() as tx:
            made = visit.room.access.users.invite(
                tx,
                organisation_id=visit.who.organisation_id,
                email=email,
                role=role,
                by=visit.who.user_id,
            )
            sent = _send(visit, tx, made)
    except CleanroomError as error:
        return _team_page(visit, error=error_words(error), email=email, role=role, status=400)
    return _link_page(visit, made.user, f"/invitation/{made.invitation}", "invitation", sent=sent)


@router.post("/{user_id}/invite-again")
def invite_again(visit: Administering, user_id: str) -> Response:
    """Show a new link for somebody who has not accepted yet."""
    with visit.room.db.transaction() as tx:
        _own(visit, tx, user_id)
        made = visit.room.access.users.invite_again(tx, user_id, by=visit.who.user_id)
        sent = _send(visit, tx, made)
    return _link_page(visit, made.user, f"/invitation/{made.invitation}", "invitation", sent=sent)


@router.post("/{user_id}/reset")
def make_reset(visit: Administering, user_id: str) -> Response:
    """Show a link with which a person sets a new password."""
    with visit.room.db.transaction() as tx:
        user = _own(visit, tx, user_id)
        made = visit.room.signin.links.reset(
            tx, user_id, by=visit.who.user_id, drop_second_factor=visit.typed("drop") == "yes"
        )
        sent = visit.room.mail.reset(tx, user, made.token, language=visit.writing.language)
    return _link_page(visit, user, f"/reset/{made.token}", "reset", sent=sent)


@router.post("/second-factor")
def require_second_factor(visit: Administering) -> Response:
    """Require a second factor of everybody in the organisation, or no more."""
    required = visit.typed("required") == "yes"
    with visit.room.db.transaction() as tx:
        visit.room.signin.requirement.set(tx, visit.who.organisation_id, required, by=visit.who.user_id)
    return go(visit, f"/team?done={'required' if required else 'optional'}")


@router.post("/{user_id}/role")
def change_role(visit: Administering, user_id: str) -> Response:
    """Give a person another role."""
    try:
        with visit.room.db.transaction() as tx:
            _own(visit, tx, user_id)
            visit.room.access.users.change_role(tx, user_id, visit.typed("role"), by=visit.who.user_id)
    except CleanroomError as error:
        if error.code == "access.unknown_user":
            raise
        return _team_page(visit, error=error_words(error), status=409)
    return go(visit, "/team?done=role")


@router.post("/{user_id}/disable")
def disable(visit: Administering, user_id: str) -> Response:
    """End a person's access."""
    try:
        with visit.room.db.transaction() as tx:
            _own(visit, tx, user_id)
            visit.room.access.users.retire(tx, user_id, by=visit.who.user_id)
            visit.room.signin.end_all(tx, user_id)
    except CleanroomError as error:
        if error.code == "access.unknown_user":
            raise
        return _team_page(visit, error=error_words(error), status=409)
    return go(visit, "/team?done=disabled")


def _own(visit: Visit, tx: Transaction, user_id: str) -> User:
    return visit.room.access.users.user(tx, user_id, organisation_id=visit.who.organisation_id)


def _team_page(
    visit: Visit,
    *,
    notice: str | None = None,
    error: str | None = None,
    email: str = "",
    role: str = "viewer",
    status: int = 200,
) -> Response:
    with visit.room.db.reading() as tx:
        standings = standings_of(tx, visit.room.access.users, visit.who.organisation_id)
        required = visit.room.signin.requirement.stands(tx, visit.who.organisation_id)
    return page(
        visit,
        "cabinet/team.html",
        status=status,
        people=[one for one in standings if one.user.disabled_at is None],
        gone=[one for one in standings if one.user.disabled_at is not None],
        roles=tuple(ROLES[visit.who.kind]),
        required=required,
        everybody=visit.room.signin.requirement.everybody,
        notice=notice,
        error=error,
        email=email,
        role=role,
    )


def _send(visit: Visit, tx: Transaction, made: NewUser) -> bool:
    return visit.room.mail.invitation(tx, made.user, made.invitation, language=visit.writing.language)


def _link_page(visit: Visit, user: User, path: str, what: str, *, sent: bool) -> Response:
    """Show a link, this once; one that was sent is for its reader alone."""
    link = visit.room.settings.public_url + path if not sent else None
    return page(visit, "cabinet/link.html", user=user, link=link, what=what)
