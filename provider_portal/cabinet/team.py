"""The team: who may sign in for the organisation, with which role."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import CLIENTS_WRITE, ROLES
from cleanroom.access.types import User
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.signin.standings import standings_of
from provider_portal.i18n import N_
from provider_portal.ui import go, page
from provider_portal.visits import Visit, needs
from provider_portal.wording import error_words

router = APIRouter(prefix="/team")
Administering = Annotated[Visit, Depends(needs(CLIENTS_WRITE))]
_NOTICES = {
    "role": N_("The role is changed; it counts from now on."),
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
                tx, organisation_id=visit.who.organisation_id, email=email, role=role
            )
    except CleanroomError as error:
        return _team_page(visit, error=error_words(error), email=email, role=role, status=400)
    return _link_page(visit, made.user, f"/invitation/{made.invitation}", "invitation")


@router.post("/{user_id}/invite-again")
def invite_again(visit: Administering, user_id: str) -> Response:
    """Show a new link for somebody who has not accepted yet."""
    with visit.room.db.transaction() as tx:
        _own(visit, tx, user_id)
        made = visit.room.access.users.invite_again(tx, user_id)
    return _link_page(visit, made.user, f"/invitation/{made.invitation}", "invitation")


@router.post("/{user_id}/reset")
def make_reset(visit: Administering, user_id: str) -> Response:
    """Show a link with which a person sets a new password."""
    with visit.room.db.transaction() as tx:
        user = _own(visit, tx, user_id)
        made = visit.room.signin.links.reset(
            tx, user_id, by=visit.who.user_id, drop_second_factor=visit.typed("drop") == "yes"
        )
    return _link_page(visit, user, f"/reset/{made.token}", "reset")


@router.post("/{user_id}/role")
def change_role(visit: Administering, user_id: str) -> Response:
    """Give a person another role."""
    try:
        with visit.room.db.transaction() as tx:
            _own(visit, tx, user_id)
            visit.room.access.users.change_role(tx, user_id, visit.typed("role"))
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
            visit.room.access.users.retire(tx, user_id)
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
    return page(
        visit,
        "cabinet/team.html",
        status=status,
        people=[one for one in standings if one.user.disabled_at is None],
        gone=[one for one in standings if one.user.disabled_at is not None],
        roles=tuple(ROLES[visit.who.kind]),
        notice=notice,
        error=error,
        email=email,
        role=role,
    )


def _link_page(visit: Visit, user: User, path: str, what: str) -> Response:
    link = visit.room.settings.public_url + path
    return page(visit, "cabinet/link.html", user=user, link=link, what=what)
