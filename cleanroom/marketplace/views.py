"""Listings from their rows: what a version says, and the public sizes beside it."""

import json
from functools import lru_cache

from sqlalchemy import select

from cleanroom.canonical import canonical_json
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.content import ListingContent, content_from_data
from cleanroom.marketplace.errors import UnknownListingError
from cleanroom.marketplace.models import ListingRow, ListingVersionRow
from cleanroom.marketplace.types import Listing, ListingState, ListingVersion
from cleanroom.release.public import find_public
from cleanroom.release.types import ReleasedFigure

EVERYONE = "*"
"""The facet of a listing that is open to every party, or to every sector."""

_CONTENTS = 2_048


def listing_of(tx: Transaction, row: ListingRow, version: ListingVersionRow) -> Listing:
    """Return a listing as a value, with one of its versions."""
    content = read_content(version)
    live = None if row.live_version_id is None else tx.session.get_one(ListingVersionRow, row.live_version_id)
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
        live_number=None if live is None else live.number,
        sizes=_sizes(tx, row.dataset_id, content),
        created_at=row.created_at,
    )


def unknown_listing() -> UnknownListingError:
    """Return the answer that a foreign and a missing listing have in common."""
    return UnknownListingError("There is no listing with this id.", remedy="Search the catalogue.")


def read_content(version: ListingVersionRow) -> ListingContent:
    """Return what a version says."""
    return _read(canonical_json(version.content))


@lru_cache(maxsize=_CONTENTS)
def _read(text: bytes) -> ListingContent:
    return content_from_data(json.loads(text))


def _sizes(tx: Transaction, dataset_id: str, content: ListingContent) -> dict[str, ReleasedFigure]:
    current = tx.session.scalar(select(DatasetRow.current_version_id).where(DatasetRow.id == dataset_id))
    if current is None:
        return {}
    found = {purpose: find_public(tx, current, purpose) for purpose in sorted(content.terms.purposes)}
    return {purpose: figure for purpose, figure in found.items() if figure is not None}
