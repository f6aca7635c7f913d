"""People's right to be erased, and how long data are kept: in datasets, and in bases."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from advertiser_api.auth import acting, requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath
from advertiser_api.v1 import erasing
from advertiser_api.v1.erasing import (
    CompactionOut,
    ErasureOut,
    NewErasure,
    NewErasureOut,
    NewRetention,
    RetentionOut,
)
from cleanroom.access.scopes import (
    BASES_READ,
    BASES_WRITE,
    CONSENTS_READ,
    CONSENTS_WRITE,
    DATASETS_READ,
    DATASETS_WRITE,
)
from cleanroom.access.types import Acting, Principal
from cleanroom.datasets.types import DatasetKind

router = APIRouter(prefix="/v1", tags=["rights"])
Asking = Annotated[Principal, Depends(requires(CONSENTS_WRITE))]
Looking = Annotated[Principal, Depends(requires(CONSENTS_READ))]
Reading = Annotated[Principal, Depends(requires(DATASETS_READ))]
Writing = Annotated[Principal, Depends(requires(DATASETS_WRITE))]
ReadingBases = Annotated[Acting, Depends(acting(BASES_READ))]
WritingBases = Annotated[Acting, Depends(acting(BASES_WRITE))]
DATASET, BASE = DatasetKind.DATASET, DatasetKind.BASE


@router.post(
    "/datasets/{dataset_id}/erasures",
    summary="Have somebody erased",
    status_code=201,
    response_model=NewErasureOut,
)
def erase_in_dataset(
    room: OpenRoom, caller: Asking, once: OnlyOnce, dataset_id: IdInPath, body: NewErasure
) -> Response:
    """Exclude a person at once, and have all rows of the person gone after the next pass over the files."""
    return erasing.ask(
        room, caller, once, body, dataset_id, organisation_id=caller.organisation_id, kind=DATASET
    )


@router.get("/datasets/{dataset_id}/erasures", summary="List requests to erase")
def list_dataset_erasures(
    room: OpenRoom, caller: Looking, page: AskedPage, dataset_id: IdInPath
) -> Listed[ErasureOut]:
    """List the requests over a dataset, the oldest first."""
    return erasing.list_erasures(room, page, dataset_id, organisation_id=caller.organisation_id, kind=DATASET)


@router.get("/datasets/{dataset_id}/erasures/{erasure_id}", summary="Read a request to erase")
def read_dataset_erasure(
    room: OpenRoom, caller: Looking, dataset_id: IdInPath, erasure_id: IdInPath
) -> ErasureOut:
    """Tell what has become of a request."""
    return erasing.read_erasure(
        room, dataset_id, erasure_id, organisation_id=caller.organisation_id, kind=DATASET
    )


@router.get(
    "/datasets/{dataset_id}/erasures/{erasure_id}/certificate",
    summary="Get the certificate of an erasure",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}},
)
def read_dataset_certificate(
    room: OpenRoom, caller: Looking, dataset_id: IdInPath, erasure_id: IdInPath
) -> Response:
    """Give the log's record of an erasure with the proof of its place; it is verified offline, as receipts are."""
    return erasing.certificate(
        room, dataset_id, erasure_id, organisation_id=caller.organisation_id, kind=DATASET
    )


@router.get("/datasets/{dataset_id}/compactions", summary="List passes over a dataset's files")
def list_dataset_compactions(
    room: OpenRoom, caller: Reading, page: AskedPage, dataset_id: IdInPath
) -> Listed[CompactionOut]:
    """List the passes that wrote files anew without erased people, and those to come; the newest first."""
    return erasing.list_compactions(
        room, page, dataset_id, organisation_id=caller.organisation_id, kind=DATASET
    )


@router.get("/datasets/{dataset_id}/retention", summary="Read a dataset's period of retention")
def read_dataset_retention(room: OpenRoom, caller: Reading, dataset_id: IdInPath) -> RetentionOut:
    """Show how long the data of a dataset are kept, and which version goes when."""
    return erasing.read_retention(room, dataset_id, organisation_id=caller.organisation_id, kind=DATASET)


@router.put("/datasets/{dataset_id}/retention", summary="Set a dataset's period of retention")
def set_dataset_retention(
    room: OpenRoom, caller: Writing, dataset_id: IdInPath, body: NewRetention
) -> RetentionOut:
    """Put a period in force; the room keeps it by itself."""
    return erasing.put_retention(
        room, caller, body, dataset_id, organisation_id=caller.organisation_id, kind=DATASET
    )


@router.post(
    "/bases/{base_id}/erasures",
    summary="Have somebody erased from a base",
    status_code=201,
    response_model=NewErasureOut,
)
def erase_in_base(
    room: OpenRoom, caller: WritingBases, once: OnlyOnce, base_id: IdInPath, body: NewErasure
) -> Response:
    """Have all rows of a client gone from a base; its files are written anew at once."""
    return erasing.ask(
        room, caller.principal, once, body, base_id, organisation_id=caller.advertiser_id, kind=BASE
    )


@router.get("/bases/{base_id}/erasures", summary="List requests to erase from a base")
def list_base_erasures(
    room: OpenRoom, caller: ReadingBases, page: AskedPage, base_id: IdInPath
) -> Listed[ErasureOut]:
    """List the requests over a base, the oldest first."""
    return erasing.list_erasures(room, page, base_id, organisation_id=caller.advertiser_id, kind=BASE)


@router.get("/bases/{base_id}/erasures/{erasure_id}", summary="Read a request to erase from a base")
def read_base_erasure(
    room: OpenRoom, caller: ReadingBases, base_id: IdInPath, erasure_id: IdInPath
) -> ErasureOut:
    """Tell what has become of a request."""
    return erasing.read_erasure(room, base_id, erasure_id, organisation_id=caller.advertiser_id, kind=BASE)


@router.get(
    "/bases/{base_id}/erasures/{erasure_id}/certificate",
    summary="Get the certificate of an erasure from a base",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}},
)
def read_base_certificate(
    room: OpenRoom, caller: ReadingBases, base_id: IdInPath, erasure_id: IdInPath
) -> Response:
    """Give the log's record of an erasure with the proof of its place."""
    return erasing.certificate(room, base_id, erasure_id, organisation_id=caller.advertiser_id, kind=BASE)


@router.get("/bases/{base_id}/retention", summary="Read a base's period of retention")
def read_base_retention(room: OpenRoom, caller: ReadingBases, base_id: IdInPath) -> RetentionOut:
    """Show how long the data of a base are kept, and which version goes when."""
    return erasing.read_retention(room, base_id, organisation_id=caller.advertiser_id, kind=BASE)


@router.put("/bases/{base_id}/retention", summary="Set a base's period of retention")
def set_base_retention(
    room: OpenRoom, caller: WritingBases, base_id: IdInPath, body: NewRetention
) -> RetentionOut:
    """Put a period in force; the room keeps it by itself."""
    return erasing.put_retention(
        room, caller.principal, body, base_id, organisation_id=caller.advertiser_id, kind=BASE
    )
