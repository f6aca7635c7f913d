"""Listings from their rows: what a version says, and the public sizes beside it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.content import ListingContent, content_from_data
from cleanroom.marketplace.errors import UnknownListingError
from cleanroom.marketplace.models import ListingRow, ListingVersionRow
from cleanroom.marketplace.types import Listing, ListingState, ListingVersion
from cleanroom.release.public import find_publics
from cleanroom.release.types import ReleasedFigure
from cleanroom.remembered import Remembered

EVERYONE = "*"
"""The facet of a listing that is open to every party, or to every sector."""

_CONTENTS: Remembered[str, ListingContent] = Remembered(2_048)


def listing_of(tx: Transaction, row: ListingRow, version: ListingVersionRow) -> Listing:
    """Return a listing as a value, with one of its versions."""
    return listings_of(tx, [(row, version)])[0]


def listings_of(
    tx: Transaction, found: Sequence[tuple[ListingRow, ListingVersionRow]]
) -> tuple[Listing, ...]:
    """Return listings as values, each with one of its versions; what stands beside them is read for all at once."""
    numbers = _live_numbers(tx, found)
    datasets = {row.dataset_id for row, _ in found}
    current = tx.session.execute(
        select(DatasetRow.id, DatasetRow.current_version_id).where(DatasetRow.id.in_(datasets))
    )
    versions = {dataset_id: version_id for dataset_id, version_id in current if version_id is not None}
    figures = find_publics(tx, versions.values())
    return tuple(
        _listing(row, version, numbers, figures, versions.get(row.dataset_id)) for row, version in found
    )


def unknown_listing() -> UnknownListingError:
    """Return the answer that a foreign and a missing listing have in common."""
    return UnknownListingError("There is no listing with this id.", remedy="Search the catalogue.")


def read_content(version: ListingVersionRow) -> ListingContent:
    """Return what a version says; it never changes, so what was read before is remembered by the version's id."""
    known = _CONTENTS.get(version.id)
    return known if known is not None else _CONTENTS.put(version.id, content_from_data(version.content))


def content_of(tx: Transaction, version_id: str) -> ListingContent:
    """Return what a version says, by its id."""
    known = _CONTENTS.get(version_id)
    return known if known is not None else read_content(tx.session.get_one(ListingVersionRow, version_id))


def _listing(
    row: ListingRow,
    version: ListingVersionRow,
    numbers: Mapping[str, int],
    figures: Mapping[tuple[str, str], ReleasedFigure],
    dataset_version_id: str | None,
) -> Listing:
    content = read_content(version)
    sizes = {
        purpose: figures[dataset_version_id, purpose]
        for purpose in sorted(content.terms.purposes)
        if dataset_version_id is not None and (dataset_version_id, purpose) in figures
    }
    return Listing(
        id=row.id,
        provider_id=row.provider_id,
        dataset_id=row.dataset_id,
        state=ListingState(row.state),
        version=ListingVersion(
            id=version.id,
            number=version.number,
            state=ListingState(version.state),
            content=content,
            policy_id=version.policy_id,
            policy_sha256=version.policy_sha256,
            grade=version.grade,
            written_by=version.written_by,
            reviewed_by=version.reviewed_by,
            created_at=version.created_at,
        ),
        live_number=None if row.live_version_id is None else numbers[row.live_version_id],
        sizes=sizes,
        created_at=row.created_at,
    )


def _live_numbers(tx: Transaction, found: Sequence[tuple[ListingRow, ListingVersionRow]]) -> dict[str, int]:
    """Return the numbers of the versions that buyers see, by id; those at hand are not read again."""
    numbers = {version.id: version.number for _, version in found}
    others = {row.live_version_id for row, _ in found if row.live_version_id is not None} - set(numbers)
    if others:
        wanted = select(ListingVersionRow.id, ListingVersionRow.number).where(
            ListingVersionRow.id.in_(others)
        )
        numbers |= {one.id: one.number for one in tx.session.execute(wanted)}
    return numbers
