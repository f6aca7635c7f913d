"""Budgets: what entitlements may still learn, in words that mean something."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import Field

from advertiser_api.auth import NamedAdvertiser, party_of, requires
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import IdInPath, Instant, Shown
from cleanroom.access.scopes import BUDGETS_READ
from cleanroom.access.types import Principal
from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction
from cleanroom.grants.budget_view import Level
from cleanroom.marketplace.errors import UnknownEntitlementError
from cleanroom.marketplace.types import Entitlement
from cleanroom.room import Room
from policies.combine import combine, limits_of
from policies.licence import under_licence

router = APIRouter(prefix="/v1/budgets", tags=["budgets"])
Reading = Annotated[Principal, Depends(requires(BUDGETS_READ))]


class LevelOut(Shown):
    """What one level of precision buys."""

    precision: Annotated[str, Field(examples=["normal"])]
    rho_micro: Annotated[int, Field(description="of one question that asks for the overlap alone")]
    half_width: Annotated[int, Field(description="people either side, in 95 of 100")]
    questions_left: Annotated[int, Field(description="about so many such questions are left")]

    @classmethod
    def of(cls, level: Level) -> Self:
        """Write a level."""
        return cls(
            precision=level.precision,
            rho_micro=level.rho_micro,
            half_width=level.half_width,
            questions_left=level.questions_left,
        )


class BudgetOut(Shown):
    """The privacy budget of one entitlement."""

    entitlement_id: str
    dataset_id: str
    advertiser_id: str
    agency_id: str | None
    size: str
    state: Annotated[str, Field(examples=["active"])]
    allocated_micro: int
    spent_micro: int
    left_micro: int
    allocated_delta_pico: int
    spent_delta_pico: int
    left_delta_pico: int
    valid_from: Instant
    expires_at: Instant
    levels: Annotated[list[LevelOut], Field(description="from the cheapest; empty while no rule is in force")]


@router.get("", summary="List budgets")
def list_budgets(
    room: OpenRoom, caller: Reading, page: AskedPage, advertiser: NamedAdvertiser = None
) -> Listed[BudgetOut]:
    """List the budgets of the entitlements that one has, or gave as a provider, the oldest first."""
    client = _client(room, caller, advertiser)
    with room.db.reading() as tx:
        found = room.marketplace.entitlements.entitlements(
            tx,
            organisation_id=caller.organisation_id,
            advertiser_id=client,
            after=page.after or None,
            limit=page.fetch,
        )
        return page.of(found, lambda each: _budget(room, tx, each), position=lambda each: each.id)


@router.get("/{entitlement_id}", summary="Read a budget")
def read_budget(
    room: OpenRoom, caller: Reading, entitlement_id: IdInPath, advertiser: NamedAdvertiser = None
) -> BudgetOut:
    """Tell what an entitlement may still learn."""
    client = _client(room, caller, advertiser)
    with room.db.reading() as tx:
        found = room.marketplace.entitlements.entitlement(
            tx, entitlement_id, organisation_id=caller.organisation_id
        )
        if client not in (None, found.advertiser_id):
            raise UnknownEntitlementError(
                "There is no entitlement with this id.", remedy="List your entitlements."
            )
        return _budget(room, tx, found)


def _client(room: Room, caller: Principal, advertiser: str | None) -> str | None:
    """Return the advertiser whose budgets a caller looks at; None for a provider, who sees those that it gave."""
    if caller.kind is OrganisationKind.PROVIDER and advertiser is None:
        return None
    return party_of(room, caller, advertiser, scope=BUDGETS_READ)


def _budget(room: Room, tx: Transaction, entitlement: Entitlement) -> BudgetOut:
    grant = room.grants.status(tx, entitlement.grant_id)
    policy = room.rules.current(tx, grant.dataset_id)
    levels: list[LevelOut] = []
    if policy is not None:
        limits = limits_of(combine([under_licence(policy.document, grant.licence)]))
        view = room.grants.budget(tx, grant.id, limits=limits)
        levels = [LevelOut.of(level) for level in view.levels]
    return BudgetOut(
        entitlement_id=entitlement.id,
        dataset_id=entitlement.dataset_id,
        advertiser_id=entitlement.advertiser_id,
        agency_id=entitlement.agency_id,
        size=grant.size,
        state=grant.status,
        allocated_micro=grant.rho_micro,
        spent_micro=grant.spent_micro,
        left_micro=grant.left_micro,
        allocated_delta_pico=grant.delta_pico,
        spent_delta_pico=grant.spent_delta_pico,
        left_delta_pico=grant.left_delta_pico,
        valid_from=grant.valid_from,
        expires_at=grant.expires_at,
        levels=levels,
    )
