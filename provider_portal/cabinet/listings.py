"""Listings: the list, one of them with its wordings, its way from draft to retired, and its sample."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import CATALOGUE_READ, LISTINGS_WRITE, POLICIES_WRITE
from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.marketplace.changes import changes
from cleanroom.marketplace.errors import UnknownListingError
from cleanroom.marketplace.stall import SORTS, STATES, acquaintances, stall, wordings
from cleanroom.marketplace.types import Way
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/listings")
Reading = Annotated[Visit, Depends(needs(CATALOGUE_READ, kinds=PROVIDERS))]
Writing = Annotated[Visit, Depends(needs(LISTINGS_WRITE, kinds=PROVIDERS))]
# A release charges every buyer's budget: whoever sets the rules decides on it.
Releasing = Annotated[Visit, Depends(needs(POLICIES_WRITE, kinds=PROVIDERS))]
_NOTICES = {
    "created": N_("The listing is saved as a draft. Send it to review when it is ready."),
    "revised": N_("The new version is saved. Buyers go on seeing the live one until the new one goes live."),
    "review": N_("Sent to review."),
    "draft": N_("Sent back to draft."),
    "live": N_("The listing is live: buyers see it."),
    "paused": N_("The listing is paused: buyers do not see it. Licences that were given go on."),
    "retired": N_("The listing is retired, for good. Licences that were given go on until they end."),
    "sample": N_("The sample is released: buyers see it with the listing."),
}


@router.get("")
def list_listings(visit: Reading) -> Response:
    """Show the organisation's listings."""
    wanted = asked(visit, ("title", *SORTS), default="created", descending=True)
    sort = f"title_{visit.writing.language}" if wanted.sort == "title" else wanted.sort
    state = visit.chosen("state", STATES)
    with visit.room.db.reading() as tx:
        found, total = stall(
            tx,
            visit.who.organisation_id,
            state=state,
            text=wanted.text,
            sort=sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit, "cabinet/listings.html", found=found, total=total, wanted=wanted, state=state, states=STATES
    )


@router.get("/{listing_id}")
def show_listing(visit: Reading, listing_id: str) -> Response:
    """Show a listing: where it stands, what it says, its versions."""
    return _listing_page(visit, listing_id, notice=_NOTICES.get(visit.asked("done")))


@router.get("/{listing_id}/versions/{number}")
def show_version(visit: Reading, listing_id: str, number: str) -> Response:
    """Show what a version says and what it changed."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        found = wordings(tx, listing_id, organisation_id=organisation_id)
        names = _names(visit, tx)
        buyers = {one.id: one.name for one in acquaintances(tx, organisation_id)}
    here = next((one for one in found if str(one.number) == number), None)
    if here is None:
        raise HTTPException(404)
    before = next((one for one in found if one.number == here.number - 1), None)
    return page(
        visit,
        "cabinet/listing_version.html",
        listing_id=listing_id,
        wording=here,
        before=before,
        changes=changes(before.content, here.content) if before else (),
        names=names,
        buyers=buyers,
    )


@router.get("/{listing_id}/move/{to}")
def ask_before_moving(visit: Writing, listing_id: str, to: str) -> Response:
    """Say what a move means, and ask once more."""
    room, who = visit.room, visit.who
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=who.organisation_id)
    ways = room.marketplace.listings.ways(listing, operator=False, by=who.user_id)
    way = next((way for way in ways if way.to == to and way.barrier is None), None)
    if way is None:
        raise HTTPException(409)
    return page(visit, "cabinet/listing_move.html", listing=listing, way=way)


@router.post("/{listing_id}/move/{to}")
def move(visit: Writing, listing_id: str, to: str) -> Response:
    """Take a listing to another state."""
    who = visit.who
    try:
        with visit.room.db.transaction() as tx:
            visit.room.marketplace.listings.move(
                tx,
                listing_id,
                to,
                organisation_id=who.organisation_id,
                by=who.user_id,
                version_id=visit.typed("version") or None,
            )
    except UnknownListingError:
        raise
    except CleanroomError as error:
        return _listing_page(visit, listing_id, error=error_words(error), status=409)
    return go(visit, f"/listings/{listing_id}?done={to}")


@router.get("/{listing_id}/sample/{purpose}")
def ask_before_releasing(visit: Releasing, listing_id: str, purpose: str) -> Response:
    """Say what releasing the sample takes, and ask once more."""
    room = visit.room
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=visit.who.organisation_id)
    if purpose not in listing.version.content.terms.purposes:
        raise HTTPException(404)
    return page(visit, "cabinet/listing_sample.html", listing=listing, purpose=purpose)


@router.post("/{listing_id}/sample/{purpose}")
def release_sample(visit: Releasing, listing_id: str, purpose: str) -> Response:
    """Release the size of the dataset to everyone, once; every account is charged."""
    room = visit.room
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=visit.who.organisation_id)
    if purpose not in listing.version.content.terms.purposes:
        raise HTTPException(404)
    try:
        figure = room.public_sizes.release(listing.dataset_id, purpose=purpose)
    except CleanroomError as error:
        return _listing_page(visit, listing_id, error=error_words(error), status=409)
    if figure is None:
        refused = N_(
            "The sample was not released: the rule does not let it out, nobody can consent to this purpose, the "
            "dataset is stopped, or the budget for public figures is used up. Nothing was charged twice."
        )
        return _listing_page(visit, listing_id, error=refused, status=409)
    return go(visit, f"/listings/{listing_id}?done=sample")


def _listing_page(
    visit: Visit, listing_id: str, *, notice: str | None = None, error: str | None = None, status: int = 200
) -> Response:
    room, who = visit.room, visit.who
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=who.organisation_id)
        dataset = room.datasets.dataset(tx, listing.dataset_id)
        versions = wordings(tx, listing_id, organisation_id=who.organisation_id)
        policy = room.rules.current(tx, listing.dataset_id)
        names = _names(visit, tx)
        buyers = {one.id: one.name for one in acquaintances(tx, who.organisation_id)}
    ways: tuple[Way, ...] = ()
    if who.may(LISTINGS_WRITE):
        ways = room.marketplace.listings.ways(listing, operator=False, by=who.user_id)
    return page(
        visit,
        "cabinet/listing.html",
        status=status,
        listing=listing,
        dataset=dataset,
        versions=versions,
        outdated=policy is None or policy.id != listing.version.policy_id,
        ways=ways,
        names=names,
        buyers=buyers,
        may_write=who.may(LISTINGS_WRITE),
        may_release=who.may(POLICIES_WRITE),
        notice=notice,
        error=error,
    )


def _names(visit: Visit, tx: Transaction) -> Mapping[str, str]:
    """Return the addresses of one's colleagues by id; whoever else let a wording go live is the operator."""
    assert visit.who.kind is OrganisationKind.PROVIDER
    return {user.id: user.email for user in visit.room.access.users.of(tx, visit.who.organisation_id)}
