"""Reading the log: records, the signed head, proofs. No key is needed."""

from collections.abc import Collection, Sequence
from functools import lru_cache

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.orm import Session

from cleanroom.audit.errors import UnknownEventError
from cleanroom.audit.models import AuditEvent, AuditHead, AuditNode
from cleanroom.audit.tree import closed_by
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from crypto import merkle

_MAX_CACHED_NODES = 65_536
# Made once: to put a statement together takes as long as to run it.
_NEWEST = select(func.max(AuditEvent.index))
_EVENTS = Base.metadata.tables[AuditEvent.__tablename__].c
_KINDS_SINCE = select(_EVENTS.kind).where(_EVENTS.index >= bindparam("since"))


class AuditReader:
    """The reading half of the room's log."""

    def size(self, tx: Transaction) -> int:
        """Return how many events the log holds, without those that the transaction itself has queued."""
        return log_size(tx.connection)

    def unchanged(self, tx: Transaction, *, since: int, but: Collection[str]) -> bool:
        """Tell whether nothing has happened since the log had so many events, but what is of these kinds.

        What the transaction itself has queued, and what others have queued who share its commit, counts too.

        Args:
            tx: any transaction; one that holds the log's lock, or SQLite's, is told for good.
            since: how many events there were.
            but: kinds that do not count.
        """
        return self.continued(tx, since=since, but=but) is not None

    def continued(self, tx: Transaction, *, since: int, but: Collection[str]) -> int | None:
        """Return how many events the log holds if it is `unchanged`, without the transaction's own; else None."""
        if any(event.kind not in but for event in (*tx.earlier, *tx.events)):
            return None
        kinds = tx.connection.scalars(_KINDS_SINCE, {"since": since}).all()
        return since + len(kinds) if set(kinds) <= set(but) else None

    def record(self, tx: Transaction, index: int) -> bytes:
        """Return the canonical JSON of one event, the very bytes that its leaf hashes.

        Raises:
            UnknownEventError: the log has no such event.
        """
        record = tx.session.scalar(select(AuditEvent.record).where(AuditEvent.index == index))
        if record is None:
            raise UnknownEventError("The log has no event of this index.", remedy="Ask for a smaller index.")
        return record

    def events(
        self,
        tx: Transaction,
        *,
        organisation_id: str | None,
        kinds: Sequence[str] = (),
        after: int = -1,
        limit: int,
    ) -> list[tuple[int, bytes]]:
        """List events in the order of the log.

        Args:
            tx: any transaction.
            organisation_id: whose; None for all, the room's own included.
            kinds: of these kinds alone, when any is given.
            after: the index that the first one comes after.
            limit: how many at most.

        Returns:
            Indices, each with the canonical JSON of its event.
        """
        rows = select(AuditEvent.index, AuditEvent.record).where(AuditEvent.index > after)
        if organisation_id is not None:
            rows = rows.where(AuditEvent.organisation_id == organisation_id)
        if kinds:
            rows = rows.where(AuditEvent.kind.in_(kinds))
        found = tx.session.execute(rows.order_by(AuditEvent.index).limit(limit))
        return [(index, record) for index, record in found]

    def owner(self, tx: Transaction, index: int) -> str | None:
        """Return whose event it is, None for the room's own; raises UnknownEventError."""
        owners = tx.session.scalars(select(AuditEvent.organisation_id).where(AuditEvent.index == index)).all()
        if not owners:
            raise UnknownEventError("The log has no event of this index.", remedy="Ask for a smaller index.")
        return owners[0]

    def find(self, tx: Transaction, *, subject_id: str, kinds: Sequence[str]) -> int:
        """Return the index of the first event of these kinds about a subject; raises UnknownEventError."""
        found = select(func.min(AuditEvent.index)).where(
            AuditEvent.subject_id == subject_id, AuditEvent.kind.in_(kinds)
        )
        index = tx.session.scalar(found)
        if index is None:
            raise UnknownEventError("The log has no such event about this subject.", remedy="Check its id.")
        return int(index)

    def head(self, tx: Transaction) -> str:
        """Return the signed head of the log; raises UnknownEventError while the log is empty."""
        note: str | None = tx.session.scalar(select(AuditHead.note))
        if note is None:
            raise UnknownEventError("The log is empty.", remedy="Let the room do something first.")
        return note

    def inclusion(self, tx: Transaction, index: int, size: int) -> list[bytes]:
        """Prove that event `index` is in the tree of the first `size` events.

        Returns:
            Sibling hashes, lowest first, 32 bytes each.

        Raises:
            UnknownEventError: the log has no such event, or is smaller than `size`.

        Source: RFC 6962, section 2.1.1.
        """
        if not 0 <= index < size <= log_size(tx.connection):
            raise UnknownEventError(
                "A proof needs an index below the size, and a size up to the log's.",
                remedy="Use an older size.",
            )
        return merkle.inclusion_from(node_source(tx.session), index, size)

    def consistency(self, tx: Transaction, old_size: int, size: int) -> list[bytes]:
        """Prove that the log at `size` only added events to the log at `old_size`.

        Returns:
            Hashes, 32 bytes each; none when the sizes are equal.

        Raises:
            UnknownEventError: the sizes are not 1 <= old_size <= size <= the log's size.

        Source: RFC 6962, section 2.1.2.
        """
        if not 1 <= old_size <= size <= log_size(tx.connection):
            raise UnknownEventError(
                "A proof goes from a size of at least 1 to a larger one up to the log's.", remedy="Swap them."
            )
        return merkle.consistency_from(node_source(tx.session), old_size, size)


def node_source(session: Session) -> merkle.NodeSource:
    """Serve the hashes of complete subtrees from the database, remembering the recent ones."""

    @lru_cache(maxsize=_MAX_CACHED_NODES)
    def node(level: int, position: int) -> bytes:
        last = closed_by(level, position)
        if level == 0:
            return session.scalars(select(AuditEvent.leaf_hash).where(AuditEvent.index == last)).one()
        found = select(AuditNode.hash).where(AuditNode.closed_by == last, AuditNode.level == level)
        return session.scalars(found).one()

    return node


def log_size(connection: Connection) -> int:
    """Return how many events the log holds."""
    newest = connection.scalar(_NEWEST)
    return 0 if newest is None else newest + 1
