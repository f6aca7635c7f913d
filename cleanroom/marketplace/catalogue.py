"""Searching the catalogue: what buyers see of live listings, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.errors import PageError
from cleanroom.marketplace.models import ListingFacetRow, ListingRow, ListingVersionRow
from cleanroom.marketplace.types import Listing, ListingState
from cleanroom.marketplace.views import EVERYONE, listing_of, listings_of, unknown_listing

# More than a surface's page: it reads one listing more, to know whether there is another page.
MOST_PER_PAGE = 500
_MOST_WORDS = 8
_MOST_CHARACTERS = 200


@dataclass(frozen=True)
class Search:
    """What a buyer looks for; everything named must hold.

    Attributes:
        text: words, each of which stands somewhere in the titles or texts, in either language, whatever its case.
        attribute: a listing offers it.
        purpose: a listing allows it.
        sector: a listing is open to buyers of it.
    """

    text: str = ""
    attribute: str | None = None
    purpose: str | None = None
    sector: str | None = None


class Catalogue:
    """The service of buyers who look for data; one index finds the page, and only its listings are read."""

    def search(
        self,
        tx: Transaction,
        wanted: Search,
        *,
        buyers: Sequence[str],
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[Listing, ...]:
        """Return live listings that fit, the oldest first; private offers only to those whom they name.

        Args:
            tx: any transaction.
            wanted: what is looked for.
            buyers: the advertiser, and the agency that acts for it.
            after: the id of the last listing of the page before.
            limit: 1 to 200.

        Raises:
            PageError: a limit out of range, or a text that is too long.
        """
        words = wanted.text.casefold().split()
        if not 1 <= limit <= MOST_PER_PAGE:
            raise PageError(f"A page has 1 to {MOST_PER_PAGE} listings.", remedy="Ask for fewer, and go on.")
        if len(words) > _MOST_WORDS or len(wanted.text) > _MOST_CHARACTERS:
            raise PageError(
                f"A search has at most {_MOST_WORDS} words and {_MOST_CHARACTERS} characters.",
                remedy="Use fewer.",
            )
        found = (
            select(ListingRow, ListingVersionRow)
            .join(ListingVersionRow, ListingVersionRow.id == ListingRow.live_version_id)
            .where(*_offered(buyers))
        )
        for word in words:
            found = found.where(ListingRow.search_text.contains(word, autoescape=True))
        for kind, value in (("attribute", wanted.attribute), ("purpose", wanted.purpose)):
            if value is not None:
                found = found.where(_has(kind, value))
        if wanted.sector is not None:
            found = found.where(_has("sector", EVERYONE, wanted.sector))
        if after is not None:
            found = found.where(ListingRow.id > after)
        page = tx.session.execute(found.order_by(ListingRow.id).limit(limit)).all()
        listings = listings_of(tx, [(row, version) for row, version in page])
        return tuple(listing.offered_to(*buyers) for listing in listings)

    def listing(self, tx: Transaction, listing_id: str, *, buyers: Sequence[str]) -> Listing:
        """Return a live listing as these buyers see it.

        Raises:
            UnknownListingError: there is none, it is not live, or it is offered to others only.
        """
        one = (
            select(ListingRow, ListingVersionRow)
            .join(ListingVersionRow, ListingVersionRow.id == ListingRow.live_version_id)
            .where(
                ListingRow.id == listing_id,
                *_offered(buyers),
            )
        )
        found = tx.session.execute(one).one_or_none()
        if found is None:
            raise unknown_listing()
        return listing_of(tx, *found).offered_to(*buyers)


def _offered(buyers: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    """Limit listings to live ones that these buyers may see; whoever has left the room sells nothing."""
    left = select(OrganisationRow.id).where(
        OrganisationRow.id == ListingRow.provider_id, OrganisationRow.offboarded_at.is_not(None)
    )
    return ListingRow.state == ListingState.LIVE.value, _has("buyer", EVERYONE, *buyers), ~left.exists()


def _has(kind: str, *values: str) -> ColumnElement[bool]:
    facets = select(ListingFacetRow.listing_id).where(
        ListingFacetRow.kind == kind,
        ListingFacetRow.value.in_(values),
        ListingFacetRow.listing_id == ListingRow.id,
    )
    return facets.exists()
