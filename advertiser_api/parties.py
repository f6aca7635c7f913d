"""For whom a call is, on routes that buyers and providers share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import Depends
from pydantic import Field

from advertiser_api.auth import NamedAdvertiser, requires
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Id, Shown
from cleanroom.access.types import Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction
from cleanroom.room import Room


@dataclass(frozen=True)
class Party:
    """For whom a call is.

    Attributes:
        principal: who calls.
        organisation_id: whose things are shown: the caller's own.
        advertiser_id: only those that are for this one; None when the caller is no agency.
    """

    principal: Principal
    organisation_id: str
    advertiser_id: str | None

    @property
    def buyers(self) -> tuple[str, ...]:
        """To whom offers may be addressed: the caller, and the advertiser that it acts for."""
        own = (self.organisation_id,)
        return own if self.advertiser_id is None else (self.advertiser_id, *own)


@lru_cache
def party(scope: str, *, whole: bool = False) -> Callable[..., Party]:
    """Make the dependency of a route that every kind of organisation may call for what is its own.

    Args:
        scope: which the access token must carry.
        whole: an agency may leave out the advertiser, and sees what went through it for all of its clients.
    """

    def party_of(
        room: OpenRoom,
        principal: Annotated[Principal, Depends(requires(scope))],
        advertiser: NamedAdvertiser = None,
    ) -> Party:
        agency = principal.kind is OrganisationKind.AGENCY
        if advertiser is None and (whole or not agency):
            return Party(principal, principal.organisation_id, None)
        with room.db.reading() as tx:
            acting = room.access.acting(tx, principal, advertiser, scope=scope)
        return Party(principal, principal.organisation_id, acting.advertiser_id if agency else None)

    return party_of


class PartyOut(Shown):
    """An organisation, as others see it."""

    id: Id
    name: str
    verified: Annotated[bool, Field(description="whether the operator has confirmed who it is")]


def party_out(room: Room, tx: Transaction, organisation_id: str) -> PartyOut:
    """Return an organisation as others see it."""
    found = room.accounts.organisation(tx, organisation_id)
    return PartyOut(id=found.id, name=found.name, verified=found.verified_at is not None)
