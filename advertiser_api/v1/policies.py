"""The analysis rule of a dataset, and its kill switch."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown
from cleanroom.access.scopes import CONSENTS_WRITE, DATASETS_READ, POLICIES_WRITE
from cleanroom.access.types import Principal
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.room import Room
from cleanroom.rules.errors import UnknownPolicyError
from cleanroom.rules.types import PolicyVersion
from policies.codec import load_preset, policy_from_data, policy_to_data

router = APIRouter(prefix="/v1/datasets/{dataset_id}", tags=["datasets"])
Deciding = Annotated[Principal, Depends(requires(POLICIES_WRITE))]
_EXAMPLE = policy_to_data(load_preset("standard", purposes=["measurement"]))


class NewPolicy(Given):
    """A rule to put in force."""

    document: Annotated[dict[str, Any], Field(description="As in a policy file.", examples=[_EXAMPLE])]


class PolicyOut(Shown):
    """The rule in force."""

    id: Id
    number: int
    sha256: str
    document: dict[str, Any]
    preset: Annotated[str | None, Field(description="the strictest preset that permits no less")]
    unsafe: Annotated[
        str | None, Field(description="why it was published although it was not found to resist")
    ]
    created_at: Instant


class SwitchOut(Shown):
    """Whether a dataset answers."""

    dataset_id: Id
    stopped: bool


class ConfirmedOut(Shown):
    """Consents that are no longer in doubt."""

    dataset_id: Id
    epoch: Annotated[int, Field(description="the consent epoch that begins with it")]


@router.put("/policy", summary="Set the analysis rule")
def set_policy(room: OpenRoom, caller: Deciding, dataset_id: IdInPath, body: NewPolicy) -> PolicyOut:
    """Put a new version in force; the same document again changes nothing."""
    document = policy_from_data(body.document)
    with room.db.transaction() as tx:
        _owned(room, tx, caller, dataset_id)
        version = room.rules.set_policy(
            tx, dataset_id, document, organisation_id=caller.organisation_id, by=caller.client_id
        )
    return _policy(version)


@router.get("/policy", summary="Read the analysis rule")
def read_policy(
    room: OpenRoom, caller: Annotated[Principal, Depends(requires(DATASETS_READ))], dataset_id: IdInPath
) -> PolicyOut:
    """Show the version in force; without one, nothing is answered."""
    with room.db.reading() as tx:
        _owned(room, tx, caller, dataset_id)
        version = room.rules.current(tx, dataset_id)
    if version is None:
        raise UnknownPolicyError("The dataset has no analysis rule yet.", remedy="Set one with PUT.")
    return _policy(version)


@router.post("/stop", summary="Stop a dataset", response_model=SwitchOut)
def stop_dataset(room: OpenRoom, caller: Deciding, once: OnlyOnce, dataset_id: IdInPath) -> Response:
    """Refuse every question from now on, those being answered included."""

    def stop(tx: Transaction) -> SwitchOut:
        _owned(room, tx, caller, dataset_id)
        room.rules.stop(tx, dataset_id, organisation_id=caller.organisation_id, by=caller.client_id)
        return SwitchOut(dataset_id=dataset_id, stopped=True)

    return once(caller, stop, status=200)


@router.post("/resume", summary="Let a dataset answer again", response_model=SwitchOut)
def resume_dataset(room: OpenRoom, caller: Deciding, once: OnlyOnce, dataset_id: IdInPath) -> Response:
    """Release the kill switch."""

    def resume(tx: Transaction) -> SwitchOut:
        _owned(room, tx, caller, dataset_id)
        room.rules.resume(tx, dataset_id, organisation_id=caller.organisation_id, by=caller.client_id)
        return SwitchOut(dataset_id=dataset_id, stopped=False)

    return once(caller, resume, status=200)


@router.post(
    "/consents/confirm",
    summary="Confirm consents after a restore",
    response_model=ConfirmedOut,
    tags=["datasets"],
)
def confirm_consents(
    room: OpenRoom,
    caller: Annotated[Principal, Depends(requires(CONSENTS_WRITE))],
    once: OnlyOnce,
    dataset_id: IdInPath,
) -> Response:
    """Let people be counted again: what was withdrawn since the room's backup was sent once more."""

    def confirm(tx: Transaction) -> ConfirmedOut:
        _owned(room, tx, caller, dataset_id)
        return ConfirmedOut(
            dataset_id=dataset_id, epoch=room.consents.confirm(tx, dataset_id, by=caller.client_id)
        )

    return once(caller, confirm, status=200)


def _owned(room: Room, tx: Transaction, caller: Principal, dataset_id: str) -> None:
    room.datasets.owned(tx, dataset_id, organisation_id=caller.organisation_id, kind=DatasetKind.DATASET)


def _policy(version: PolicyVersion) -> PolicyOut:
    return PolicyOut(
        id=version.id,
        number=version.number,
        sha256=version.sha256,
        document=policy_to_data(version.document),
        preset=version.preset,
        unsafe=version.unsafe,
        created_at=version.created_at,
    )
