"""Consents of a dataset's people: records, and requests that are confirmed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Response

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath
from advertiser_api.v1.consent_shapes import (
    AskedOut,
    Confirmation,
    ConfirmedOut,
    NewRecords,
    NewRequests,
    RecordIn,
    TakenOut,
)
from cleanroom.access.scopes import CONSENTS_WRITE
from cleanroom.access.types import Principal
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.errors import StaleChangeError
from cleanroom.consent.requests import Asked
from cleanroom.consent.types import Change
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.room import Room

router = APIRouter(prefix="/v1/datasets/{dataset_id}", tags=["consents"])
Writing = Annotated[Principal, Depends(requires(CONSENTS_WRITE))]
_TRIES = 5
Prepared = TypeVar("Prepared")


@router.post("/consents", summary="Record consents", status_code=201, response_model=TakenOut)
def record_consents(
    room: OpenRoom, caller: Writing, once: OnlyOnce, dataset_id: IdInPath, body: NewRecords
) -> Response:
    """Record consents, denials, withdrawals; they count from the next analysis on, whoever is found."""
    changes = _changes(room, caller, dataset_id, body.records)
    return fresh(
        lambda: room.consents.taking.prepare(dataset_id, changes),
        lambda prepared: once(caller, lambda tx: TakenOut.of(room.consents.taking.take(tx, prepared))),
    )


@router.post("/consent-requests", summary="Ask for consents", status_code=201, response_model=AskedOut)
def ask_for_consents(
    room: OpenRoom, caller: Writing, once: OnlyOnce, dataset_id: IdInPath, body: NewRequests
) -> Response:
    """Enter pending consents, each with a token for the letter that you send; the room sends none itself."""
    changes = _changes(room, caller, dataset_id, body.records, state=ChangeState.PENDING)
    within = timedelta(hours=body.confirm_within_hours)
    requests = room.consent_requests

    def asked(tx: Transaction, prepared: Asked) -> AskedOut:
        outcome, tokens = requests.ask(tx, prepared)
        return AskedOut(**TakenOut.of(outcome).model_dump(), tokens=list(tokens))

    return fresh(
        lambda: requests.prepare(dataset_id, changes, within=within),
        lambda prepared: once(caller, lambda tx: asked(tx, prepared), secrets=("tokens",)),
    )


@router.post(
    "/consent-requests/confirm", summary="Confirm a request for consent", response_model=ConfirmedOut
)
def confirm_consent(
    room: OpenRoom, caller: Writing, once: OnlyOnce, dataset_id: IdInPath, body: Confirmation
) -> Response:
    """Grant what was asked for, once and in time."""
    _own(room, caller, dataset_id)
    requests = room.consent_requests
    return fresh(
        lambda: requests.prepare_confirmation(dataset_id, body.token),
        lambda prepared: once(
            caller, lambda tx: ConfirmedOut(epoch=requests.confirm(tx, prepared).epoch), status=200
        ),
    )


def _changes(
    room: Room,
    caller: Principal,
    dataset_id: str,
    records: tuple[RecordIn, ...],
    *,
    state: ChangeState | None = None,
) -> tuple[Change, ...]:
    _own(room, caller, dataset_id)
    with room.db.reading() as tx:
        return room.consent_recording.changes(
            tx, [each.record(state=state) for each in records], organisation_id=caller.organisation_id
        )


def _own(room: Room, caller: Principal, dataset_id: str) -> None:
    with room.db.reading() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=caller.organisation_id, kind=DatasetKind.DATASET)


def fresh(prepare: Callable[[], Prepared], take: Callable[[Prepared], Response]) -> Response:
    """Look for people before the transaction, and again when a version was published meanwhile.

    Args:
        prepare: finds people; holds nothing.
        take: enters what was prepared, and answers.
    """
    for _ in range(_TRIES - 1):
        try:
            return take(prepare())
        except StaleChangeError:
            continue
    return take(prepare())
