"""Opt-outs: suppression lists, restrictions, withdrawals over all datasets; and how they took effect."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed, number_after
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Id, IdInPath
from advertiser_api.v1.consents import fresh
from advertiser_api.v1.optout_shapes import (
    EpochOut,
    NewOptOut,
    OptOutOut,
    PropagationOut,
    PropagationsOut,
)
from cleanroom.access.scopes import CONSENTS_READ, CONSENTS_WRITE
from cleanroom.access.types import Principal
from cleanroom.consent.optout_records import opt_outs_of, owned_opt_out
from cleanroom.consent.optout_types import OptOutKind

router = APIRouter(prefix="/v1", tags=["consents"])
Reading = Annotated[Principal, Depends(requires(CONSENTS_READ))]
Writing = Annotated[Principal, Depends(requires(CONSENTS_WRITE))]
MAX_EPOCH = 2**53 - 1
EpochInPath = Annotated[int, Path(ge=1, le=MAX_EPOCH)]


@router.post("/opt-outs", summary="Take opt-outs", status_code=201, response_model=OptOutOut)
def take_opt_outs(room: OpenRoom, caller: Writing, once: OnlyOnce, body: NewOptOut) -> Response:
    """Put people on a suppression list, restrict them, lift either, or withdraw consents in all datasets at once."""
    asked = body.opt_out()
    return fresh(
        lambda: room.opt_outs.prepare(asked, organisation_id=caller.organisation_id),
        lambda prepared: once(caller, lambda tx: OptOutOut.of(room.opt_outs.enter(tx, prepared))),
    )


@router.get("/opt-outs", summary="List opt-outs")
def list_opt_outs(
    room: OpenRoom,
    caller: Reading,
    page: AskedPage,
    kind: OptOutKind | None = None,
    dataset_id: Annotated[Id | None, Query(description="those that this dataset applied")] = None,
) -> Listed[OptOutOut]:
    """List accepted batches, the newest first; who is in them is not told."""
    with room.db.reading() as tx:
        rows = opt_outs_of(
            tx,
            organisation_id=caller.organisation_id,
            kind=kind,
            dataset_id=dataset_id,
            before=page.after,
            limit=page.fetch,
        )
    return page.of(rows, OptOutOut.of, position=lambda row: row.id)


@router.get("/opt-outs/{opt_out_id}", summary="Read a batch of opt-outs")
def read_opt_out(room: OpenRoom, caller: Reading, opt_out_id: IdInPath) -> OptOutOut:
    """Tell what each dataset did with a batch, those that came later too."""
    with room.db.reading() as tx:
        return OptOutOut.of(owned_opt_out(tx, opt_out_id, organisation_id=caller.organisation_id))


@router.get("/opt-outs/{opt_out_id}/propagation", summary="Report how opt-outs took effect")
def report_opt_out(room: OpenRoom, caller: Reading, opt_out_id: IdInPath) -> PropagationsOut:
    """Report how a batch took effect, dataset by dataset, from the log."""
    with room.db.reading() as tx:
        made = room.propagations.of_opt_out(tx, opt_out_id, organisation_id=caller.organisation_id)
    return PropagationsOut(items=[PropagationOut.of(one) for one in made])


@router.get("/datasets/{dataset_id}/consent-epochs", summary="List consent epochs")
def list_epochs(room: OpenRoom, caller: Reading, dataset_id: IdInPath, page: AskedPage) -> Listed[EpochOut]:
    """List the epochs of a dataset, the newest first."""
    before = number_after(page, first=MAX_EPOCH)
    with room.db.reading() as tx:
        rows = room.propagations.epochs(
            tx, dataset_id, organisation_id=caller.organisation_id, before=before, limit=page.fetch
        )
    return page.of(
        rows,
        lambda row: EpochOut(epoch=row.epoch, kind=row.kind, began_at=row.began_at, submitted=row.submitted),
        position=lambda row: str(row.epoch),
    )


@router.get(
    "/datasets/{dataset_id}/consent-epochs/{epoch}/propagation",
    summary="Report how a consent epoch took effect",
)
def report_epoch(room: OpenRoom, caller: Reading, dataset_id: IdInPath, epoch: EpochInPath) -> PropagationOut:
    """Report from which answer on an epoch counted, and that nothing was released against it."""
    with room.db.reading() as tx:
        return PropagationOut.of(
            room.propagations.of_epoch(tx, dataset_id, epoch, organisation_id=caller.organisation_id)
        )
