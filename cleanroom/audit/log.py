"""Writing the log in the transaction of the action, and serving its checkpoints and proofs."""

import secrets
from collections.abc import Sequence

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from cleanroom.audit.models import AuditCheckpoint, AuditEvent, AuditHead, AuditNode
from cleanroom.audit.reader import AuditReader, log_size
from cleanroom.audit.tree import Peaks, closed_by, peak_positions
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import PendingEvent, Transaction
from crypto import merkle
from crypto.checkpoint import format_checkpoint, sign_note, verifier_key
from crypto.keys import public_key

RECORD_VERSION = 1
_SALT_BYTES = 32
# Any constant will do; it only has to differ from other users of advisory locks in the same database.
_ADVISORY_LOCK = 0x636C65616E726F6F
_HEAD_ID = 1


class AuditLog(AuditReader):
    """The room's log; it implements `db.Appender`."""

    def __init__(self, *, origin: str, seed: bytes, clock: Clock) -> None:
        """Take the log's identity.

        Args:
            origin: the room's name in checkpoints; no space, no plus sign.
            seed: 32 bytes, the Ed25519 key that signs checkpoints and nothing else.
            clock: tells when an event is recorded.
        """
        self._origin = origin
        self._seed = seed
        self._clock = clock

    @property
    def verifier_key(self) -> str:
        """The public text with which anyone verifies the room's checkpoints."""
        return verifier_key(self._origin, public_key(self._seed))

    def append(self, session: Session, events: Sequence[PendingEvent]) -> None:
        """Number, hash, store and sign the events of a transaction; `Database` calls it last.

        The order of commits is the order of indices, without gaps: one writer at a time holds the log's lock
        from here to its commit (on SQLite it has held the database's since it began).
        """
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        size = log_size(session)
        peaks = Peaks(size, _peaks(session, size))
        now = self._clock.now()
        rows: list[dict[str, object]] = []
        nodes: list[dict[str, object]] = []
        for pending in events:
            pending.index = peaks.size
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
            rows.append(
                {
                    "index": pending.index,
                    "recorded_at": now,
                    "kind": pending.kind,
                    "organisation_id": pending.organisation_id,
                    "subject_id": pending.subject_id,
                    "record": record,
                    "leaf_hash": leaf,
                }
            )
            completed = peaks.push(leaf)
            nodes += [{"closed_by": pending.index, "level": level, "hash": node} for level, node in completed]
        session.execute(insert(AuditEvent), rows)
        if nodes:
            session.execute(insert(AuditNode), nodes)
        head = {"size": peaks.size, "note": self._sign(peaks.size, peaks.root())}
        if size:
            session.execute(update(AuditHead).where(AuditHead.id == _HEAD_ID).values(head))
        else:
            session.execute(insert(AuditHead).values(id=_HEAD_ID, **head))

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
            dialect = postgresql if tx.session.get_bind().dialect.name == "postgresql" else sqlite
            kept = dialect.insert(AuditCheckpoint).values(size=size, note=note)
            tx.session.execute(kept.on_conflict_do_nothing())
        return note

    def _sign(self, size: int, root: bytes) -> str:
        return sign_note(format_checkpoint(self._origin, size, root), name=self._origin, seed=self._seed)


def _peaks(session: Session, size: int) -> list[bytes]:
    """Read the hashes of the complete subtrees that make up a tree of this size, widest first."""
    places = [(closed_by(level, position), level) for level, position in peak_positions(size)]
    inner = [last for last, level in places if level]
    # By the first key column alone: a few rows too many are cheaper than what SQLite makes of pairs.
    rows = select(AuditNode.closed_by, AuditNode.level, AuditNode.hash).where(AuditNode.closed_by.in_(inner))
    found = {(last, level): node for last, level, node in session.execute(rows)} if inner else {}
    if size & 1:
        leaf = select(AuditEvent.leaf_hash).where(AuditEvent.index == size - 1)
        found[size - 1, 0] = session.scalars(leaf).one()
    return [found[place] for place in places]
