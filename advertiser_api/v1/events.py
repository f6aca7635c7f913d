"""The audit log, as far as it is one's own, with proofs that anyone can check offline."""

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from advertiser_api.auth import requires
from advertiser_api.pages import AskedPage, Listed, number_after
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Shown
from cleanroom.access.scopes import EVENTS_READ
from cleanroom.access.types import Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.audit.errors import UnknownEventError
from crypto.checkpoint import open_note

MAX_KINDS = 20
MAX_INDEX = 2**53 - 1
router = APIRouter(prefix="/v1", tags=["events"])
Reader = Annotated[Principal, Depends(requires(EVENTS_READ))]
Kind = Annotated[str, Field(pattern=r"^[a-z]+\.[a-z_]{1,80}$")]


class EventOut(Shown):
    """One event of the log."""

    index: int
    record: Annotated[str, Field(description="Canonical JSON; its UTF-8 bytes are what the leaf hashes.")]


class Proof(Shown):
    """That the log holds an event (RFC 6962, section 2.1.1)."""

    index: int
    record: str
    size: Annotated[int, Field(description="events of the log that the proof leads to")]
    proof: Annotated[list[str], Field(description="sibling hashes in base64, lowest first")]
    checkpoint: Annotated[str, Field(description="the signed head; its root is where the proof ends")]


class CheckpointOut(Shown):
    """The signed head of the log, to be kept outside of the room."""

    checkpoint: str
    verifier_key: Annotated[str, Field(description="compare it with the one you know")]


@router.get("/events", summary="List audit events")
def list_events(
    room: OpenRoom,
    caller: Reader,
    page: AskedPage,
    kind: Annotated[list[Kind], Query(max_length=MAX_KINDS)] = [],  # noqa: B006 - FastAPI copies it
) -> Listed[EventOut]:
    """List the events of the caller's organisation in the order of the log; the operator sees all."""
    after = number_after(page, first=-1)
    with room.db.reading() as tx:
        rows = room.audit.events(
            tx, organisation_id=_whose(caller), kinds=kind, after=after, limit=page.fetch
        )
    return page.of(
        rows, lambda row: EventOut(index=row[0], record=row[1].decode()), position=lambda row: str(row[0])
    )


@router.get("/events/{index}/proof", summary="Prove an event")
def prove_event(room: OpenRoom, caller: Reader, index: Annotated[int, Path(ge=0, le=MAX_INDEX)]) -> Proof:
    """Prove that the log holds an event of the caller's organisation."""
    with room.db.reading() as tx:
        whose = _whose(caller)
        if whose is not None and room.audit.owner(tx, index) != whose:
            raise UnknownEventError("The log has no event of this index.", remedy="Ask for a smaller index.")
        note = room.audit.head(tx)
        size = open_note(note, room.audit.verifier_key).size
        return Proof(
            index=index,
            record=room.audit.record(tx, index).decode(),
            size=size,
            proof=[base64.b64encode(node).decode("ascii") for node in room.audit.inclusion(tx, index, size)],
            checkpoint=note,
        )


@router.get("/checkpoint", summary="Get the log's signed head")
def read_checkpoint(room: OpenRoom, caller: Reader) -> CheckpointOut:  # noqa: ARG001 - it declares the scope
    """Give the signed head of the log, which the room keeps for good."""
    with room.db.transaction() as tx:
        note = room.audit.checkpoint(tx)
    return CheckpointOut(checkpoint=note, verifier_key=room.audit.verifier_key)


def _whose(caller: Principal) -> str | None:
    return None if caller.kind is OrganisationKind.OPERATOR else caller.organisation_id
