"""Usage: what each answer cost its buyer; a provider has no such list, as it would tell the count of every question."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from advertiser_api.pages import AskedPage, Listed, number_after
from advertiser_api.parties import Party, party
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Id, Instant, Shown
from advertiser_api.v1.money import MONTH, MoneyOut, money_out
from cleanroom.access.errors import UnknownAdvertiserError
from cleanroom.access.scopes import USAGE_READ
from cleanroom.accounts.types import OrganisationKind
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.pricing import Answered
from cleanroom.marketplace.usage import UsageRecord

router = APIRouter(prefix="/v1/usage", tags=["books"])
Reading = Annotated[Party, Depends(party(USAGE_READ, whole=True))]
_BUYERS = (OrganisationKind.ADVERTISER, OrganisationKind.AGENCY)


class UsageOut(Shown):
    """What one analysis cost."""

    analysis_id: Annotated[Id, Field(description="its receipt proves the figures that this was made from")]
    entitlement_id: Id
    event_index: Annotated[int, Field(description="of its release or refusal in the log")]
    at: Instant
    outcome: Annotated[Answered, Field(description="only released answers cost money")]
    people: Annotated[int, Field(description="charged for")]
    rho_micro: Annotated[int, Field(description="privacy budget spent, by a withheld answer too")]
    amount: Annotated[MoneyOut, Field(description="without tax and without what a month costs besides")]


@router.get("", summary="List usage")
def list_usage(
    room: OpenRoom,
    caller: Reading,
    page: AskedPage,
    month: Annotated[
        str, Query(pattern=MONTH, description="in the room's billing zone", examples=["2026-11"])
    ],
) -> Listed[UsageOut]:
    """List what every answer of a month cost, in the order of the log; an agency's without a name is of all clients."""
    if caller.principal.kind not in _BUYERS:
        raise UnknownAdvertiserError("Usage is listed for buyers.", remedy="Read your statements.")
    wanted = Month.parse(month)
    room.marketplace.usage.catch_up(room.db)
    with room.db.reading() as tx:
        found = room.marketplace.usage.of_buyer(
            tx,
            caller.organisation_id,
            wanted,
            advertiser_id=caller.advertiser_id,
            after=number_after(page, first=-1),
            limit=page.fetch,
        )
    return page.of(found, _usage, position=lambda one: str(one.event_index))


def _usage(record: UsageRecord) -> UsageOut:
    return UsageOut(
        analysis_id=record.analysis_id,
        entitlement_id=record.entitlement_id,
        event_index=record.event_index,
        at=record.at,
        outcome=record.outcome,
        people=record.people,
        rho_micro=record.rho_micro,
        amount=money_out(record.amount),
    )
