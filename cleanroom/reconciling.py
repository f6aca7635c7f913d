"""Making a restored room usable: what it may have forgotten is charged, taken again, or has to be confirmed."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from cleanroom.audit.head import Restored
from cleanroom.audit.models import AuditEvent
from cleanroom.client.receipts import verify_receipt
from cleanroom.consent.checks import require_confirmation
from cleanroom.consent.errors import MirrorError
from cleanroom.consent.mirror import Mirror
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.grants.types import Reconciled
from cleanroom.release.public import withhold_unmade
from cleanroom.replaying import Replayed, replay
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_dict
from cleanroom.thinning import whole_for
from cleanroom.workspaces.models import WorkspaceRow
from crypto.checkpoint import CheckpointError, open_note

_HELD = (VersionStatus.PUBLISHED.value, VersionStatus.RETIRED.value)


class OtherLogError(CleanroomError):
    """A checkpoint is not this room's, or its log does not continue what the backup holds."""

    code = "reconciling.other_log"


@dataclass(frozen=True)
class RoomReconciled(Reconciled):
    """What reconciling has done.

    Attributes:
        events_missing: how many events the backup lacks at least, as far as anything outside it tells; None when
            nothing does.
        batches_replayed: batches that hold people back, taken again from the mirror.
        to_confirm: datasets of which nobody is counted until their owners have confirmed the consents.
    """

    events_missing: int | None
    batches_replayed: int
    to_confirm: tuple[str, ...]


def reconcile_room(
    room: Room,
    receipts: Iterable[bytes] = (),
    *,
    mirror: Path | None = None,
    checkpoint: str | None = None,
) -> RoomReconciled:
    """Make a restored room usable: charge what it may have forgotten, then take its log for the newest.

    What holds people back is taken again from a mirror that has outlived the loss: from the one named, or from the
    room's own where the newest head beside it shows that it has. Without one, the owners have to send again what they
    sent since the backup, and nobody of their datasets is counted before they say that they have.

    Args:
        room: open; a crash in between can be repeated.
        receipts: files, of questions asked since the backup.
        mirror: a directory of withdrawals that holds all of them.
        checkpoint: the newest signed head that anybody outside the room has kept.

    Raises:
        ReceiptError: one is not this room's.
        MirrorError: the directory is no mirror of this room, or is damaged.
        OtherLogError: the checkpoint is not one of this log.
    """
    proven = [verify_receipt(receipt, verifier_key=room.audit.verifier_key) for receipt in receipts]
    with room.db.reading() as tx:
        found = room.audit.restored(tx)
        backed_up_at = tx.session.scalar(select(func.max(AuditEvent.recorded_at))) or room.clock.now()
        missing = _missing(room, tx, found, checkpoint)
        whole = _whole_mirror(room, tx, found, backed_up_at, mirror)
    room.analyses.recover(queued=True)
    again = Replayed() if whole is None else replay(room, whole)
    with room.db.transaction() as tx:
        withhold_unmade(tx)
        to_confirm = _doubted(tx, whole, again)
        for dataset_id, organisation_id in to_confirm:
            require_confirmation(
                tx, dataset_id, organisation_id=organisation_id, since=backed_up_at, now=room.clock.now()
            )
        done = room.grants.reconcile(tx, proven, events_missing=missing)
    with room.db.reading() as tx:
        room.audit.adopt(tx)
    return RoomReconciled(
        **vars(done),
        events_missing=missing,
        batches_replayed=again.batches,
        to_confirm=tuple(dataset_id for dataset_id, _ in to_confirm),
    )


def _missing(room: Room, tx: Transaction, found: Restored | None, checkpoint: str | None) -> int | None:
    """Return how many events a backup lacks, by the newest head that is known."""
    known = [] if found is None or found.known is None else [found.known]
    held = room.audit.size(tx)
    if checkpoint is not None:
        try:
            signed = open_note(checkpoint, room.audit.verifier_key)
        except CheckpointError:
            signed = None
        if signed is None or not room.audit.continues(tx, signed):
            raise OtherLogError(
                "The checkpoint is not one of this room's log, or the backup was rewritten before it.",
                remedy="Take a checkpoint that a witness has kept of this very room.",
            )
        known.append(signed.size)
    return max(0, max(known) - held) if known else None


def _whole_mirror(
    room: Room, tx: Transaction, found: Restored | None, backed_up_at: datetime, named: Path | None
) -> Mirror | None:
    """Return the mirror that holds every withdrawal since the backup; None when none is known to."""
    if named is not None:
        mirror = Mirror(named, room.settings.origin)
        if mirror.since() > backed_up_at:
            raise MirrorError(
                "This mirror began after the backup was made: withdrawals between the two are not in it.",
                remedy="Reconcile without it; owners then confirm the consents of their datasets.",
            )
        if not whole_for(room, tx, mirror.thinned()):
            raise MirrorError(
                "What newer backups have was removed from this mirror, and this backup lacks some of it.",
                remedy="Restore a newer backup; or reconcile without the mirror, and owners confirm the consents.",
            )
        return mirror
    if found is None or found.known is None or found.known <= found.held:
        return None
    with suppress(MirrorError):
        own = room.consents.mirror
        if own.since() <= backed_up_at and whole_for(room, tx, own.thinned()):
            return own
    return None


def _doubted(tx: Transaction, mirror: Mirror | None, again: Replayed) -> list[tuple[str, str]]:
    """Return datasets, with their owners, of which people's wishes or the consents of a newer version may be lost.

    Lists and erasures hold people of a dataset without consents back too; a base counts for its owner alone.
    """
    rows = tx.session.execute(
        select(DatasetRow, WorkspaceRow.organisation_id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(
            DatasetRow.deleted_at.is_(None),
            WorkspaceRow.destroyed_at.is_(None),
            DatasetRow.kind == DatasetKind.DATASET.value,
        )
        .order_by(DatasetRow.id)
    ).all()
    doubted = []
    for row, organisation_id in rows:
        if mirror is not None and organisation_id not in again.unopened:
            if not schema_from_dict(row.schema).consents:
                continue
            published = select(DatasetVersionRow.id).where(
                DatasetVersionRow.dataset_id == row.id, DatasetVersionRow.status.in_(_HELD)
            )
            if mirror.versions(row.id) <= set(tx.session.scalars(published)):
                continue
        doubted.append((row.id, organisation_id))
    return doubted
