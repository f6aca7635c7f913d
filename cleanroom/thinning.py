"""Removing from the mirror what every backup that is kept has: a restored room takes again only what it lacks.

What goes is decided by the log and never by a clock: a batch goes when its event lies under the signed head of each
backup. The head is noted in the mirror first, so that a backup that lacks some of it, if there is one after all, is
told that the mirror is not whole, and counts nobody until the owners have confirmed the consents.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func, select

from cleanroom.audit.models import AuditEvent
from cleanroom.consent.epochs import EPOCH_BEGUN
from cleanroom.consent.mirror import Mirror
from cleanroom.consent.optout_records import ACCEPTED
from cleanroom.datasets.published import PUBLISHED
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.room import Room
from crypto.checkpoint import Checkpoint, CheckpointError, open_note

_ENTERED = (EPOCH_BEGUN, ACCEPTED, PUBLISHED)
"""The events that come with what the mirror holds, in one transaction."""
_AT_ONCE = 500


class OtherHistoryError(CleanroomError):
    """A backup that is kept is no part of the history that the room has now."""

    code = "thinning.other_history"


@dataclass(frozen=True)
class Thinned:
    """What was removed.

    Attributes:
        files: batches, and notes of versions.
        bytes: of all together.
        left: files that stay.
    """

    files: int
    bytes: int
    left: int


def thin_mirror(room: Room, heads: Sequence[str]) -> Thinned:
    """Remove what every backup has; killed anywhere, it can be done again.

    Args:
        room: open; it may be running elsewhere.
        heads: the signed heads of all backups that are kept, wherever they lie; nothing goes without any.

    Raises:
        OtherHistoryError: one is not under the room's log: a batch may stand here at another place than there.
        MirrorError: the room has no mirror, or another room's.
    """
    mirror = room.consents.mirror
    files = freed = left = 0
    with mirror.thinning():
        size = _note(room, mirror, heads)
        names = mirror.files()
        while some := list(islice(names, _AT_ONCE)):
            gone = _entered(room, {_id(name) for _, name in some}, size)
            for owner_id, name in some:
                if _id(name) in gone:
                    files, freed = files + 1, freed + mirror.remove(owner_id, name)
                else:
                    left += 1
    return Thinned(files, freed, left)


def whole_for(room: Room, tx: Transaction, head: str | None) -> bool:
    """Tell whether a mirror that was thinned has all that a database lacks.

    Args:
        room: open on a backup that was put back.
        tx: any transaction.
        head: `Mirror.thinned`.
    """
    if head is None:
        return True
    try:
        _under(room, tx, head)
    except OtherHistoryError:
        return False
    return True


def _under(room: Room, tx: Transaction, head: str) -> Checkpoint:
    """Return a signed head that the room's log continues; raises OtherHistoryError."""
    try:
        signed = open_note(head, room.audit.verifier_key)
    except CheckpointError:
        signed = None
    if signed is None or signed.size > room.audit.size(tx) or not room.audit.continues(tx, signed):
        raise OtherHistoryError(
            "A backup that is kept, or was, has events that this room's log lacks: one was restored meanwhile.",
            remedy="Remove such backups first. If that does not help, begin a new mirror in another directory.",
        )
    return signed


def _note(room: Room, mirror: Mirror, heads: Sequence[str]) -> int:
    """Note the smallest head in the mirror; returns how many events lie under all of them."""
    before = mirror.thinned()
    if not heads:
        return 0
    with room.db.reading() as tx:
        size, oldest = min((_under(room, tx, head).size, head) for head in heads)
        if size and (before is None or _under(room, tx, before).size < size):
            last = select(func.max(AuditEvent.recorded_at)).where(AuditEvent.index < size)
            mirror.note_thinned(oldest, tx.session.scalars(last).one())
    return size


def _entered(room: Room, ids: Collection[str], size: int) -> frozenset[str]:
    """Return those that one of the first `size` events entered; what a crash left without any event stays."""
    rows = select(AuditEvent.subject_id).where(
        AuditEvent.subject_id.in_(ids), AuditEvent.kind.in_(_ENTERED), AuditEvent.index < size
    )
    with room.db.reading() as tx:
        return frozenset(tx.session.scalars(rows))


def _id(name: str) -> str:
    return name.partition(".")[0]
