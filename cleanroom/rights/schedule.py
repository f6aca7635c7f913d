"""Passes over files that are to come: gathered, so that many requests cost one pass."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, or_, select

from cleanroom.clock import Clock, rfc3339
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.datasets.types import WITHOUT_FILES
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.rights.models import CompactedVersionRow, CompactionRow, ErasureRow
from cleanroom.rights.rows import compaction_of
from cleanroom.rights.types import OPEN, Compaction, PassState, Why

_OPEN = [state.value for state in OPEN]


def schedule(
    tx: Transaction,
    clock: Clock,
    dataset_id: str,
    *,
    organisation_id: str,
    why: Why,
    due_at: datetime,
    collected_before: datetime | None = None,
) -> CompactionRow:
    """Plan a pass, or let one that waits for the same do it too, at the earlier of both instants.

    Args:
        tx: holds the dataset's lock.
        clock: tells the time.
        dataset_id: whose files.
        organisation_id: its owner.
        why: erasure or retention.
        due_at: when it begins.
        collected_before: of retention, which consents are too old.
    """
    waiting = select(CompactionRow).where(
        CompactionRow.dataset_id == dataset_id,
        CompactionRow.why == why.value,
        CompactionRow.state == PassState.WAITING.value,
        # One that was begun has seen some files already.
        CompactionRow.started_at.is_(None),
    )
    row = tx.session.scalars(waiting.limit(1)).first()
    if row is not None:
        row.due_at = min(row.due_at, due_at)
        if collected_before is not None:
            row.collected_before = max(row.collected_before or collected_before, collected_before)
        tx.session.flush()
        return row
    now = clock.now()
    row = CompactionRow(
        id=new_id("cp", now),
        dataset_id=dataset_id,
        organisation_id=organisation_id,
        why=why.value,
        state=PassState.WAITING.value,
        asked_at=now,
        due_at=due_at,
        started_at=None,
        ended_at=None,
        done=0,
        total=0,
        failures=0,
        failure=None,
        through_epoch=None,
        collected_before=collected_before,
    )
    tx.session.add(row)
    tx.session.flush()
    tx.audit(
        "rights.compaction_planned",
        subject_id=row.id,
        organisation_id=organisation_id,
        body={"dataset_id": dataset_id, "why": why.value, "due_at": rfc3339(due_at)},
    )
    return row


def next_passes(tx: Transaction, dataset_ids: Collection[str]) -> dict[str, Compaction]:
    """Return, by dataset, the pass that erases next: the one that is due first of those that have not ended.

    Args:
        tx: any transaction.
        dataset_ids: of which datasets; those without such a pass are missing from the answer.
    """
    if not dataset_ids:
        return {}
    planned = select(CompactionRow).where(
        CompactionRow.dataset_id.in_(sorted(dataset_ids)),
        CompactionRow.why == Why.ERASURE.value,
        CompactionRow.state.in_(_OPEN),
    )
    rows = tx.session.scalars(planned.order_by(CompactionRow.due_at.desc(), CompactionRow.id.desc()))
    return {row.dataset_id: compaction_of(row) for row in rows}


def uncovered(tx: Transaction) -> Collection[tuple[str, str]]:
    """Return datasets with a version that no pass has freed of erased people, and none is to; with their owners.

    A version that is loaded after somebody was erased may bring the person again.
    """
    asked = (
        select(
            ErasureRow.dataset_id.label("dataset_id"),
            ErasureRow.organisation_id.label("organisation_id"),
            func.max(ErasureRow.epoch).label("epoch"),
        )
        .group_by(ErasureRow.dataset_id, ErasureRow.organisation_id)
        .subquery()
    )
    planned = select(CompactionRow.dataset_id).where(CompactionRow.state.in_(_OPEN))
    rows = (
        select(asked.c.dataset_id, asked.c.organisation_id)
        .join(DatasetVersionRow, DatasetVersionRow.dataset_id == asked.c.dataset_id)
        .outerjoin(CompactedVersionRow, CompactedVersionRow.version_id == DatasetVersionRow.id)
        .where(
            DatasetVersionRow.status.not_in(WITHOUT_FILES),
            or_(CompactedVersionRow.epoch.is_(None), CompactedVersionRow.epoch < asked.c.epoch),
            asked.c.dataset_id.not_in(planned),
        )
        .distinct()
    )
    return [(dataset_id, organisation_id) for dataset_id, organisation_id in tx.session.execute(rows)]
