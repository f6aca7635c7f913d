"""The operator's review of listings, where the room's setting or a provider without a second person needs it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, IdInPath
from advertiser_api.v1.offers import ListingOut, listing_out
from cleanroom.access.scopes import OPERATE
from cleanroom.access.types import Principal
from cleanroom.db.database import Transaction

router = APIRouter(prefix="/v1/reviews", tags=["listings"])
Reviewing = Annotated[Principal, Depends(requires(OPERATE))]


class Verdict(Given):
    """Whether a wording goes live, or back to its writer."""

    to: Literal["live", "draft"]


@router.get("", summary="List what waits for review")
def list_reviews(room: OpenRoom, caller: Reviewing, page: AskedPage) -> Listed[ListingOut]:  # noqa: ARG001 - it declares the scope
    """List every listing with a wording in review, the oldest first."""
    with room.db.reading() as tx:
        found = room.marketplace.listings.in_review(tx, after=page.after or None, limit=page.fetch)
        return page.of(found, lambda one: listing_out(room, tx, one, own=True), position=lambda one: one.id)


@router.post("/{listing_id}", summary="Review a listing", response_model=ListingOut)
def review_listing(
    room: OpenRoom, caller: Reviewing, once: OnlyOnce, listing_id: IdInPath, body: Verdict
) -> Response:
    """Let a wording in review go live, or send it back."""

    def review(tx: Transaction) -> ListingOut:
        moved = room.marketplace.listings.move(
            tx, listing_id, body.to, organisation_id=caller.organisation_id, by=caller.client_id
        )
        return listing_out(room, tx, moved, own=True)

    return once(caller, review, status=200)
