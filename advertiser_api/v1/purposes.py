"""The register of an organisation's purposes and notices."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.v1.consent_shapes import DifferenceOut, NewNotice, NewPurpose, NoticeOut, PurposeOut
from cleanroom.access.scopes import CONSENTS_READ, CONSENTS_WRITE
from cleanroom.access.types import Principal

router = APIRouter(prefix="/v1", tags=["consents"])
Reading = Annotated[Principal, Depends(requires(CONSENTS_READ))]
Writing = Annotated[Principal, Depends(requires(CONSENTS_WRITE))]
CodeInPath = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
Version = Annotated[int, Query(ge=1, le=1_000_000)]


@router.get("/purposes", summary="List purposes")
def list_purposes(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[PurposeOut]:
    """List what the organisation has registered, the oldest first."""
    with room.db.reading() as tx:
        found = room.consent_register.purposes(
            tx, organisation_id=caller.organisation_id, after=page.after, limit=page.fetch
        )
    return page.of(found, PurposeOut.of, position=lambda one: one.id)


@router.post("/purposes", summary="Register a purpose", status_code=201, response_model=PurposeOut)
def register_purpose(room: OpenRoom, caller: Writing, once: OnlyOnce, body: NewPurpose) -> Response:
    """Register what data is processed for; it does not change afterwards."""
    return once(
        caller,
        lambda tx: PurposeOut.of(
            room.consent_register.add_purpose(
                tx,
                organisation_id=caller.organisation_id,
                code=body.code,
                title_en=body.title_en,
                title_ru=body.title_ru,
                legal_basis=body.legal_basis,
                kind=body.kind,
                tcf_purposes=body.tcf_purposes,
            )
        ),
    )


@router.get("/notices", summary="List notices")
def list_notices(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[NoticeOut]:
    """List every version of every notice, the oldest first."""
    with room.db.reading() as tx:
        found = room.consent_register.notices(
            tx, organisation_id=caller.organisation_id, after=page.after, limit=page.fetch
        )
    return page.of(found, NoticeOut.of, position=lambda one: one.id)


@router.post("/notices", summary="Publish a notice", status_code=201, response_model=NoticeOut)
def publish_notice(room: OpenRoom, caller: Writing, once: OnlyOnce, body: NewNotice) -> Response:
    """Publish the next version of a text that people are shown; earlier ones stay as they are."""
    return once(
        caller,
        lambda tx: NoticeOut.of(
            room.consent_register.publish_notice(
                tx,
                organisation_id=caller.organisation_id,
                code=body.code,
                text_en=body.text_en,
                text_ru=body.text_ru,
                purposes=body.purposes,
                separate_document=body.separate_document,
                valid_from=body.valid_from,
            )
        ),
    )


@router.get("/notices/{code}", summary="Read a notice")
def read_notice(
    room: OpenRoom, caller: Reading, code: CodeInPath, version: Version | None = None
) -> NoticeOut:
    """Show a version of a notice, the newest when none is named."""
    with room.db.reading() as tx:
        found = room.consent_register.notice(tx, code, version, organisation_id=caller.organisation_id)
    return NoticeOut.of(found)


@router.get("/notices/{code}/difference", summary="Compare two versions of a notice")
def compare_notices(
    room: OpenRoom, caller: Reading, code: CodeInPath, older: Version, newer: Version
) -> DifferenceOut:
    """Show line by line what differs."""
    with room.db.reading() as tx:
        lines = room.consent_register.difference(
            tx, code, older, newer, organisation_id=caller.organisation_id
        )
    return DifferenceOut(lines=list(lines))
