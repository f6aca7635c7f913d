"""A provider's stall: its listings in pages, every wording of one, and which buyers it may name in private offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, or_, select, union

from cleanroom.accounts.models import OrganisationRow
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.content import ListingContent, Words
from cleanroom.marketplace.models import EntitlementRequestRow, ListingRow, ListingVersionRow
from cleanroom.marketplace.types import ListingState
from cleanroom.marketplace.views import content_of, read_content, unknown_listing

_TITLES = {one: ListingVersionRow.content["title"][one].as_string() for one in ("ru", "en")}
_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        # Ids carry the time.
        "created": ListingRow.id,
        "title_ru": func.lower(_TITLES["ru"]),
        "title_en": func.lower(_TITLES["en"]),
        "dataset": func.lower(DatasetRow.name),
        "state": ListingRow.state,
    }
)
SORTS = tuple(_SORTS)
STATES = tuple(state for state in ListingState if state is not ListingState.SUPERSEDED)
"""Where a listing can stand; `superseded` is for versions alone."""


@dataclass(frozen=True)
class Stalled:
    """A listing at a glance.

    Attributes:
        id: `lst_...`.
        title: of the newest wording.
        dataset: name of the dataset that it offers.
        state: of the listing.
        number: of the newest wording.
        version_state: of the newest wording.
        is_live: whether the newest wording is the one that buyers see.
        private: whether every tariff names its buyers.
        plans: how many tariffs it has.
        created_at: when it was made.
    """

    id: str
    title: Words
    dataset: str
    state: ListingState
    number: int
    version_state: ListingState
    is_live: bool
    private: bool
    plans: int
    created_at: datetime


@dataclass(frozen=True)
class Wording:
    """One version of a listing, for its owner.

    Attributes:
        id: `lv_...`.
        number: 1 for the first.
        state: draft, review, live or superseded.
        content: what it says.
        grade: of the red team's report on the rule it was written for; None without one.
        written_by: the person or client.
        reviewed_by: who let it go live; None before.
        created_at: when it was written.
    """

    id: str
    number: int
    state: ListingState
    content: ListingContent
    grade: str | None
    written_by: str
    reviewed_by: str | None
    created_at: datetime


@dataclass(frozen=True)
class Acquaintance:
    """A buyer that a provider may know by name, since it has asked for one of its listings."""

    id: str
    name: str


def stall(
    tx: Transaction,
    provider_id: str,
    *,
    state: ListingState | None = None,
    text: str = "",
    sort: str = "created",
    descending: bool = False,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[Stalled, ...], int]:
    """Return a page of a provider's listings, each with its newest wording.

    Args:
        tx: any transaction.
        provider_id: whose.
        state: only those in one state; `review` also those whose newest wording waits for review while they are live.
        text: only those whose title, in either language, or whose dataset's name holds it, whatever its case.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    wanted = [ListingRow.provider_id == provider_id]
    if state is ListingState.REVIEW:
        waits = (ListingVersionRow.state == state.value) & (ListingRow.state != ListingState.RETIRED.value)
        wanted.append(or_(ListingRow.state == state.value, waits))
    elif state is not None:
        wanted.append(ListingRow.state == state.value)
    if text:
        held = [column.icontains(text, autoescape=True) for column in (*_TITLES.values(), DatasetRow.name)]
        wanted.append(or_(*held))
    rows = (
        select(ListingRow, ListingVersionRow, DatasetRow.name)
        .join(ListingVersionRow, ListingVersionRow.id == ListingRow.newest_version_id)
        .join(DatasetRow, DatasetRow.id == ListingRow.dataset_id)
        .where(*wanted)
    )
    total = tx.session.scalar(
        select(func.count()).select_from(rows.with_only_columns(ListingRow.id).subquery())
    )
    order = _SORTS.get(sort, _SORTS["created"])
    page = rows.order_by(order.desc() if descending else order, ListingRow.id).offset(offset).limit(limit)
    return tuple(_stalled(row, version, name) for row, version, name in tx.session.execute(page)), int(
        total or 0
    )


def reviews_waiting(tx: Transaction) -> int:
    """Return how many listings of the whole room wait for the operator's review."""
    rows = (
        select(func.count())
        .select_from(ListingRow)
        .join(ListingVersionRow, ListingVersionRow.id == ListingRow.newest_version_id)
        .where(
            ListingVersionRow.state == ListingState.REVIEW.value,
            ListingRow.state != ListingState.RETIRED.value,
        )
    )
    return int(tx.session.scalar(rows) or 0)


def wordings(tx: Transaction, listing_id: str, *, organisation_id: str) -> tuple[Wording, ...]:
    """Return every wording of a provider's listing, the newest first; raises UnknownListingError."""
    row = tx.session.get(ListingRow, listing_id)
    if row is None or row.provider_id != organisation_id:
        raise unknown_listing()
    rows = select(ListingVersionRow).where(ListingVersionRow.listing_id == listing_id)
    return tuple(_wording(one) for one in tx.session.scalars(rows.order_by(ListingVersionRow.number.desc())))


def live_content(tx: Transaction, listing_id: str) -> ListingContent | None:
    """Return the wording that buyers see of a listing, or None before the first; for a review beside the new one."""
    version_id = tx.session.scalar(select(ListingRow.live_version_id).where(ListingRow.id == listing_id))
    return None if version_id is None else content_of(tx, version_id)


def acquaintances(tx: Transaction, provider_id: str, *, limit: int = 200) -> tuple[Acquaintance, ...]:
    """Return the buyers that a provider may know: whoever has asked for a listing of its own, by name.

    Nobody else is named: who else is in the room is no business of a provider's.
    """
    request = EntitlementRequestRow
    asked = union(
        select(request.advertiser_id.label("id")).where(request.provider_id == provider_id),
        select(request.agency_id.label("id")).where(
            request.provider_id == provider_id, request.agency_id.is_not(None)
        ),
    ).subquery()
    rows = (
        select(OrganisationRow.id, OrganisationRow.name)
        .join(asked, asked.c.id == OrganisationRow.id)
        .order_by(func.lower(OrganisationRow.name), OrganisationRow.id)
        .limit(limit)
    )
    return tuple(Acquaintance(one.id, one.name) for one in tx.session.execute(rows))


def _stalled(row: ListingRow, version: ListingVersionRow, dataset: str) -> Stalled:
    content = read_content(version)
    return Stalled(
        id=row.id,
        title=content.title,
        dataset=dataset,
        state=ListingState(row.state),
        number=version.number,
        version_state=ListingState(version.state),
        is_live=row.live_version_id == version.id,
        private=all(plan.offered_to for plan in content.plans),
        plans=len(content.plans),
        created_at=row.created_at,
    )


def _wording(row: ListingVersionRow) -> Wording:
    return Wording(
        id=row.id,
        number=row.number,
        state=ListingState(row.state),
        content=read_content(row),
        grade=row.grade,
        written_by=row.written_by,
        reviewed_by=row.reviewed_by,
        created_at=row.created_at,
    )
