"""What an incident is about: the form for its data and its time. The one before stays in the entries."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import APIRouter, Response

from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.incidents.errors import IncidentClosedError, IncidentScopeError, UnknownIncidentError
from cleanroom.incidents.types import Incident, IncidentState, Scope
from provider_portal.compliance.looking import Acting, instant, sees_all
from provider_portal.error_words import error_words
from provider_portal.ui import go, page
from provider_portal.visits import Visit

router = APIRouter(prefix="/compliance/incidents")
_MOST_CHOICES = 200
_MOST_DIGITS = 7
_LONGEST_TEXT = 10_001
_IDS = ("workspace_id", "dataset_id", "signer_key_id", "client_id")
_NUMBERS = ("version_from", "version_to")
_INSTANTS = ("since", "until")


@router.get("/{incident_id}/scope")
def show_scope(visit: Acting, incident_id: str) -> Response:
    """Show the form with what is entered now."""
    with visit.room.db.reading() as tx:
        found = _own(visit, tx, incident_id)
    if found.state is IncidentState.CLOSED:
        raise IncidentClosedError("This incident is closed.", remedy="Add a note, or enter a new one.")
    return _form(visit, found, _written(visit, found.scope or Scope()))


@router.post("/{incident_id}/scope")
def enter_scope(visit: Acting, incident_id: str) -> Response:
    """Enter which data and time it is about."""
    who, room = visit.who, visit.room
    with room.db.reading() as tx:
        found = _own(visit, tx, incident_id)
    text = visit.typed("text", longest=_LONGEST_TEXT)
    try:
        scope = _read(visit, found.scope or Scope())
        with room.db.transaction() as tx:
            room.incidents.set_scope(
                tx, incident_id, organisation_id=who.organisation_id, scope=scope, by=who.user_id, text=text
            )
    except CleanroomError as error:
        typed = {name: visit.typed(name) for name in (*_IDS, *_NUMBERS, *_INSTANTS)}
        return _form(visit, found, typed | {"text": text}, error=error_words(error), status=400)
    return go(visit, f"/compliance/incidents/{incident_id}?done=scoped")


def _own(visit: Visit, tx: Transaction, incident_id: str) -> Incident:
    """Return an incident of the visitor's own register; one that was only shared is not theirs to change."""
    register = visit.room.incidents.register
    found = register.incident(tx, incident_id, organisation_id=visit.who.organisation_id)
    if not found.own:
        raise UnknownIncidentError("There is no incident with this id.", remedy="List the register.")
    return found


def _written(visit: Visit, scope: Scope) -> dict[str, str]:
    """Write a scope as the form has it."""
    written = {name: str(getattr(scope, name) or "") for name in (*_IDS, *_NUMBERS)}
    return written | {name: _local(visit, getattr(scope, name)) for name in _INSTANTS} | {"text": ""}


def _local(visit: Visit, value: datetime | None) -> str:
    """Write an instant as a browser takes it, in the room's zone and to the second."""
    if value is None:
        return ""
    return value.astimezone(visit.writing.zone).replace(tzinfo=None).isoformat(timespec="seconds")


def _read(visit: Visit, before: Scope) -> Scope:
    """Read the form.

    Raises:
        IncidentScopeError: a number is none, or an instant is none.
    """
    return Scope(
        workspace_id=visit.typed("workspace_id").strip() or None,
        dataset_id=visit.typed("dataset_id").strip() or None,
        version_from=_number(visit.typed("version_from").strip()),
        version_to=_number(visit.typed("version_to").strip()),
        since=_instant(visit, "since", before.since),
        until=_instant(visit, "until", before.until),
        signer_key_id=visit.typed("signer_key_id").strip() or None,
        client_id=visit.typed("client_id").strip() or None,
    )


def _instant(visit: Visit, name: str, before: datetime | None) -> datetime | None:
    text = visit.typed(name)
    # A browser knows no parts of a second: what nobody has changed stays to the microsecond.
    if before is not None and _local(visit, before) == _to_the_second(text):
        return before
    found = instant(visit, text)
    if text and found is None:
        raise _unreadable()
    return found


def _to_the_second(text: str) -> str:
    """Return an instant with the seconds that a browser leaves out where they are none."""
    return f"{text}:00" if text.count(":") == 1 else text


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
        raise _unreadable()
    return int(text)


def _unreadable() -> IncidentScopeError:
    return IncidentScopeError(
        "The scope cannot be read.", remedy="Give whole numbers from 1, and days with a time."
    )


def _form(
    visit: Visit,
    found: Incident,
    typed: Mapping[str, str],
    *,
    error: str | None = None,
    status: int = 200,
) -> Response:
    with visit.room.db.reading() as tx:
        choices = _choices(visit, tx)
    return page(
        visit,
        "compliance/incident_scope.html",
        status=status,
        found=found,
        typed=typed,
        choices=choices,
        error=error,
    )


def _choices(visit: Visit, tx: Transaction) -> dict[str, dict[str, str] | None]:
    """Return, by field, what can be chosen and how it is called; None where an id is typed instead.

    An operator's incident may be about anybody's data, which are too many for a list, and so may be one's own.
    """
    if sees_all(visit.who):
        return dict.fromkeys(_IDS)
    room, owner = visit.room, visit.who.organisation_id
    tables = {
        one.id: one.name
        for kind in DatasetKind
        for one in room.datasets.datasets_of(tx, organisation_id=owner, kind=kind, limit=_MOST_CHOICES + 1)
    }
    found: dict[str, dict[str, str]] = {
        "workspace_id": {one.id: one.name for one in room.workspaces.living_of(tx, owner)},
        "dataset_id": tables,
        "signer_key_id": {
            one.id: one.id for one in room.accounts.signing_keys(tx, owner, limit=_MOST_CHOICES + 1)
        },
        "client_id": {one.id: one.name for one in room.access.clients.of(tx, owner)},
    }
    return {name: some if len(some) <= _MOST_CHOICES else None for name, some in found.items()}
