"""Bases: an advertiser's own match keys and labels, brought by itself or by its agency."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from advertiser_api.auth import acting
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath
from advertiser_api.v1 import tables
from advertiser_api.v1.tables import NewTable, Publishing, ReportOut, TableOut, VersionOut
from cleanroom.access.scopes import BASES_READ, BASES_WRITE
from cleanroom.access.types import Acting
from cleanroom.datasets.types import DatasetKind

router = APIRouter(prefix="/v1/bases", tags=["bases"])
Reading = Annotated[Acting, Depends(acting(BASES_READ))]
Writing = Annotated[Acting, Depends(acting(BASES_WRITE))]
KIND = DatasetKind.BASE


@router.post("", summary="Register a base", status_code=201, response_model=TableOut)
def register_base(room: OpenRoom, caller: Writing, once: OnlyOnce, body: NewTable) -> Response:
    """Register match keys and labels, with the basis on which the advertiser processes them."""
    return once(
        caller.principal,
        lambda tx: tables.register(room, tx, body, organisation_id=caller.advertiser_id, kind=KIND),
    )


@router.get("", summary="List bases")
def list_bases(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[TableOut]:
    """List the advertiser's bases, the oldest first."""
    return tables.list_tables(room, page, organisation_id=caller.advertiser_id, kind=KIND)


@router.get("/{base_id}", summary="Read a base")
def read_base(room: OpenRoom, caller: Reading, base_id: IdInPath) -> TableOut:
    """Tell what is registered."""
    with room.db.reading() as tx:
        table = room.datasets.owned(tx, base_id, organisation_id=caller.advertiser_id, kind=KIND)
        return tables.table_out(room, tx, table)


@router.delete("/{base_id}", summary="Delete a base for good", status_code=204)
def delete_base(room: OpenRoom, caller: Writing, base_id: IdInPath) -> None:
    """Delete a base: its sealed files go, receipts and the log stay."""
    tables.delete(room, base_id, organisation_id=caller.advertiser_id, kind=KIND)


@router.get("/{base_id}/versions", summary="List the versions of a base")
def list_base_versions(
    room: OpenRoom, caller: Reading, base_id: IdInPath, page: AskedPage
) -> Listed[VersionOut]:
    """List every load, also those that failed."""
    return tables.list_versions(room, page, base_id, organisation_id=caller.advertiser_id, kind=KIND)


@router.get("/{base_id}/versions/{version_id}/report", summary="Read a quality report")
def read_base_report(room: OpenRoom, caller: Reading, base_id: IdInPath, version_id: IdInPath) -> ReportOut:
    """Show exact figures on the owner's own file, and to nobody else."""
    return tables.report_of(room, base_id, version_id, organisation_id=caller.advertiser_id, kind=KIND)


@router.post(
    "/{base_id}/versions/{version_id}/publish", summary="Publish a version", response_model=VersionOut
)
def publish_base_version(
    room: OpenRoom,
    caller: Writing,
    once: OnlyOnce,
    base_id: IdInPath,
    version_id: IdInPath,
    body: Publishing | None = None,
) -> Response:
    """Make a version the current one; questions from now on are answered from it."""
    return once(
        caller.principal,
        lambda tx: tables.publish(
            room, tx, body, base_id, version_id, organisation_id=caller.advertiser_id, kind=KIND
        ),
        status=200,
    )
