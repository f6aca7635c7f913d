"""Incidents: an organisation's own register, with terms, what is affected, and reports."""

from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Response

from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed, number_after
from advertiser_api.parties import Party, party
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath, Shown
from advertiser_api.v1.incident_schemas import (
    AffectedOut,
    Closing,
    DeadlineOut,
    DutyEnd,
    EntryOut,
    IncidentOut,
    NewIncident,
    Note,
    ReleaseOut,
    ScopeGiven,
    Sharing,
)
from cleanroom.access.scopes import INCIDENTS_READ, INCIDENTS_WRITE
from cleanroom.db.database import Transaction
from cleanroom.incidents.report import MEDIA_TYPES, ReportFormat, make_report, write_report
from cleanroom.incidents.rows import scope_to
from cleanroom.incidents.types import (
    Incident,
    IncidentState,
)
from cleanroom.papers.text import Language
from cleanroom.room import Room

T = TypeVar("T", bound=Shown)
router = APIRouter(prefix="/v1/incidents", tags=["incidents"])
Reader = Annotated[Party, Depends(party(INCIDENTS_READ, whole=True))]
Writer = Annotated[Party, Depends(party(INCIDENTS_WRITE, whole=True))]
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {media: {} for media in MEDIA_TYPES.values()}}
}


@router.get("", summary="List incidents")
def list_incidents(
    room: OpenRoom,
    caller: Reader,
    page: AskedPage,
    state: Annotated[IncidentState | None, Query()] = None,
    sort: Annotated[str, Query(pattern="^(opened|discovered|severity|state|due)$")] = "opened",
    descending: bool = True,
) -> Listed[IncidentOut]:
    """List the register, and what the operator has shared."""
    offset = number_after(page, first=0)
    with room.db.reading() as tx:
        found, _ = room.incidents.register.page(
            tx,
            caller.organisation_id,
            state=state,
            sort=sort,
            descending=descending,
            offset=offset,
            limit=page.fetch,
        )
    rows = list(enumerate(found, offset + 1))
    return page.of(rows, lambda row: _incident(room, row[1]), position=lambda row: str(row[0]))


@router.post("", summary="Enter an incident", status_code=201, response_model=IncidentOut)
def open_incident(room: OpenRoom, caller: Writer, once: OnlyOnce, body: NewIncident) -> Response:
    """Enter an incident: terms run from its discovery."""

    def act(tx: Transaction) -> IncidentOut:
        incident_id = room.incidents.open(
            tx,
            caller.organisation_id,
            kind=body.kind,
            severity=body.severity,
            title=body.title,
            text=body.text,
            discovered_at=body.discovered_at,
            by=caller.principal.client_id,
            scope=None if body.scope is None else body.scope.scope(),
        )
        return _look(room, tx, caller, incident_id)

    return once(caller.principal, act)


@router.get("/{incident_id}", summary="Look at an incident")
def read_incident(room: OpenRoom, caller: Reader, incident_id: IdInPath) -> IncidentOut:
    """Show an incident with the time that is left."""
    with room.db.reading() as tx:
        return _look(room, tx, caller, incident_id)


@router.get("/{incident_id}/entries", summary="List an incident's entries")
def list_entries(room: OpenRoom, caller: Reader, page: AskedPage, incident_id: IdInPath) -> Listed[EntryOut]:
    """List what was entered, in order; others than the owner see what is meant for them."""
    offset = number_after(page, first=0)
    with room.db.reading() as tx:
        incident = room.incidents.register.incident(tx, incident_id, organisation_id=caller.organisation_id)
        found, _ = room.incidents.register.entries(tx, incident, offset=offset, limit=page.fetch)
    rows = list(enumerate(found, offset + 1))
    return page.of(rows, lambda row: _shown(EntryOut, row[1]), position=lambda row: str(row[0]))


@router.post(
    "/{incident_id}/notes", summary="Add a note to an incident", status_code=201, response_model=IncidentOut
)
def add_note(room: OpenRoom, caller: Writer, once: OnlyOnce, incident_id: IdInPath, body: Note) -> Response:
    """Add what became known; entries are never changed."""

    def act(tx: Transaction) -> IncidentOut:
        room.incidents.note(tx, incident_id, **_whose(caller), text=body.text, shown=body.shown)
        return _look(room, tx, caller, incident_id)

    return once(caller.principal, act)


@router.post(
    "/{incident_id}/duties",
    summary="Enter what became of a duty to notify",
    status_code=201,
    response_model=IncidentOut,
)
def end_duty(
    room: OpenRoom, caller: Writer, once: OnlyOnce, incident_id: IdInPath, body: DutyEnd
) -> Response:
    """Enter that an authority was told, or why it need not be."""

    def act(tx: Transaction) -> IncidentOut:
        room.incidents.end_duty(
            tx, incident_id, body.duty, **_whose(caller), state=body.state, text=body.text, at=body.at
        )
        return _look(room, tx, caller, incident_id)

    return once(caller.principal, act)


@router.put("/{incident_id}/scope", summary="Enter what an incident is about")
def set_scope(room: OpenRoom, caller: Writer, incident_id: IdInPath, body: ScopeGiven) -> IncidentOut:
    """Enter which data and time it is about; the one before stays in the entries."""
    with room.db.transaction() as tx:
        room.incidents.set_scope(tx, incident_id, **_whose(caller), scope=body.scope())
        return _look(room, tx, caller, incident_id)


@router.get("/{incident_id}/affected", summary="See what an incident affects")
def read_affected(room: OpenRoom, caller: Reader, incident_id: IdInPath) -> AffectedOut:
    """Find data, rights and parties in SQL and in the log; each caller sees its own part."""
    with room.db.reading() as tx:
        found = room.incidents.affected(tx, incident_id, organisation_id=caller.organisation_id)
    return _shown(AffectedOut, found)


@router.get("/{incident_id}/releases", summary="List answers that an incident affects")
def list_releases(
    room: OpenRoom, caller: Reader, page: AskedPage, incident_id: IdInPath
) -> Listed[ReleaseOut]:
    """List the answers that left the room, by their receipts."""
    offset = number_after(page, first=0)
    with room.db.reading() as tx:
        found = room.incidents.released(
            tx, incident_id, organisation_id=caller.organisation_id, offset=offset, limit=page.fetch
        )
    rows = list(enumerate(found, offset + 1))
    return page.of(rows, lambda row: _shown(ReleaseOut, row[1]), position=lambda row: str(row[0]))


@router.post(
    "/{incident_id}/shares", summary="Share an incident", status_code=201, response_model=IncidentOut
)
def share_incident(
    room: OpenRoom, caller: Writer, once: OnlyOnce, incident_id: IdInPath, body: Sharing
) -> Response:
    """Show an incident of the operator to organisations that it affects."""

    def act(tx: Transaction) -> IncidentOut:
        room.incidents.share(tx, incident_id, body.organisation_ids, **_whose(caller))
        return _look(room, tx, caller, incident_id)

    return once(caller.principal, act)


@router.post("/{incident_id}/close", summary="Close an incident", status_code=201, response_model=IncidentOut)
def close_incident(
    room: OpenRoom, caller: Writer, once: OnlyOnce, incident_id: IdInPath, body: Closing
) -> Response:
    """Enter that it is over, once it is entered what became of every duty."""

    def act(tx: Transaction) -> IncidentOut:
        room.incidents.close(tx, incident_id, **_whose(caller), text=body.text)
        return _look(room, tx, caller, incident_id)

    return once(caller.principal, act)


@router.get(
    "/{incident_id}/report.{form}",
    summary="Get the report on an incident",
    response_class=Response,
    responses=_FILES,
)
def read_report(
    room: OpenRoom,
    caller: Reader,
    incident_id: IdInPath,
    form: ReportFormat,
    lang: Annotated[Language, Query(description="of the PDF's words")] = Language.EN,
) -> Response:
    """Give the report as JSON, with the part of the log that proves it, or as PDF."""
    with room.db.reading() as tx:
        report = make_report(
            tx,
            room.incidents,
            incident_id,
            organisation_id=caller.organisation_id,
            verifier_key=room.audit.verifier_key,
            now=room.clock.now(),
        )
    headers = {"Content-Disposition": f'attachment; filename="incident-{incident_id}.{form}"'}
    return Response(write_report(report, form, lang), media_type=MEDIA_TYPES[form], headers=headers)


def _whose(caller: Party) -> dict[str, str]:
    return {"organisation_id": caller.organisation_id, "by": caller.principal.client_id}


def _look(room: Room, tx: Transaction, caller: Party, incident_id: str) -> IncidentOut:
    found = room.incidents.register.incident(tx, incident_id, organisation_id=caller.organisation_id)
    return _incident(room, found)


def _incident(room: Room, incident: Incident) -> IncidentOut:
    now = room.clock.now()
    plain = {name: getattr(incident, name) for name in IncidentOut.model_fields}
    return IncidentOut(
        **plain
        | {
            "scope": None if incident.scope is None else scope_to(incident.scope),
            "deadlines": [
                DeadlineOut(
                    duty=one.duty,
                    due_at=one.due_at,
                    state=one.state,
                    ended_at=one.ended_at,
                    left_seconds=one.left_seconds(now),
                )
                for one in incident.deadlines
            ],
        }
    )


def _shown(shape: type[T], value: Any) -> T:
    return shape.model_validate(asdict(value))
