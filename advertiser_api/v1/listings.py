"""Listings: buyers search them, providers write them and take them through their states."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.parties import Party, party
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath
from advertiser_api.v1.offers import Content, ListingOut, content_of, listing_out
from cleanroom.access.scopes import CATALOGUE_READ, LISTINGS_WRITE
from cleanroom.access.types import Principal
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.marketplace.catalogue import Search
from cleanroom.marketplace.errors import UnknownListingError
from cleanroom.marketplace.types import Listing
from cleanroom.room import Room

router = APIRouter(prefix="/v1/listings", tags=["listings"])
Looking = Annotated[Party, Depends(party(CATALOGUE_READ))]
Writing = Annotated[Principal, Depends(requires(LISTINGS_WRITE))]
Wanted = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class NewListing(Given):
    """An offer of a dataset."""

    dataset_id: Id
    content: Content


class NewVersion(Given):
    """The next wording of a listing."""

    content: Content


class Move(Given):
    """Where a listing is to go."""

    to: Literal["draft", "review", "live", "paused", "retired"]


@router.get("", summary="Search listings")
def list_listings(
    room: OpenRoom,
    caller: Looking,
    page: AskedPage,
    q: Annotated[
        str, Query(max_length=200, pattern=r"^[^\x00]*$", description="at most 8 words, in either language")
    ] = "",
    attribute: Wanted = None,
    purpose: Wanted = None,
    sector: Wanted = None,
    mine: Annotated[
        bool, Query(description="the caller's own, drafts too; the search does not count")
    ] = False,
) -> Listed[ListingOut]:
    """List live listings that are offered to the caller, the oldest first; or a provider's own."""
    after = page.after or None
    with room.db.reading() as tx:
        if mine:
            found = room.marketplace.listings.own(
                tx, organisation_id=caller.organisation_id, after=after, limit=page.fetch
            )
        else:
            found = room.marketplace.catalogue.search(
                tx,
                Search(text=q, attribute=attribute, purpose=purpose, sector=sector),
                buyers=caller.buyers,
                after=after,
                limit=page.fetch,
            )
        return page.of(
            found,
            lambda one: listing_out(room, tx, one, own=mine),
            position=lambda one: one.id,
        )


@router.post("", summary="Write a listing", status_code=201, response_model=ListingOut)
def create_listing(room: OpenRoom, caller: Writing, once: OnlyOnce, body: NewListing) -> Response:
    """Offer a dataset, or ready-made segments of it; the listing is a draft."""

    def create(tx: Transaction) -> ListingOut:
        room.datasets.owned(
            tx, body.dataset_id, organisation_id=caller.organisation_id, kind=DatasetKind.DATASET
        )
        made = room.marketplace.listings.create(
            tx,
            organisation_id=caller.organisation_id,
            dataset_id=body.dataset_id,
            content=content_of(body.content),
            by=caller.client_id,
        )
        return listing_out(room, tx, made, own=True)

    return once(caller, create)


@router.get("/{listing_id}", summary="Read a listing")
def read_listing(
    room: OpenRoom,
    caller: Looking,
    listing_id: IdInPath,
    preview: Annotated[
        bool, Query(description="for its owner: the newest wording as a buyer would see it")
    ] = False,
) -> ListingOut:
    """Show a live listing as it is offered to the caller; its owner sees the newest wording in every state."""
    with room.db.reading() as tx:
        own = _own(room, tx, listing_id, caller.organisation_id)
        if own is None:
            seen = room.marketplace.catalogue.listing(tx, listing_id, buyers=caller.buyers)
            return listing_out(room, tx, seen, own=False)
        return listing_out(room, tx, own.offered_to() if preview else own, own=not preview)


@router.post(
    "/{listing_id}/versions", summary="Write the next version", status_code=201, response_model=ListingOut
)
def revise_listing(
    room: OpenRoom, caller: Writing, once: OnlyOnce, listing_id: IdInPath, body: NewVersion
) -> Response:
    """Write the next wording; buyers see the live one until the new one goes live."""

    def revise(tx: Transaction) -> ListingOut:
        made = room.marketplace.listings.revise(
            tx,
            listing_id,
            organisation_id=caller.organisation_id,
            content=content_of(body.content),
            by=caller.client_id,
        )
        return listing_out(room, tx, made, own=True)

    return once(caller, revise)


@router.post("/{listing_id}/state", summary="Move a listing", response_model=ListingOut)
def move_listing(
    room: OpenRoom, caller: Writing, once: OnlyOnce, listing_id: IdInPath, body: Move
) -> Response:
    """Take a listing from draft to review, live, paused, live again, and at last retired."""

    def move(tx: Transaction) -> ListingOut:
        moved = room.marketplace.listings.move(
            tx, listing_id, body.to, organisation_id=caller.organisation_id, by=caller.client_id
        )
        return listing_out(room, tx, moved, own=True)

    return once(caller, move, status=200)


def _own(room: Room, tx: Transaction, listing_id: str, organisation_id: str) -> Listing | None:
    try:
        return room.marketplace.listings.listing(tx, listing_id, organisation_id=organisation_id)
    except UnknownListingError:
        return None
