"""Alarms: patterns that the room has seen in its log, and who has looked at them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import ConfigDict, Field

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown
from cleanroom.access.scopes import EVENTS_READ, INCIDENTS_WRITE
from cleanroom.access.types import Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.alarms.reading import alarm, newest_alarms
from cleanroom.alarms.service import MAX_NOTE
from cleanroom.alarms.types import Alarm, AlarmKind, AlarmState, Whose
from cleanroom.db.database import Transaction

router = APIRouter(prefix="/v1/alarms", tags=["alarms"])
Reader = Annotated[Principal, Depends(requires(EVENTS_READ))]
Officer = Annotated[Principal, Depends(requires(INCIDENTS_WRITE))]


class AlarmOut(Shown):
    """A pattern that was seen in the log; while it is open, the same pattern adds to it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "al_0193f0c2a1b27d3e8f4a5b6c7d8e9f01",
                    "kind": "budget_race",
                    "state": "acknowledged",
                    "organisation_id": "org_0193f0c2a1b27d3e8f4a5b6c7d8e9f02",
                    "party_id": "org_0193f0c2a1b27d3e8f4a5b6c7d8e9f03",
                    "dataset_id": "ds_0193f0c2a1b27d3e8f4a5b6c7d8e9f05",
                    "raised_at": "2026-11-30T12:00:00.000000Z",
                    "last_at": "2026-11-30T12:40:00.000000Z",
                    "first_index": 4_711,
                    "last_index": 4_790,
                    "occurrences": 3,
                    "acknowledged_at": "2026-11-30T13:00:00.000000Z",
                    "acknowledged_by": "cl_0193f0c2a1b27d3e8f4a5b6c7d8e9f04",
                    "note": "A nightly job asked with last month's base.",
                }
            ]
        }
    )

    id: Id
    kind: AlarmKind
    state: AlarmState
    organisation_id: Annotated[
        Id | None,
        Field(description="whose people look at it; null for the room's own, the operator's to look at"),
    ]
    party_id: Annotated[Id | None, Field(description="whom it is about; null when that is not known")]
    dataset_id: Annotated[Id | None, Field(description="null when it is none, or several")]
    raised_at: Annotated[Instant, Field(description="when the pattern was first complete, by the log")]
    last_at: Instant
    first_index: Annotated[int, Field(description="of the event that completed it first, in the log")]
    last_index: int
    occurrences: Annotated[int, Field(description="how often the pattern was complete")]
    acknowledged_at: Instant | None
    acknowledged_by: Annotated[Id | None, Field(description="the user or the client that has looked")]
    note: Annotated[str, Field(description="what was found; empty while it is open")]


class Finding(Given):
    """What somebody found who looked at an alarm."""

    note: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_NOTE,
            description="for the log; name no people",
            examples=["A nightly job asked with last month's base."],
        ),
    ]


@router.get("", summary="List alarms")
def list_alarms(
    room: OpenRoom,
    caller: Reader,
    page: AskedPage,
    state: Annotated[AlarmState | None, Query(description="both when left out")] = None,
    kind: Annotated[
        list[AlarmKind], Query(max_length=len(AlarmKind), description="may be repeated; all when left out")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> Listed[AlarmOut]:
    """List the organisation's alarms, the newest first; the operator sees everybody's, and the room's own."""
    with room.db.reading() as tx:
        rows = newest_alarms(tx, _whose(caller), kinds=kind, state=state, before=page.after, limit=page.fetch)
    return page.of(rows, _shown, position=lambda one: one.id)


@router.get("/{alarm_id}", summary="Get an alarm")
def read_alarm(room: OpenRoom, caller: Reader, alarm_id: IdInPath) -> AlarmOut:
    """Tell what was seen, and what somebody has found."""
    with room.db.reading() as tx:
        return _shown(alarm(tx, alarm_id, _whose(caller)))


@router.post("/{alarm_id}/acknowledge", summary="Acknowledge an alarm", response_model=AlarmOut)
def acknowledge_alarm(
    room: OpenRoom, caller: Officer, once: OnlyOnce, alarm_id: IdInPath, body: Finding
) -> Response:
    """Note what was found: the alarm is over, and the same pattern raises a new one."""

    def act(tx: Transaction) -> AlarmOut:
        whose = _whose(caller)
        room.alarms.acknowledge(tx, alarm_id, whose, by=caller.client_id, note=body.note)
        return _shown(alarm(tx, alarm_id, whose))

    return once(caller, act, status=200)


def _whose(caller: Principal) -> Whose:
    return Whose(caller.organisation_id, whole_room=caller.kind is OrganisationKind.OPERATOR)


def _shown(found: Alarm) -> AlarmOut:
    plain = {name: getattr(found, name) for name in AlarmOut.model_fields}
    # Who looked is told by id: an address names a person.
    return AlarmOut(**plain | {"acknowledged_by": found.acknowledged_by_id})
