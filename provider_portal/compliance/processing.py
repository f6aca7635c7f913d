"""The record of processing: which personal data are where, on which basis, since when, for whom, and how kept."""

import json

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from cleanroom.rights.processing_files import MEDIA_TYPES, Format, write_record
from provider_portal.compliance.looking import Looking
from provider_portal.tables import asked
from provider_portal.ui import page

router = APIRouter(prefix="/compliance/processing")
_TABLES = 3
"""On a page: each one is put together from many places."""


@router.get("")
def show_record(visit: Looking) -> Response:
    """Show the record as it is now, a few tables at a time; files have all of them."""
    wanted = asked(visit, (), default="")
    with visit.room.db.reading() as tx:
        record = visit.room.rights.processing.record(
            tx, visit.who.organisation_id, offset=(wanted.page - 1) * _TABLES, limit=_TABLES + 1
        )
    return page(
        visit,
        "compliance/processing.html",
        record=record,
        tables=record["tables"][:_TABLES],
        number=wanted.page,
        more=len(record["tables"]) > _TABLES,
        forms=("json", *Format),
    )


@router.get("/record.{form}")
def download(visit: Looking, form: str) -> Response:
    """Give the record as a file."""
    if form not in ("json", *Format):
        raise HTTPException(404)
    with visit.room.db.reading() as tx:
        record = visit.room.rights.processing.record(tx, visit.who.organisation_id)
    if form == "json":
        content, media_type = json.dumps(record, ensure_ascii=False, indent=1).encode(), "application/json"
    else:
        content, media_type = write_record(record, Format(form)), MEDIA_TYPES[Format(form)]
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="processing.{form}"'},
    )
