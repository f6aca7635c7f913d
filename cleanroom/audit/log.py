"""Writing the log in the transaction of the action, and serving its checkpoints and proofs."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.audit.adding import ADD_ALL, add_all_values
from cleanroom.audit.head import HeadFile, Restored
from cleanroom.audit.models import AuditCheckpoint, AuditEvent, AuditHead, AuditNode
from cleanroom.audit.reader import AuditReader, log_size
from cleanroom.audit.records import dataset_of
from cleanroom.audit.tree import Growth, Peaks, closed_by, peak_positions
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.base import Base
from cleanroom.db.database import PendingEvent, Proven, Transaction
from crypto import merkle
from crypto.checkpoint import Checkpoint, format_checkpoint, sign_note, verifier_key
from crypto.durable import sync_directory
from crypto.keys import public_key
from crypto.limits import DIGEST_BYTES

RECORD_VERSION = 1
_SALT_BYTES = 32
# Any constant will do; it only has to differ from other users of advisory locks in the same database.
_ADVISORY_LOCK = 0x636C65616E726F6F
_HEAD_ID = 1
RESTORED = "restored"

# Made once: every commit runs them, and to put a statement together takes as long as to run it.
_ADD_EVENTS, _ADD_NODES, _ADD_CHECKPOINT, _ADD_HEAD = (
    insert(Base.metadata.tables[model.__tablename__])
    for model in (AuditEvent, AuditNode, AuditCheckpoint, AuditHead)
)
_MOVE_HEAD = update(Base.metadata.tables[AuditHead.__tablename__]).where(AuditHead.id == _HEAD_ID)
_HEAD = select(AuditHead.size, AuditHead.note, AuditHead.peaks)
_LOCK_HEAD = _HEAD.where(AuditHead.id == _HEAD_ID).with_for_update()
_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_NODES, _EVENTS = (Base.metadata.tables[model.__tablename__].c for model in (AuditNode, AuditEvent))
_CLOSED_BY = select(_NODES.closed_by, _NODES.level, _NODES.hash).where(
    _NODES.closed_by.in_(bindparam("inner", expanding=True))
)
_LEAF = select(_EVENTS.leaf_hash).where(_EVENTS.index == bindparam("last"))


class AuditLog(AuditReader):
    """The room's log; it implements `db.Appender`."""

    def __init__(
        self,
        *,
        origin: str,
        seed: bytes,
        clock: Clock,
        head_file: Path | None = None,
        restored_file: Path | None = None,
    ) -> None:
        """Take the log's identity.

        Args:
            origin: the room's name in checkpoints; no space, no plus sign.
            seed: 32 bytes, the Ed25519 key that signs checkpoints and nothing else.
            clock: tells when an event is recorded.
            head_file: where the newest head is kept outside the database; without one, an old database that was
                put back is not noticed.
            restored_file: stands there from a restore on; the database then counts as a backup whatever else is
                found, until it is reconciled.
        """
        self._restored_file = restored_file
        self._origin = origin
        self._seed = seed
        self._clock = clock
        self._verifier_key = verifier_key(origin, public_key(seed))
        self._outside = None if head_file is None else HeadFile(head_file, self._verifier_key)
        # The head that this process signed last, the size of its tree and the hashes of its peaks.
        self._tip: tuple[str, int, tuple[bytes, ...]] = ("", 0, ())

    @property
    def verifier_key(self) -> str:
        """The public text with which anyone verifies the room's checkpoints."""
        return self._verifier_key

    def append(self, connection: Connection, events: Sequence[PendingEvent]) -> str | None:
        """Number, hash, store and sign the events of a transaction; `Database` calls it last.

        The order of commits is the order of indices, without gaps: one writer at a time holds the log's lock
        from here to its commit (on SQLite it has held the database's since it began).

        Returns:
            The new head for `committed`; None when the database lacks what the room has signed before.
        """
        shared = connection.dialect.name == "postgresql"
        # Read first: what it names was committed before, so a healthy database holds it by now.
        known = self._outside.read() if self._outside else None
        # Before the lock, which orders all writers: what was committed once is not changed by any of them.
        held = known is not None and shared and _holds(connection, known, size=log_size(connection))
        if shared:
            peaks = self._lock_and_read(connection)
        else:
            peaks = self._peaks(connection, connection.execute(_HEAD).one_or_none())
        size, tree = peaks.size, Growth(peaks)
        if known is None:
            continued = size == 0
        else:
            continued = (held and known.size <= size) or _holds(
                connection, known, size=size, root=tree.root()
            )
        now = self._clock.now()
        rows = [_enter(pending, tree, now) for pending in events]
        nodes = [
            {"closed_by": closed_by(level, position), "level": level, "hash": node}
            for level, position, node in tree.completed
        ]
        note = self._sign(tree.size, tree.root())
        head = {"size": tree.size, "note": note, "peaks": b"".join(tree.peaks)}
        # Its receipt will carry this head out of the room.
        keep = any(pending.prove for pending in events)
        if shared and size:
            connection.execute(ADD_ALL, add_all_values(rows, nodes, head, keep=keep))
        else:
            _add(connection, rows, nodes, head, first=not size, keep=keep)
        self._tip = (note, tree.size, tree.peaks)
        for pending, row in zip(events, rows, strict=True):
            if pending.prove:
                index = row["index"]
                proof = tuple(merkle.inclusion_from(tree.node, index, tree.size))
                pending.proven = Proven(row["record"], index, proof, note)
        return note if self._outside and continued else None

    def committed(self, head: str) -> None:
        """Keep the head of a committed transaction outside the database, before anything of it is handed out."""
        if self._outside:
            self._outside.advance(head)

    def restored(self, tx: Transaction) -> Restored | None:
        """Tell whether the database lacks something that the room has committed: then it is a restored backup.

        Cheap enough for every question: a small file, and one row as long as nothing was committed meanwhile.
        """
        if self._outside is None:
            return None
        if self._restored_file is not None and self._restored_file.exists():
            return self._declared(tx, self._outside)
        # Whoever writes holds the database until the commit: it stays what it was for the others who share that.
        if RESTORED in tx.shared:
            found: Restored | None = tx.shared[RESTORED]
            return found
        tx.shared[RESTORED] = found = self._restored(tx, self._outside)
        return found

    def _declared(self, tx: Transaction, outside: HeadFile) -> Restored | None:
        known, size = outside.read(), log_size(tx.connection)
        return Restored(size, known.size if known and known.size > size else None) if size else None

    def _restored(self, tx: Transaction, outside: HeadFile) -> Restored | None:
        # Read first: what it names was committed before, so a healthy database holds it by now.
        text = outside.text()
        head = tx.connection.execute(_HEAD).one_or_none()
        if head and head.note == text:
            return None
        known = outside.checked(text)
        size = head.size if head else 0
        if known is None:
            return Restored(size, None) if size else None
        return None if _holds(tx.connection, known, size=size) else Restored(size, known.size)

    def continues(self, tx: Transaction, signed: Checkpoint) -> bool:
        """Tell whether nothing here contradicts a head that was signed; one of more events cannot be compared."""
        return signed.origin == self._origin and (
            signed.size > self.size(tx) or _holds(tx.connection, signed, size=self.size(tx))
        )

    def adopt(self, tx: Transaction) -> None:
        """Take the database as it is for the newest, whatever was known before: after it was reconciled."""
        if self._outside:
            self._outside.replace(self.head(tx))
        if self._restored_file is not None and self._restored_file.exists():
            # Last: after a crash in between it is reconciled once more, which charges nothing more.
            self._restored_file.unlink()
            sync_directory(self._restored_file.parent)

    def checkpoint(self, tx: Transaction) -> str:
        """Return the signed head of the log and keep it for good, one per size.

        Args:
            tx: a writing transaction, opened after the action's: events it queues itself are not covered.

        Returns:
            A signed note to be kept outside the room: only with it can a room rolled back as a whole be told.
        """
        head = tx.session.get(AuditHead, _HEAD_ID, populate_existing=True)
        size, note = (head.size, head.note) if head else (0, self._sign(0, merkle.EMPTY_ROOT))
        if tx.session.scalar(select(AuditCheckpoint.size).where(AuditCheckpoint.size == size)) is None:
            # On PostgreSQL another transaction may keep the same one meanwhile.
            dialect = postgresql if tx.connection.dialect.name == "postgresql" else sqlite
            kept = dialect.insert(AuditCheckpoint).values(size=size, note=note)
            tx.session.execute(kept.on_conflict_do_nothing())
        return note

    def _lock_and_read(self, connection: Connection) -> Peaks:
        """Wait for one's turn to append, and read the head as whoever was before has left it."""
        head = connection.execute(_LOCK_HEAD).one_or_none()
        if head is None:
            # There is no row to hold yet: those that come first hold this instead.
            connection.execute(_LOCK, {"key": _ADVISORY_LOCK})
            head = connection.execute(_LOCK_HEAD).one_or_none()
        return self._peaks(connection, head)

    def _peaks(self, connection: Connection, head: Any) -> Peaks:
        """Return the peaks of the log: those of the head signed last, unless another process has added to it."""
        note, size, hashes = self._tip
        if head is not None and (head.size, head.note) == (size, note):
            return Peaks(size, hashes)
        if head is not None and head.peaks is not None:
            parts = range(0, len(head.peaks), DIGEST_BYTES)
            return Peaks(head.size, [head.peaks[at : at + DIGEST_BYTES] for at in parts])
        size = log_size(connection)
        return Peaks(size, _peaks(connection, size))

    def _sign(self, size: int, root: bytes) -> str:
        text = format_checkpoint(self._origin, size, root)
        note = sign_note(text, name=self._origin, seed=self._seed)
        if self._outside:
            self._outside.signed(note, Checkpoint(self._origin, size, root, text))
        return note


def _add(
    connection: Connection,
    rows: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
    head: dict[str, Any],
    *,
    first: bool,
    keep: bool,
) -> None:
    """Store what was appended, statement by statement."""
    connection.execute(_ADD_EVENTS, rows)
    if nodes:
        connection.execute(_ADD_NODES, nodes)
    if first:
        connection.execute(_ADD_HEAD, {"id": _HEAD_ID, **head})
    else:
        connection.execute(_MOVE_HEAD, head)
    if keep:
        connection.execute(_ADD_CHECKPOINT, {"size": head["size"], "note": head["note"]})


def _enter(pending: PendingEvent, tree: Growth, now: datetime) -> dict[str, Any]:
    """Give an event its place in the log; returns its row."""
    record = canonical_json(
        {
            "v": RECORD_VERSION,
            "at": rfc3339(now),
            "kind": pending.kind,
            "organisation": pending.organisation_id,
            "subject": pending.subject_id,
            "body": pending.body,
            # Else the hashes of guessable records in other people's proofs could be tried out.
            "salt": secrets.token_hex(_SALT_BYTES),
        }
    )
    leaf = merkle.leaf_hash(record)
    pending.index = tree.push(leaf)
    return {
        "index": pending.index,
        "recorded_at": now,
        "kind": pending.kind,
        "organisation_id": pending.organisation_id,
        "subject_id": pending.subject_id,
        "dataset_id": dataset_of(pending.subject_id, pending.body),
        "record": record,
        "leaf_hash": leaf,
    }


def _holds(connection: Connection, known: Checkpoint, *, size: int, root: bytes | None = None) -> bool:
    """Tell whether a log of `size` events, and of this root when it is known, continues a signed head."""
    if known.size > size:
        return False
    if known.size == size and root is not None:
        return known.root == root
    return Peaks(known.size, _peaks(connection, known.size)).root() == known.root


def _peaks(connection: Connection, size: int) -> list[bytes]:
    """Read the hashes of the complete subtrees that make up a tree of this size, widest first."""
    places = [(closed_by(level, position), level) for level, position in peak_positions(size)]
    inner = [last for last, level in places if level]
    # By the first key column alone: a few rows too many are cheaper than what SQLite makes of pairs.
    rows = connection.execute(_CLOSED_BY, {"inner": inner}) if inner else ()
    found = {(last, level): node for last, level, node in rows}
    if size & 1:
        found[size - 1, 0] = connection.execute(_LEAF, {"last": size - 1}).scalars().one()
    return [found[place] for place in places]
