"""What keys an organisation has, since when, and what is done with them: read in few statements, without any secret."""

from sqlalchemy import func, not_, or_, select

from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.rekeying.models import KeyRotationRow
from cleanroom.rekeying.rows import rotation_of
from cleanroom.rekeying.types import OPEN, KeyRotation, Keys
from cleanroom.workspaces.models import TOKEN, WorkspaceRow, WorkspaceSecretRow
from cleanroom.workspaces.rows import workspace_of
from cleanroom.wrapping import RetiredKekRow


def keys_of(tx: Transaction, organisation_id: str, *, limit: int = 50) -> tuple[Keys, ...]:
    """Return the keys of an organisation's workspaces, oldest first, those of destroyed ones too.

    Args:
        tx: any transaction.
        organisation_id: whose.
        limit: of workspaces.
    """
    own = select(WorkspaceRow).where(WorkspaceRow.organisation_id == organisation_id)
    rows = tx.session.scalars(own.order_by(WorkspaceRow.id).limit(limit)).all()
    ids = [row.id for row in rows]
    # A secret came into use when the one before it was retired.
    secrets = select(WorkspaceSecretRow.workspace_id, func.max(WorkspaceSecretRow.retired_at)).where(
        WorkspaceSecretRow.workspace_id.in_(ids), WorkspaceSecretRow.purpose == TOKEN
    )
    tokens = dict(tx.session.execute(secrets.group_by(WorkspaceSecretRow.workspace_id)).all())
    retired = select(RetiredKekRow.workspace_id, func.max(RetiredKekRow.retired_at)).where(
        RetiredKekRow.workspace_id.in_(ids)
    )
    keks = dict(tx.session.execute(retired.group_by(RetiredKekRow.workspace_id)).all())
    counted = select(DatasetRow.workspace_id, func.count()).where(
        DatasetRow.workspace_id.in_(ids), DatasetRow.deleted_at.is_(None)
    )
    datasets = dict(tx.session.execute(counted.group_by(DatasetRow.workspace_id)).all())
    newest = (
        select(func.max(KeyRotationRow.id))
        .where(KeyRotationRow.workspace_id.in_(ids))
        .group_by(KeyRotationRow.workspace_id, KeyRotationRow.state.in_([state.value for state in OPEN]))
    )
    under_way: dict[str, KeyRotation] = {}
    last: dict[str, KeyRotation] = {}
    for row in tx.session.scalars(select(KeyRotationRow).where(KeyRotationRow.id.in_(newest))):
        rotation = rotation_of(row)
        (under_way if rotation.state in OPEN else last)[row.workspace_id] = rotation
    return tuple(
        Keys(
            workspace=workspace_of(row),
            kek_since=keks.get(row.id) or row.created_at,
            token_since=tokens.get(row.id) or row.created_at,
            kek_changes=row.next_kek_id is not None,
            datasets=datasets.get(row.id, 0),
            under_way=under_way.get(row.id),
            last=last.get(row.id),
        )
        for row in rows
    )


def workspaces_outside(tx: Transaction, prefix: str) -> tuple[str, ...]:
    """Return the workspaces, oldest first, that have a key-encryption key in another store than the one named.

    Args:
        tx: any transaction.
        prefix: what the ids of the store's keys begin with.
    """
    # A workspace that has no next key has none outside: the comparison with nothing is not true.
    outside = [
        not_(column.startswith(prefix, autoescape=True))
        for column in (WorkspaceRow.kek_id, WorkspaceRow.next_kek_id)
    ]
    rows = select(WorkspaceRow.id).where(WorkspaceRow.destroyed_at.is_(None), or_(*outside))
    rows = rows.order_by(WorkspaceRow.id)
    return tuple(tx.session.scalars(rows))


def open_rotation(tx: Transaction, workspace_id: str) -> KeyRotation | None:
    """Return the rotation of a workspace's keys that has not ended; None when there is none."""
    rows = select(KeyRotationRow).where(
        KeyRotationRow.workspace_id == workspace_id, KeyRotationRow.state.in_([state.value for state in OPEN])
    )
    row = tx.session.scalars(rows).first()
    return None if row is None else rotation_of(row)
