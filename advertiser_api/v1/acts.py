"""Acts of destruction, and the record of processing."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from advertiser_api.auth import requires
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Id, IdInPath, Instant, Shown
from cleanroom.access.scopes import EVENTS_READ
from cleanroom.access.types import Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.papers.text import Language
from cleanroom.rights.act_pdf import write_act
from cleanroom.rights.processing_files import MEDIA_TYPES, Format, write_record
from cleanroom.rights.types import Act, ActKind

router = APIRouter(prefix="/v1", tags=["rights"])
Overseeing = Annotated[Principal, Depends(requires(EVENTS_READ))]


class ActForm(StrEnum):
    """Of an act's file."""

    PDF = "pdf"


_PDF: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": {"application/pdf": {}}}}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {media: {} for media in MEDIA_TYPES.values()}}
}


class ActOut(Shown):
    """An act of destruction."""

    id: Id
    number: int
    kind: ActKind
    subject_id: Annotated[str, Field(description="the version, the dataset, the pass or the workspace")]
    destroyed_at: Instant
    made_at: Instant
    event_index: Annotated[int, Field(description="of the event that destroyed it, in the log")]
    sha256: Annotated[str, Field(description="of the document's canonical form; the log states it")]


class ActDocument(ActOut):
    """An act with all that it says."""

    document: dict[str, Any]


class ProcessingRecord(Shown):
    """Which personal data an organisation has in the room."""

    v: int
    made_at: Annotated[str, Field(examples=["2026-11-30T12:00:00.000000Z"])]
    organisation: dict[str, str]
    system: str
    security: list[str]
    staff: dict[str, Any]
    tables: list[dict[str, Any]]


@router.get("/acts", summary="List acts of destruction")
def list_acts(room: OpenRoom, caller: Overseeing, page: AskedPage) -> Listed[ActOut]:
    """List what was destroyed of the organisation's data, the oldest first; for the operator, of everybody's."""
    with room.db.reading() as tx:
        rows = room.rights.acts.listed(tx, _whose(caller), after=page.after, limit=page.fetch)
    return page.of(rows, lambda act: ActOut(**_plain(act)), position=lambda act: act.id)


# Before the next one, whose placeholder would take the ending too.
@router.get(
    "/acts/{act_id}.{form}",
    summary="Get an act of destruction as a file",
    response_class=Response,
    responses=_PDF,
)
def read_act_file(
    room: OpenRoom,
    caller: Overseeing,
    act_id: IdInPath,
    form: ActForm,
    lang: Annotated[Language, Query(description="of its words")] = Language.EN,
) -> Response:
    """Give an act as PDF, with the extract of the log that belongs to it; the same bytes every time."""
    with room.db.reading() as tx:
        act = room.rights.acts.act(tx, act_id, organisation_id=_whose(caller))
    headers = {"Content-Disposition": f'attachment; filename="act-{act.number}.{form}"'}
    return Response(write_act(act, lang), media_type="application/pdf", headers=headers)


@router.get("/acts/{act_id}", summary="Read an act of destruction")
def read_act(room: OpenRoom, caller: Overseeing, act_id: IdInPath) -> ActDocument:
    """Show an act with the records of the log, as they stand in it."""
    with room.db.reading() as tx:
        act = room.rights.acts.act(tx, act_id, organisation_id=_whose(caller))
    return ActDocument(**_plain(act), document=dict(act.document))


@router.get("/processing-record", summary="Read the record of processing")
def read_processing_record(room: OpenRoom, caller: Overseeing) -> ProcessingRecord:
    """Tell which personal data the organisation has in the room, on which basis, since when, and for whom."""
    with room.db.reading() as tx:
        return ProcessingRecord(**room.rights.processing.record(tx, caller.organisation_id))


@router.get(
    "/processing-record.{form}",
    summary="Get the record of processing as a file",
    response_class=Response,
    responses=_FILES,
)
def read_processing_file(room: OpenRoom, caller: Overseeing, form: Format) -> Response:
    """Give the record as a table: one line for each dataset or base."""
    with room.db.reading() as tx:
        record = room.rights.processing.record(tx, caller.organisation_id)
    headers = {"Content-Disposition": f'attachment; filename="processing-record.{form}"'}
    return Response(write_record(record, form), media_type=MEDIA_TYPES[form], headers=headers)


def _whose(caller: Principal) -> str | None:
    return None if caller.kind is OrganisationKind.OPERATOR else caller.organisation_id


def _plain(act: Act) -> Mapping[str, Any]:
    return {name: getattr(act, name) for name in ActOut.model_fields}
