"""A listing as a buyer sees it, and what a buyer would pay: the same read model, and the same prices."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import CATALOGUE_READ
from cleanroom.marketplace.errors import PageError, UnknownListingError
from cleanroom.marketplace.plans import PricePlan
from cleanroom.marketplace.pricing import MonthSoFar, quote
from cleanroom.marketplace.simulating import Simulation, Supposed, simulate
from cleanroom.marketplace.stall import acquaintances
from provider_portal.i18n import N_
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/listings")
Reading = Annotated[Visit, Depends(needs(CATALOGUE_READ, kinds=PROVIDERS))]
_SIZES = (1_000, 10_000, 100_000)
_USUAL = Supposed(questions=20, people=5_000, months=12)


@router.get("/{listing_id}/preview")
def preview(visit: Reading, listing_id: str) -> Response:
    """Show a listing exactly as a buyer would see it: the newest wording, or the live one."""
    room, organisation_id = visit.room, visit.who.organisation_id
    services = room.marketplace
    with room.db.reading() as tx:
        own = services.listings.listing(tx, listing_id, organisation_id=organisation_id)
        known = acquaintances(tx, organisation_id)
        buyer = next((one for one in known if one.id == visit.asked("buyer")), None)
        parties = [buyer.id] if buyer else []
        live = visit.asked("wording") == "live"
        try:
            # What is live comes out of the catalogue itself, and what is not yet as it would.
            seen = (
                services.catalogue.listing(tx, listing_id, buyers=parties)
                if live
                else own.offered_to(*parties)
            )
        except UnknownListingError:
            seen = None
        provider = room.accounts.organisation(tx, organisation_id).name
    if seen is not None and not seen.version.content.plans:
        # The catalogue has no listing for whom it has no tariff.
        seen = None
    quotes = {}
    if seen is not None:
        quotes = {
            plan.key: quote(plan, MonthSoFar(), segments=0, people_at_most=_SIZES[-1], sizes=_SIZES)
            for plan in seen.version.content.plans
        }
    return page(
        visit,
        "cabinet/listing_preview.html",
        listing=own,
        seen=seen,
        provider=provider,
        quotes=quotes,
        known=known,
        buyer=buyer,
        live=live,
    )


@router.get("/{listing_id}/prices")
def simulator(visit: Reading, listing_id: str) -> Response:
    """Show what a supposed buyer would pay under a tariff, and what the provider would get."""
    room = visit.room
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=visit.who.organisation_id)
    plans = listing.version.content.plans
    plan = next((one for one in plans if one.key == visit.asked("plan")), plans[0])
    typed = {
        name: visit.asked(name, str(getattr(_USUAL, name)))
        for name in ("questions", "people", "months", "segments")
    }
    simulation, error = _simulate(plan, typed, room.settings.operator_fee_bp)
    return page(
        visit,
        "cabinet/listing_prices.html",
        status=200 if simulation else 400,
        listing=listing,
        plans=plans,
        plan=plan,
        typed=typed,
        simulation=simulation,
        fee_bp=room.settings.operator_fee_bp,
        error=error,
    )


def _simulate(plan: PricePlan, typed: dict[str, str], fee_bp: int) -> tuple[Simulation | None, str | None]:
    numbers = {name: text.strip() for name, text in typed.items()}
    if not all(text.isascii() and text.isdecimal() and len(text) < 12 for text in numbers.values()):
        return None, N_("All of these are whole numbers.")
    try:
        supposed = Supposed(**{name: int(text) for name, text in numbers.items()})
    except PageError:
        return None, N_(
            "The simulator takes up to 10,000 questions a month, a thousand million people, 100 segments, and 1 to 36 "
            "months."
        )
    return simulate(plan, supposed, fee_bp=fee_bp), None
