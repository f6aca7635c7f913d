"""An organisation's API clients in pages, sorted and filtered where the rows are, with the credentials that count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, or_, select

from cleanroom.access.clients import client_of
from cleanroom.access.models import ClientKeyRow, ClientRow, ClientSecretRow
from cleanroom.access.types import Client
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction

_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        # Ids carry the time.
        "created": ClientRow.id,
        "name": func.lower(ClientRow.name),
        "role": func.coalesce(ClientRow.role, ""),
        # What was never used comes before all that was, on either database.
        "used": func.coalesce(ClientRow.last_used_at, ClientRow.created_at),
    }
)
SORTS = tuple(_SORTS)


@dataclass(frozen=True)
class Listed:
    """A client at a glance.

    Attributes:
        client: as it stands.
        credentials: how many of its keys and secrets count now.
        ends_at: when the first of them that has an end ends; None when none has.
    """

    client: Client
    credentials: int
    ends_at: datetime | None


def roster(
    tx: Transaction,
    organisation_id: str,
    *,
    now: datetime,
    text: str = "",
    revoked: bool | None = None,
    sort: str = "created",
    descending: bool = False,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[Listed, ...], int]:
    """Return a page of an organisation's clients.

    Args:
        tx: any transaction.
        organisation_id: whose.
        now: the instant.
        text: only those whose name holds it, whatever its case, or whose id it is.
        revoked: only those that were revoked, or only the others; None for all.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    wanted = [ClientRow.organisation_id == organisation_id]
    if text:
        wanted.append(or_(ClientRow.name.icontains(text, autoescape=True), ClientRow.id == text))
    if revoked is not None:
        wanted.append(ClientRow.revoked_at.is_not(None) if revoked else ClientRow.revoked_at.is_(None))
    total = tx.session.scalar(select(func.count()).select_from(ClientRow).where(*wanted)) or 0
    order = _SORTS.get(sort, _SORTS["created"])
    page = (
        select(ClientRow, OrganisationRow.kind)
        .join(OrganisationRow, OrganisationRow.id == ClientRow.organisation_id)
        .where(*wanted)
        .order_by(order.desc() if descending else order, ClientRow.id)
        .offset(offset)
        .limit(limit)
    )
    found = [client_of(row, OrganisationKind(kind)) for row, kind in tx.session.execute(page)]
    counting = _counting(tx, [one.id for one in found], now)
    return tuple(Listed(one, *counting.get(one.id, (0, None))) for one in found), int(total)


def _counting(
    tx: Transaction, client_ids: list[str], now: datetime
) -> dict[str, tuple[int, datetime | None]]:
    counting: dict[str, tuple[int, datetime | None]] = {}
    for table in (ClientKeyRow, ClientSecretRow):
        rows = (
            select(table.client_id, func.count(), func.min(table.expires_at))
            .where(table.client_id.in_(client_ids), or_(table.expires_at.is_(None), table.expires_at > now))
            .group_by(table.client_id)
        )
        # A client has keys or secrets, never both.
        for client_id, count, first in tx.session.execute(rows):
            counting[client_id] = (int(count), first)
    return counting
