"""Datasets whose consents have to be confirmed: a backup was put back, and what was withdrawn since is not known."""

from datetime import datetime

from sqlalchemy import bindparam, select

from cleanroom.clock import rfc3339
from cleanroom.consent.errors import NothingToConfirmError
from cleanroom.consent.models import ConsentCheckRow
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction

_CHECKS = Base.metadata.tables[ConsentCheckRow.__tablename__].c
OPEN_CHECK = select(_CHECKS.since).where(
    _CHECKS.dataset_id == bindparam("dataset_id"), _CHECKS.confirmed_at.is_(None)
)


def unconfirmed(tx: Transaction, dataset_id: str) -> datetime | None:
    """Return since when withdrawals of a dataset may be lost; None when nothing has to be confirmed."""
    since: datetime | None = tx.connection.scalar(OPEN_CHECK, {"dataset_id": dataset_id})
    return since


def unconfirmed_all(tx: Transaction) -> tuple[tuple[str, datetime], ...]:
    """Return every dataset whose consents have to be confirmed, and since when they are in doubt."""
    rows = select(ConsentCheckRow).where(ConsentCheckRow.confirmed_at.is_(None))
    return tuple(
        (row.dataset_id, row.since) for row in tx.session.scalars(rows.order_by(ConsentCheckRow.dataset_id))
    )


def require_confirmation(
    tx: Transaction, dataset_id: str, *, organisation_id: str, since: datetime, now: datetime
) -> None:
    """Let nobody of a dataset be counted until its owner has confirmed the consents.

    Args:
        tx: the caller's transaction.
        dataset_id: which.
        organisation_id: its owner, in whose log it stands.
        since: withdrawals after this instant may be lost; an earlier one that is open stays.
        now: the instant.
    """
    row = tx.session.get(ConsentCheckRow, dataset_id)
    if row is not None and row.confirmed_at is None:
        since = min(since, row.since)
    tx.session.merge(ConsentCheckRow(dataset_id=dataset_id, since=since, set_at=now, confirmed_at=None))
    tx.session.flush()
    tx.audit(
        "consent.confirmation_required",
        subject_id=dataset_id,
        organisation_id=organisation_id,
        body={"since": rfc3339(since)},
    )


def end_check(tx: Transaction, dataset_id: str, *, now: datetime) -> datetime:
    """Note that the consents of a dataset are confirmed; returns since when they were in doubt.

    Raises:
        NothingToConfirmError: they are not in doubt.
    """
    row = tx.session.get(ConsentCheckRow, dataset_id, with_for_update=True, populate_existing=True)
    if row is None or row.confirmed_at is not None:
        raise NothingToConfirmError(
            "The consents of this dataset are not in doubt.", remedy="Nothing has to be confirmed."
        )
    row.confirmed_at = now
    tx.session.flush()
    return row.since
