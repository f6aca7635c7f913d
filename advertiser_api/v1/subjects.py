"""One person, for the owner of the data: looked up by a hashed identifier in the body, and never remembered."""

from typing import Annotated

from fastapi import APIRouter, Depends

from advertiser_api.auth import requires
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath
from advertiser_api.v1.optout_shapes import AskedLookup, ExportOut, SubjectOut
from cleanroom.access.scopes import CONSENTS_READ, CONSENTS_WRITE, DATASETS_READ
from cleanroom.access.types import Principal
from cleanroom.subjects.exporting import export_document
from cleanroom.subjects.types import Lookup

router = APIRouter(prefix="/v1/datasets/{dataset_id}/subjects", tags=["consents"])
Reading = Annotated[Principal, Depends(requires(CONSENTS_READ))]
Exporting = Annotated[Principal, Depends(requires(CONSENTS_WRITE, DATASETS_READ))]


@router.post("/lookup", summary="Look up one person")
def look_up(room: OpenRoom, caller: Reading, dataset_id: IdInPath, body: AskedLookup) -> SubjectOut:
    """Tell what a dataset holds about an identifier; the log keeps who asked and why, and a commitment."""
    asked = _lookup(caller, dataset_id, body)
    return SubjectOut.of(room.lookups.look_up(asked, organisation_id=caller.organisation_id))


@router.post("/export", summary="Export what is held about one person")
def export(room: OpenRoom, caller: Exporting, dataset_id: IdInPath, body: AskedLookup) -> ExportOut:
    """Give everything a dataset holds about one person, attributes too, as one machine-readable document."""
    asked = _lookup(caller, dataset_id, body)
    subject = room.lookups.export(asked, organisation_id=caller.organisation_id)
    with room.db.reading() as tx:
        schema = room.datasets.living(tx, dataset_id).schema
    return ExportOut(document=export_document(subject, schema))


def _lookup(caller: Principal, dataset_id: str, body: AskedLookup) -> Lookup:
    return Lookup(dataset_id, body.named(), body.reason, body.reference, caller.client_id)
