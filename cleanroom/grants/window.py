"""What was spent longer ago than a policy's window: it stops counting in every account, the total included."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from cleanroom.db.database import Transaction
from cleanroom.grants.models import GrantRow, LedgerRow
from cleanroom.grants.types import AccountKind, Amount


def aged(
    tx: Transaction, population_id: str, key: tuple[AccountKind, str], window_days: int | None, now: datetime
) -> Amount:
    """Add up what one account's parties spent before the window began.

    Spending ages, allocation does not: a grant counts with all that its questions may still spend, and with what
    they spent inside the window. So no window, now or later, holds more than the cap.

    Args:
        tx: a transaction that holds the account's lock.
        population_id: whose account.
        key: which account.
        window_days: of the policy in force; None when nothing ages.
        now: the end of the window.

    Returns:
        What may be added to the account's cap.
    """
    if window_days is None:
        return Amount(0)
    before = now - timedelta(days=window_days)
    kind, party = key
    sums = select(
        func.coalesce(func.sum(LedgerRow.rho_micro), 0), func.coalesce(func.sum(LedgerRow.delta_pico), 0)
    ).where(LedgerRow.population_id == population_id, LedgerRow.at <= before)
    if kind is AccountKind.PUBLIC:
        found = sums.where(LedgerRow.kind == "public")
    else:
        # What was learned was learned at the release; what never was released ages from its reservation.
        settled = aliased(LedgerRow)
        released = (settled.subject_id == LedgerRow.subject_id) & (settled.kind == "settled")
        found = (
            sums.join(GrantRow, GrantRow.id == LedgerRow.grant_id)
            .outerjoin(settled, released)
            .where(
                LedgerRow.kind.in_(("reserved", "written_off")),
                or_(settled.at.is_(None), settled.at <= before),
                *_through(kind, party),
            )
        )
    rho_micro, delta_pico = tx.session.execute(found).one()
    return Amount(int(rho_micro), int(delta_pico))


def _through(kind: AccountKind, party: str) -> tuple[ColumnElement[bool], ...]:
    """Name the grants that an account encloses."""
    if kind is AccountKind.ADVERTISER:
        return (GrantRow.advertiser_id == party,)
    if kind is AccountKind.AFFILIATES:
        return (GrantRow.affiliate_group == party,)
    if kind is AccountKind.AGENCY:
        return (GrantRow.agency_id == party,)
    return ()
