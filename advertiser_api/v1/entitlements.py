"""Entitlements: rights to use a dataset, until their term is over or the provider ends them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.parties import Party, PartyOut, party, party_out
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown
from advertiser_api.v1.plans import Plan, plan_out
from cleanroom.access.scopes import ENTITLEMENTS_READ, ENTITLEMENTS_REVOKE
from cleanroom.access.types import Principal
from cleanroom.db.database import Transaction
from cleanroom.marketplace.types import Entitlement, EntitlementState
from cleanroom.room import Room

router = APIRouter(prefix="/v1/entitlements", tags=["entitlements"])
Reading = Annotated[Party, Depends(party(ENTITLEMENTS_READ))]
Revoking = Annotated[Principal, Depends(requires(ENTITLEMENTS_REVOKE))]


class Revocation(Given):
    """Why it ends, for the buyer to read."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class EntitlementOut(Shown):
    """A right to use a dataset, with its grant of privacy budget."""

    id: Id
    request_id: Id
    grant_id: Id
    listing_id: Id
    listing_version_id: Annotated[Id, Field(description="the wording that it was made from, for good")]
    dataset_id: Id
    provider: PartyOut
    advertiser: PartyOut
    agency: PartyOut | None
    plan: Plan
    valid_from: Instant
    expires_at: Annotated[Instant, Field(description="exclusive")]
    state: EntitlementState
    ended_at: Instant | None
    end_reason: str


@router.get("", summary="List entitlements")
def list_entitlements(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[EntitlementOut]:
    """List what the caller has, or gave, the oldest first."""
    with room.db.reading() as tx:
        found = room.marketplace.entitlements.entitlements(
            tx,
            organisation_id=caller.organisation_id,
            advertiser_id=caller.advertiser_id,
            after=page.after or None,
            limit=page.fetch,
        )
        return page.of(found, lambda one: entitlement_out(room, tx, one), position=lambda one: one.id)


@router.get("/{entitlement_id}", summary="Read an entitlement")
def read_entitlement(room: OpenRoom, caller: Reading, entitlement_id: IdInPath) -> EntitlementOut:
    """Show an entitlement that the caller has, or gave."""
    with room.db.reading() as tx:
        found = room.marketplace.entitlements.entitlement(
            tx, entitlement_id, organisation_id=caller.organisation_id, advertiser_id=caller.advertiser_id
        )
        return entitlement_out(room, tx, found)


@router.post("/{entitlement_id}/revoke", summary="Revoke an entitlement", response_model=EntitlementOut)
def revoke_entitlement(
    room: OpenRoom, caller: Revoking, once: OnlyOnce, entitlement_id: IdInPath, body: Revocation
) -> Response:
    """End an entitlement that the caller gave: the next question is refused. One that has ended stays as it is."""

    def revoke(tx: Transaction) -> EntitlementOut:
        ended = room.marketplace.entitlements.revoke(
            tx, entitlement_id, organisation_id=caller.organisation_id, reason=body.reason
        )
        return entitlement_out(room, tx, ended)

    return once(caller, revoke, status=200)


def entitlement_out(room: Room, tx: Transaction, found: Entitlement) -> EntitlementOut:
    """Return an entitlement as answers write it."""
    return EntitlementOut(
        id=found.id,
        request_id=found.request_id,
        grant_id=found.grant_id,
        listing_id=found.listing_id,
        listing_version_id=found.listing_version_id,
        dataset_id=found.dataset_id,
        provider=party_out(room, tx, found.provider_id),
        advertiser=party_out(room, tx, found.advertiser_id),
        agency=party_out(room, tx, found.agency_id) if found.agency_id is not None else None,
        plan=plan_out(found.plan),
        valid_from=found.valid_from,
        expires_at=found.expires_at,
        state=found.state,
        ended_at=found.ended_at,
        end_reason=found.end_reason,
    )
