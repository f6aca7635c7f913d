"""What SQL keeps of opt-outs: that there was a batch, why, and what each dataset did with it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from cleanroom.consent.errors import OptOutNotFoundError
from cleanroom.consent.optout_models import OptOutOutcomeRow, OptOutRow
from cleanroom.consent.optout_types import (
    DatasetOutcome,
    OptOut,
    OptOutAction,
    OptOutKind,
    OptOutOutcome,
    OptOutReason,
)
from cleanroom.db.database import Transaction

ACCEPTED = "consent.opt_out_accepted"


def enter_row(
    tx: Transaction, opt_out_id: str, asked: OptOut, *, organisation_id: str, at: datetime
) -> OptOutRow:
    """Enter a batch.

    Args:
        tx: the caller's transaction.
        opt_out_id: `oo_...`.
        asked: the batch.
        organisation_id: whose datasets.
        at: when it is accepted.
    """
    row = OptOutRow(
        id=opt_out_id,
        organisation_id=organisation_id,
        dataset_id=asked.dataset_id,
        kind=asked.kind.value,
        action=asked.action.value,
        reason=asked.reason.value,
        reference=asked.reference,
        submitted=sum(one.count for one in asked.named),
        accepted_at=at,
    )
    tx.session.add(row)
    tx.session.flush()
    return row


def enter_outcome(tx: Transaction, opt_out_id: str, dataset_id: str, outcome: DatasetOutcome) -> None:
    """Enter what one dataset did with a batch."""
    tx.session.add(
        OptOutOutcomeRow(
            opt_out_id=opt_out_id,
            dataset_id=dataset_id,
            epoch=outcome.epoch,
            applied=list(outcome.applied),
            not_applied=list(outcome.not_applied),
        )
    )
    tx.session.flush()


def outcome_of(tx: Transaction, row: OptOutRow) -> OptOutOutcome:
    """Return a batch with what every dataset did with it."""
    rows = select(OptOutOutcomeRow).where(OptOutOutcomeRow.opt_out_id == row.id)
    return OptOutOutcome(
        id=row.id,
        kind=OptOutKind(row.kind),
        action=OptOutAction(row.action),
        dataset_id=row.dataset_id,
        reason=OptOutReason(row.reason),
        reference=row.reference,
        submitted=row.submitted,
        accepted_at=row.accepted_at,
        datasets={
            one.dataset_id: DatasetOutcome(one.epoch, tuple(one.applied), tuple(one.not_applied))
            for one in tx.session.scalars(rows.order_by(OptOutOutcomeRow.dataset_id))
        },
    )


def accepted(tx: Transaction, row: OptOutRow, roots: Mapping[str, str]) -> OptOutOutcome:
    """Tell the log of a batch, and return it.

    Args:
        tx: the caller's transaction.
        row: the batch, with its outcomes entered.
        roots: what the log has to state of sealed files.
    """
    found = outcome_of(tx, row)
    tx.audit(
        ACCEPTED,
        subject_id=row.id,
        organisation_id=row.organisation_id,
        body={
            "kind": row.kind,
            "action": row.action,
            "dataset_id": row.dataset_id,
            "reason": row.reason,
            "reference": row.reference,
            "submitted": row.submitted,
            "datasets": {
                dataset_id: {
                    "epoch": one.epoch,
                    "applied": list(one.applied),
                    "not_applied": list(one.not_applied),
                }
                for dataset_id, one in found.datasets.items()
            },
            "files_roots": dict(roots),
        },
    )
    return found


def owned_opt_out(tx: Transaction, opt_out_id: str, *, organisation_id: str) -> OptOutOutcome:
    """Return an organisation's own batch.

    Raises:
        OptOutNotFoundError: there is none, or it is somebody else's: one answer for both.
    """
    row = tx.session.get(OptOutRow, opt_out_id)
    if row is None or row.organisation_id != organisation_id:
        raise OptOutNotFoundError(
            "There is no batch of opt-outs with this id.", remedy="List your organisation's own."
        )
    return outcome_of(tx, row)


def opt_outs_of(
    tx: Transaction,
    *,
    organisation_id: str,
    kind: OptOutKind | None = None,
    dataset_id: str | None = None,
    before: str = "",
    limit: int,
) -> tuple[OptOutOutcome, ...]:
    """List an organisation's batches, the newest first.

    Args:
        tx: any transaction.
        organisation_id: whose.
        kind: of this kind alone.
        dataset_id: those that began an epoch in this dataset alone.
        before: the id that the first one comes after.
        limit: how many at most.
    """
    rows = select(OptOutRow).where(OptOutRow.organisation_id == organisation_id)
    if kind is not None:
        rows = rows.where(OptOutRow.kind == kind.value)
    if dataset_id is not None:
        given = select(OptOutOutcomeRow.opt_out_id).where(
            OptOutOutcomeRow.dataset_id == dataset_id, OptOutOutcomeRow.epoch.is_not(None)
        )
        rows = rows.where(OptOutRow.id.in_(given))
    if before:
        rows = rows.where(OptOutRow.id < before)
    found = tx.session.scalars(rows.order_by(OptOutRow.id.desc()).limit(limit)).all()
    return tuple(outcome_of(tx, row) for row in found)
