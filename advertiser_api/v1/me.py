"""Who calls, and what is its own."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from advertiser_api.auth import requires
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Id, Instant, Shown
from cleanroom.access.types import Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction
from cleanroom.room import Room

router = APIRouter(prefix="/v1/me", tags=["me"])


class OrganisationOut(Shown):
    """A legal party."""

    id: Id
    name: str
    kind: OrganisationKind
    sector: str | None


class WorkspaceOut(Shown):
    """An isolated container; files are encrypted to its recipient."""

    id: Id
    name: str
    recipient: str
    created_at: Instant


class AdvertiserOut(Shown):
    """Whom an agency may act for now."""

    id: Id
    name: str
    valid_until: Instant | None


class Me(Shown):
    """The caller."""

    client_id: Id
    organisation: OrganisationOut
    scopes: list[str]
    workspaces: list[WorkspaceOut]
    advertisers: list[AdvertiserOut]
    verifier_key: Annotated[
        str, Field(description="proves the room's receipts; compare it with the one its operator tells you")
    ]


@router.get("", summary="Who I am")
def read_me(room: OpenRoom, principal: Annotated[Principal, Depends(requires())]) -> Me:
    """Tell the caller's organisation, its scopes and workspaces, and for an agency whom it may act for."""
    with room.db.reading() as tx:
        organisation = room.accounts.organisation(tx, principal.organisation_id)
        workspaces = room.workspaces.living_of(tx, organisation.id)
        return Me(
            client_id=principal.client_id,
            organisation=OrganisationOut(
                id=organisation.id, name=organisation.name, kind=organisation.kind, sector=organisation.sector
            ),
            scopes=sorted(principal.scopes),
            workspaces=[
                WorkspaceOut(id=own.id, name=own.name, recipient=own.recipient, created_at=own.created_at)
                for own in workspaces
            ],
            advertisers=list(_advertisers(room, tx, principal)),
            verifier_key=room.audit.verifier_key,
        )


def _advertisers(room: Room, tx: Transaction, principal: Principal) -> list[AdvertiserOut]:
    if principal.kind is not OrganisationKind.AGENCY:
        return []
    now = room.clock.now()
    return [
        AdvertiserOut(
            id=mandate.advertiser_id,
            name=room.accounts.organisation(tx, mandate.advertiser_id).name,
            valid_until=mandate.valid_until,
        )
        for mandate in room.accounts.mandates(tx, principal.organisation_id)
        if mandate.in_force(now)
    ]
