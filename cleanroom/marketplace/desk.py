"""A provider's desk: requests for its listings in pages, sorted and filtered where the rows are."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import case, func, or_, select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.models import EntitlementRequestRow, ListingVersionRow
from cleanroom.marketplace.requests import request_of
from cleanroom.marketplace.types import EntitlementRequest, RequestState
from cleanroom.marketplace.views import read_content

# Distinct, so that a name is folded once for each buyer and not for each of its requests.
_BUYERS = (
    select(OrganisationRow.id, func.lower(OrganisationRow.name).label("name")).distinct().subquery("buyers")
)
_SIZE = case({"S": 1, "M": 2, "L": 3}, value=EntitlementRequestRow.size, else_=4)
_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        # Ids carry the time.
        "asked": EntitlementRequestRow.id,
        "buyer": _BUYERS.c.name,
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
        verified: whether an operator has confirmed who the advertiser is.
        attributes: of the dataset, that the listing offers.
        segments: titles of its ready-made segments, in Russian and in English.
    """

    request: EntitlementRequest
    buyer: str
    agency: str | None
    title_ru: str
    title_en: str
    verified: bool
    attributes: tuple[str, ...]
    segments: tuple[tuple[str, str], ...]


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
        named = select(OrganisationRow.id).where(OrganisationRow.name.icontains(buyer, autoescape=True))
        wanted.append(request.advertiser_id.in_(named))
    if sort == "buyer":
        chosen = chosen.join(_BUYERS, _BUYERS.c.id == request.advertiser_id)
    total = tx.session.scalar(counted.where(*wanted)) or 0
    order = _SORTS.get(sort, _SORTS["asked"])
    ordered = (order.desc() if descending else order, request.id)
    # Ids are sorted first, and what stands beside them is read for one page alone.
    page = chosen.where(*wanted).order_by(*ordered).offset(offset).limit(limit).subquery()
    rows = (
        select(request, OrganisationRow, ListingVersionRow)
        .join(page, page.c.id == request.id)
        .join(OrganisationRow, OrganisationRow.id == request.advertiser_id)
        .join(ListingVersionRow, ListingVersionRow.id == request.listing_version_id)
    )
    if sort == "buyer":
        rows = rows.join(_BUYERS, _BUYERS.c.id == request.advertiser_id)
    rows = rows.order_by(*ordered)
    found = tx.session.execute(rows).all()
    agencies = {row.agency_id for row, _, _ in found if row.agency_id is not None}
    names = dict(
        tx.session.execute(
            select(OrganisationRow.id, OrganisationRow.name).where(OrganisationRow.id.in_(agencies))
        ).all()
    )
    return tuple(
        _entry(request_of(row), buyer, version, names.get(row.agency_id or ""))
        for row, buyer, version in found
    ), int(total)


def entry(tx: Transaction, request: EntitlementRequest) -> DeskEntry:
    """Return a request that a service gave with the names that stand beside it."""
    buyer = tx.session.get_one(OrganisationRow, request.advertiser_id)
    agency = (
        None if request.agency_id is None else tx.session.get_one(OrganisationRow, request.agency_id).name
    )
    return _entry(request, buyer, tx.session.get_one(ListingVersionRow, request.listing_version_id), agency)


def buyers_of(tx: Transaction, provider_id: str, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
    """Return id and name of the advertisers and agencies that have asked a provider for anything, by name."""
    request = EntitlementRequestRow
    asked = [
        select(party).where(request.provider_id == provider_id, party.is_not(None))
        for party in (request.advertiser_id, request.agency_id)
    ]
    rows = (
        select(OrganisationRow.id, OrganisationRow.name)
        .where(or_(*(OrganisationRow.id.in_(one) for one in asked)))
        .order_by(func.lower(OrganisationRow.name), OrganisationRow.id)
        .limit(limit)
    )
    return tuple((organisation_id, name) for organisation_id, name in tx.session.execute(rows))


def _entry(
    request: EntitlementRequest, buyer: OrganisationRow, version: ListingVersionRow, agency: str | None
) -> DeskEntry:
    content = read_content(version)
    return DeskEntry(
        request=request,
        buyer=buyer.name,
        agency=agency,
        title_ru=content.title.ru,
        title_en=content.title.en,
        verified=buyer.verified_at is not None,
        attributes=tuple(sorted(content.attributes)),
        segments=tuple((one.title.ru, one.title.en) for one in content.segments),
    )
