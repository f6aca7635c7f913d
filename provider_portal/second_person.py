"""What becomes of a deed that takes two people: the forms of more than one page lead here."""

from collections.abc import Callable
from typing import Any

from fastapi import Response

from cleanroom.errors import CleanroomError
from cleanroom.foureyes.errors import UnknownAskError
from cleanroom.foureyes.queue import queued
from provider_portal.error_words import error_words
from provider_portal.ui import go
from provider_portal.visits import Visit

Show = Callable[..., Response]


def confirm(visit: Visit, ask_id: str, *, pages: str, show: Show) -> Response:
    """Confirm a deed and do it; the person's password is asked for again.

    Args:
        visit: with the password.
        ask_id: which.
        pages: where the asks are, to go on to the one that ended.
        show: writes the page of the ask again, with an error.
    """
    who, room = visit.who, visit.room
    try:
        with room.db.reading() as tx:
            queued(tx, room.four_eyes, ask_id, organisation_id=who.organisation_id)
        room.signin.confirm_password(who, visit.typed("password"))
        with room.db.transaction() as tx:
            ended = room.four_eyes.confirm(tx, ask_id, organisation_id=who.organisation_id, by=who.user_id)
    except UnknownAskError:
        raise
    except CleanroomError as error:
        return show(visit, ask_id, error=error_words(error), status=409)
    return go(visit, f"{pages}/{ask_id}?done={ended.state.value}")


def reject(visit: Visit, ask_id: str, *, pages: str, show: Show) -> Response:
    """Refuse a deed for good; arguments as for `confirm`."""
    reason = visit.typed("reason")
    return _end(visit, ask_id, visit.room.four_eyes.reject, pages, show, {"reason": reason})


def withdraw(visit: Visit, ask_id: str, *, pages: str, show: Show) -> Response:
    """Take back what one asked for oneself; arguments as for `confirm`."""
    return _end(visit, ask_id, visit.room.four_eyes.withdraw, pages, show, {})


def _end(
    visit: Visit, ask_id: str, act: Callable[..., Any], pages: str, show: Show, said: dict[str, str]
) -> Response:
    who = visit.who
    try:
        with visit.room.db.transaction() as tx:
            ended = act(tx, ask_id, organisation_id=who.organisation_id, by=who.user_id, **said)
    except UnknownAskError:
        raise
    except CleanroomError as error:
        return show(visit, ask_id, error=error_words(error), status=409, **said)
    return go(visit, f"{pages}/{ask_id}?done={ended.state.value}")
