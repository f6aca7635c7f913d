"""The operator's review: which listings wait, what each says and what it changes, and the verdict."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import OPERATE
from cleanroom.errors import CleanroomError
from cleanroom.marketplace.changes import changes
from cleanroom.marketplace.errors import UnknownListingError
from cleanroom.marketplace.stall import live_content
from cleanroom.marketplace.types import ListingState
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE
from provider_portal.ui import OPERATORS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/reviews")
Reviewing = Annotated[Visit, Depends(needs(OPERATE, kinds=OPERATORS))]
_NOTICES = {
    "live": N_("The listing is live: buyers see it."),
    "draft": N_("Sent back to its writer, as a draft."),
}


@router.get("")
def list_reviews(visit: Reviewing) -> Response:
    """Show every listing with a wording that waits for review, the oldest first."""
    room = visit.room
    with room.db.reading() as tx:
        found = room.marketplace.listings.in_review(
            tx, after=visit.asked("after") or None, limit=PER_PAGE + 1
        )
        names = {
            one: room.accounts.organisation(tx, one).name for one in {each.provider_id for each in found}
        }
    return page(
        visit,
        "cabinet/reviews.html",
        found=found[:PER_PAGE],
        more=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
        names=names,
        notice=_NOTICES.get(visit.asked("done")),
    )


@router.get("/{listing_id}")
def show_review(visit: Reviewing, listing_id: str) -> Response:
    """Show a wording in review, and what it changes of the live one."""
    return _review_page(visit, listing_id)


@router.post("/{listing_id}")
def review(visit: Reviewing, listing_id: str) -> Response:
    """Let a wording go live, or send it back."""
    room, who, to = visit.room, visit.who, visit.typed("to")
    if to not in (ListingState.LIVE, ListingState.DRAFT):
        raise HTTPException(400)
    try:
        with room.db.transaction() as tx:
            room.marketplace.listings.waiting(tx, listing_id)
            room.marketplace.listings.move(
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
        return _review_page(visit, listing_id, error=error_words(error), status=409)
    return go(visit, f"/reviews?done={to}")


def _review_page(visit: Visit, listing_id: str, *, error: str | None = None, status: int = 200) -> Response:
    room = visit.room
    with room.db.reading() as tx:
        listing = room.marketplace.listings.waiting(tx, listing_id)
        before = live_content(tx, listing_id)
        provider = room.accounts.organisation(tx, listing.provider_id).name
        wordings = [listing.version.content, *([before] if before else [])]
        offered_to = {one for content in wordings for plan in content.plans for one in plan.offered_to or ()}
        buyers = {one: room.accounts.organisation(tx, one).name for one in offered_to}
    return page(
        visit,
        "cabinet/review.html",
        status=status,
        listing=listing,
        provider=provider,
        before=before,
        buyers=buyers,
        changes=changes(before, listing.version.content) if before else (),
        error=error,
    )
