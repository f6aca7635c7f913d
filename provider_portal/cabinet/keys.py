"""Keys of the organisation's workspaces: what there is, since when, and replacing them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import KEYS_WRITE
from cleanroom.errors import CleanroomError
from cleanroom.rekeying.shelf import keys_of
from cleanroom.rekeying.types import What
from cleanroom.workspaces.errors import UnknownWorkspaceError
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.ui import go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/keys")
Keeping = Annotated[Visit, Depends(needs(KEYS_WRITE))]
_NOTICES = {
    "asked": N_("The room replaces the key in the background. You can leave this page."),
    "withdrawn": N_("Taken back: the key stays as it is."),
}


@router.get("")
def show_keys(visit: Keeping) -> Response:
    """Show the keys of every workspace, without any secret."""
    return _keys_page(visit, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{workspace_id}/rotate")
def rotate(visit: Keeping, workspace_id: str) -> Response:
    """Ask for a key to be replaced; a worker does it."""
    what = What.TOKENS if visit.typed("what") == What.TOKENS.value else What.WRAPPING
    try:
        with visit.room.db.transaction() as tx:
            visit.room.rekeying.ask(
                tx, workspace_id, what, organisation_id=visit.who.organisation_id, by=visit.who.user_id
            )
    except UnknownWorkspaceError:
        raise
    except CleanroomError as error:
        return _keys_page(visit, error=error_words(error), status=409)
    return go(visit, "/keys?done=asked")


@router.post("/rotations/{rotation_id}/withdraw")
def withdraw(visit: Keeping, rotation_id: str) -> Response:
    """Take a rotation back that has not begun."""
    who = visit.who
    try:
        with visit.room.db.transaction() as tx:
            visit.room.rekeying.withdraw(tx, rotation_id, organisation_id=who.organisation_id, by=who.user_id)
    except CleanroomError as error:
        if error.code == "rekeying.unknown":
            raise
        return _keys_page(visit, error=error_words(error), status=409)
    return go(visit, "/keys?done=withdrawn")


def _keys_page(
    visit: Visit, *, notice: str | None = None, error: str | None = None, status: int = 200
) -> Response:
    with visit.room.db.reading() as tx:
        found = keys_of(tx, visit.who.organisation_id)
    return page(
        visit,
        "cabinet/keys.html",
        status=status,
        found=found,
        busy=any(one.under_way for one in found),
        notice=notice,
        error=error,
    )
