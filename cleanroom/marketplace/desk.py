"""A provider's desk: requests for its listings in pages, sorted and filtered where the rows are."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import case, func, select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.models import EntitlementRequestRow, ListingVersionRow
from cleanroom.marketplace.requests import request_of
from cleanroom.marketplace.types import EntitlementRequest, RequestState
from cleanroom.marketplace.views import read_content

_SIZE = case({"S": 1, "M": 2, "L": 3}, value=EntitlementRequestRow.size, else_=4)
_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        # Ids carry the time.
        "asked": EntitlementRequestRow.id,
        "buyer": func.lower(OrganisationRow.name),
        "size": _SIZE,
        "days": EntitlementRequestRow.days,
        "state": EntitlementRequestRow.state,
    }
)
SORTS = tuple(_SORTS)


@dataclass(frozen=True)
class DeskEntry:
    """A request with the names that stand beside it.

    Attributes:
        request: as it stands.
        buyer: name of the advertiser.
        agency: name of the agency; None without one.
        title_ru, title_en: of the listing, as it read when it was asked for.
    """

    request: EntitlementRequest
    buyer: str
    agency: str | None
    title_ru: str
    title_en: str


def entries(
    tx: Transaction,
    provider_id: str,
    *,
    state: RequestState | None = None,
    buyer: str = "",
    sort: str = "asked",
    descending: bool = False,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[DeskEntry, ...], int]:
    """Return a page of the requests that a provider decides.

    Args:
        tx: any transaction.
        provider_id: whose desk.
        state: only those in one state.
        buyer: only those whose advertiser's name holds this text, whatever its case.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    request = EntitlementRequestRow
    wanted = [request.provider_id == provider_id]
    if state is not None:
        wanted.append(request.state == state.value)
    counted, chosen = select(func.count()).select_from(request), select(request.id)
    if buyer:
        wanted.append(OrganisationRow.name.icontains(buyer, autoescape=True))
        counted = counted.join(OrganisationRow, OrganisationRow.id == request.advertiser_id)
    if buyer or sort == "buyer":
        chosen = chosen.join(OrganisationRow, OrganisationRow.id == request.advertiser_id)
    total = tx.session.scalar(counted.where(*wanted)) or 0
    order = _SORTS.get(sort, _SORTS["asked"])
    ordered = (order.desc() if descending else order, request.id)
    # Ids are sorted first, and what stands beside them is read for one page alone.
    page = chosen.where(*wanted).order_by(*ordered).offset(offset).limit(limit).subquery()
    rows = (
        select(request, OrganisationRow.name, ListingVersionRow)
        .join(page, page.c.id == request.id)
        .join(OrganisationRow, OrganisationRow.id == request.advertiser_id)
        .join(ListingVersionRow, ListingVersionRow.id == request.listing_version_id)
        .order_by(*ordered)
    )
    found = tx.session.execute(rows).all()
    agencies = {row.agency_id for row, _, _ in found if row.agency_id is not None}
    names = dict(
        tx.session.execute(
            select(OrganisationRow.id, OrganisationRow.name).where(OrganisationRow.id.in_(agencies))
        ).all()
    )
    return tuple(_entry(row, name, version, names) for row, name, version in found), int(total)


def entry(tx: Transaction, request: EntitlementRequest) -> DeskEntry:
    """Return a request that a service gave with the names that stand beside it."""
    ids = [one for one in (request.advertiser_id, request.agency_id) if one is not None]
    names = {one: tx.session.get_one(OrganisationRow, one).name for one in ids}
    title = read_content(tx.session.get_one(ListingVersionRow, request.listing_version_id)).title
    agency = names[request.agency_id] if request.agency_id is not None else None
    return DeskEntry(request, names[request.advertiser_id], agency, title.ru, title.en)


def _entry(
    row: EntitlementRequestRow, buyer: str, version: ListingVersionRow, names: Mapping[str, str]
) -> DeskEntry:
    title = read_content(version).title
    agency = names[row.agency_id] if row.agency_id is not None else None
    return DeskEntry(request_of(row), buyer, agency, title.ru, title.en)
