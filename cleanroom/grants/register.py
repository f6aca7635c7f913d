"""The budget ledger of a dataset for its owner: which grants it paid for, what they spent, month by month."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import case, func, select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.db.database import Transaction
from cleanroom.grants.models import GrantRow, LedgerRow
from cleanroom.grants.types import Amount, GrantStatus

_SPENDS = ("reserved", "written_off")


@dataclass(frozen=True)
class Entry:
    """A grant with the name of its buyer.

    Attributes:
        grant_id: `gr_...`.
        buyer: name of the advertiser.
        size: S, M or L.
        status: active, expired or revoked.
        allocated: what it was given.
        spent: what its questions reserved; it never comes back.
        valid_from: first instant.
        expires_at: the instant it ends at, exclusive.
    """

    grant_id: str
    buyer: str
    size: str
    status: GrantStatus
    allocated: Amount
    spent: Amount
    valid_from: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Paid:
    """A figure about the population that was released to everyone.

    Attributes:
        release_id: the dataset's version and the purpose.
        amount: charged to every account.
        at: when.
    """

    release_id: str
    amount: Amount
    at: datetime

    @property
    def purpose(self) -> str:
        """For which the people were counted."""
        return self.release_id.partition("/")[2]


def entries(
    tx: Transaction, dataset_id: str, *, offset: int = 0, limit: int = 20
) -> tuple[tuple[Entry, ...], int]:
    """Return a page of the grants for a dataset, the newest first, and how many there are in all."""
    mine = GrantRow.dataset_id == dataset_id
    total = tx.session.scalar(select(func.count()).select_from(GrantRow).where(mine))
    rows = (
        select(GrantRow, OrganisationRow.name)
        .join(OrganisationRow, OrganisationRow.id == GrantRow.advertiser_id)
        .where(mine)
        .order_by(GrantRow.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return tuple(_entry(row, name) for row, name in tx.session.execute(rows)), int(total or 0)


def spent_between(tx: Transaction, dataset_id: str, edges: Sequence[datetime]) -> tuple[Amount, ...]:
    """Return what questions about a dataset spent in stretches of time, all of them in one statement.

    Args:
        tx: any transaction.
        dataset_id: which.
        edges: instants in order; each stretch goes from one to just before the next.

    Returns:
        One amount per stretch: one fewer than there are edges.
    """
    stretches = list(pairwise(edges))
    if not stretches:
        return ()
    sums = []
    for start, end in stretches:
        inside = (LedgerRow.at >= start) & (LedgerRow.at < end)
        sums += [
            func.coalesce(func.sum(case((inside, column), else_=0)), 0)
            for column in (LedgerRow.rho_micro, LedgerRow.delta_pico)
        ]
    rows = (
        select(*sums)
        .join(GrantRow, GrantRow.id == LedgerRow.grant_id)
        .where(GrantRow.dataset_id == dataset_id, LedgerRow.kind.in_(_SPENDS))
    )
    found = [int(value) for value in tx.session.execute(rows).one()]
    return tuple(Amount(rho, delta) for rho, delta in zip(found[::2], found[1::2], strict=True))


def totals(tx: Transaction, dataset_ids: Iterable[str]) -> dict[str, tuple[Amount, Amount]]:
    """Return what the grants of each dataset were given, and what of it their questions have spent.

    Datasets without a grant are missing.
    """
    columns = (GrantRow.rho_micro, GrantRow.delta_pico, GrantRow.spent_micro, GrantRow.spent_delta_pico)
    sums = (
        select(GrantRow.dataset_id, *(func.sum(column) for column in columns))
        .where(GrantRow.dataset_id.in_(list(dataset_ids)))
        .group_by(GrantRow.dataset_id)
    )
    found = {}
    for dataset_id, *values in tx.session.execute(sums):
        numbers = [int(value) for value in values]
        found[str(dataset_id)] = Amount(*numbers[:2]), Amount(*numbers[2:])
    return found


def public_releases(tx: Transaction, population_id: str, *, limit: int = 20) -> tuple[Paid, ...]:
    """Return the figures about a population that everyone may see, the newest first, with what they were charged."""
    rows = (
        select(LedgerRow)
        .where(LedgerRow.population_id == population_id, LedgerRow.kind == "public")
        .order_by(LedgerRow.id.desc())
        .limit(limit)
    )
    return tuple(
        Paid(row.subject_id, Amount(row.rho_micro, row.delta_pico), row.at)
        for row in tx.session.scalars(rows)
    )


def _entry(row: GrantRow, buyer: str) -> Entry:
    return Entry(
        grant_id=row.id,
        buyer=buyer,
        size=row.size,
        status=GrantStatus(row.status),
        allocated=Amount(row.rho_micro, row.delta_pico),
        spent=Amount(row.spent_micro, row.spent_delta_pico),
        valid_from=row.valid_from,
        expires_at=row.expires_at,
    )
