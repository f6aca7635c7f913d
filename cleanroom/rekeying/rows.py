"""Rotations between values and rows."""

from cleanroom.rekeying.models import KeyRotationRow
from cleanroom.rekeying.types import KeyRotation, RotationState, What


def rotation_of(row: KeyRotationRow) -> KeyRotation:
    """Return a row as a value."""
    return KeyRotation(
        id=row.id,
        organisation_id=row.organisation_id,
        workspace_id=row.workspace_id,
        what=What(row.what),
        state=RotationState(row.state),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        done=row.done,
        total=row.total,
        failure=row.failure,
    )
