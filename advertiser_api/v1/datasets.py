"""Datasets: a provider's tables, their versions, and the rules that they are asked by."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath
from advertiser_api.v1 import tables
from advertiser_api.v1.tables import NewTable, Publishing, ReportOut, TableOut, VersionOut
from cleanroom.access.scopes import DATASETS_READ, DATASETS_WRITE
from cleanroom.access.types import Principal
from cleanroom.datasets.types import DatasetKind

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
Reading = Annotated[Principal, Depends(requires(DATASETS_READ))]
Writing = Annotated[Principal, Depends(requires(DATASETS_WRITE))]
KIND = DatasetKind.DATASET


@router.post("", summary="Register a dataset", status_code=201, response_model=TableOut)
def register_dataset(room: OpenRoom, caller: Writing, once: OnlyOnce, body: NewTable) -> Response:
    """Register a table about people: match keys, attributes, consents, and the basis of processing."""
    return once(
        caller,
        lambda tx: tables.register(room, tx, body, organisation_id=caller.organisation_id, kind=KIND),
    )


@router.get("", summary="List datasets")
def list_datasets(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[TableOut]:
    """List the provider's datasets, the oldest first."""
    return tables.list_tables(room, page, organisation_id=caller.organisation_id, kind=KIND)


@router.get("/{dataset_id}", summary="Read a dataset")
def read_dataset(room: OpenRoom, caller: Reading, dataset_id: IdInPath) -> TableOut:
    """Tell what is registered."""
    with room.db.reading() as tx:
        table = room.datasets.owned(tx, dataset_id, organisation_id=caller.organisation_id, kind=KIND)
        return tables.table_out(room, tx, table)


@router.delete("/{dataset_id}", summary="Delete a dataset for good", status_code=204)
def delete_dataset(room: OpenRoom, caller: Writing, dataset_id: IdInPath) -> None:
    """Delete a dataset: its sealed files go, its grants end, receipts and the log stay."""
    tables.delete(room, dataset_id, organisation_id=caller.organisation_id, kind=KIND)


@router.get("/{dataset_id}/versions", summary="List the versions of a dataset")
def list_dataset_versions(
    room: OpenRoom, caller: Reading, dataset_id: IdInPath, page: AskedPage
) -> Listed[VersionOut]:
    """List every load, also those that failed."""
    return tables.list_versions(room, page, dataset_id, organisation_id=caller.organisation_id, kind=KIND)


@router.get("/{dataset_id}/versions/{version_id}/report", summary="Read a quality report")
def read_dataset_report(
    room: OpenRoom, caller: Reading, dataset_id: IdInPath, version_id: IdInPath
) -> ReportOut:
    """Show exact figures on the owner's own file, and to nobody else."""
    return tables.report_of(room, dataset_id, version_id, organisation_id=caller.organisation_id, kind=KIND)


@router.post(
    "/{dataset_id}/versions/{version_id}/publish", summary="Publish a version", response_model=VersionOut
)
def publish_dataset_version(
    room: OpenRoom,
    caller: Writing,
    once: OnlyOnce,
    dataset_id: IdInPath,
    version_id: IdInPath,
    body: Publishing | None = None,
) -> Response:
    """Make a version the current one; questions from now on are answered from it."""
    return once(
        caller,
        lambda tx: tables.publish(
            room, tx, body, dataset_id, version_id, organisation_id=caller.organisation_id, kind=KIND
        ),
        status=200,
    )
