"""Requests, passes and acts between values and rows."""

from cleanroom.rights.models import ActRow, CompactionRow, ErasureRow
from cleanroom.rights.types import (
    Act,
    ActKind,
    Compaction,
    Erasure,
    ErasureReason,
    ErasureState,
    PassState,
    Why,
)


def erasure_of(row: ErasureRow) -> Erasure:
    """Return a row as a value."""
    return Erasure(
        id=row.id,
        dataset_id=row.dataset_id,
        organisation_id=row.organisation_id,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        reason=ErasureReason(row.reason),
        reference=row.reference,
        commitment=row.commitment,
        epoch=row.epoch,
        state=ErasureState(row.state),
        compaction_id=row.compaction_id,
        erased_at=row.erased_at,
    )


def compaction_of(row: CompactionRow) -> Compaction:
    """Return a row as a value."""
    return Compaction(
        id=row.id,
        dataset_id=row.dataset_id,
        organisation_id=row.organisation_id,
        why=Why(row.why),
        state=PassState(row.state),
        asked_at=row.asked_at,
        due_at=row.due_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        done=row.done,
        total=row.total,
        failure=row.failure,
        through_epoch=row.through_epoch,
        collected_before=row.collected_before,
    )


def act_of(row: ActRow) -> Act:
    """Return a row as a value."""
    return Act(
        id=row.id,
        organisation_id=row.organisation_id,
        number=row.number,
        kind=ActKind(row.kind),
        subject_id=row.subject_id,
        event_index=row.event_index,
        destroyed_at=row.destroyed_at,
        made_at=row.made_at,
        sha256=row.sha256,
        document=row.document,
    )
