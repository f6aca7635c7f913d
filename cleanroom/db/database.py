"""The unit of work: one transaction, its audit events appended last, committed here and nowhere else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from cleanroom.db.together import Gathering, Piece

Made = TypeVar("Made")
_SQLITE_CONNECTIONS = 40


@dataclass(frozen=True)
class Proven:
    """What the log says for one event, complete without SQL; it proves nothing before its transaction has committed.

    Attributes:
        record: the event exactly as it stands in the log: canonical JSON.
        index: its place.
        proof: sibling hashes, lowest first, 32 bytes each, up to the checkpoint's root.
        checkpoint: the signed note of the log as the transaction leaves it, which the log keeps for good.
    """

    record: bytes
    index: int
    proof: tuple[bytes, ...]
    checkpoint: str


@dataclass
class PendingEvent:
    """An audit event waiting for the end of its transaction.

    Attributes:
        kind: `slice.what_happened`.
        organisation_id: whose event it is; None for the room's own.
        subject_id: the thing it is about.
        body: canonical-JSON-able facts; never anything about one person.
        prove: whether the log is to prove it: a receipt will be made of it.
        index: its place in the log, set while the transaction ends.
        proven: set while the transaction ends, if it was asked for.
    """

    kind: str
    organisation_id: str | None
    subject_id: str
    body: dict[str, Any]
    prove: bool = False
    index: int | None = None
    proven: Proven | None = None


class Appender(Protocol):
    """Writes the events of a transaction as its last statements."""

    def append(self, session: Session, events: Sequence[PendingEvent]) -> str | None:
        """Number and store the events, in order; set each one's index, and the proof of those that want one.

        Returns:
            The head that `committed` is told of; None when there is nothing to tell.
        """
        ...

    def committed(self, head: str) -> None:
        """Take note that the transaction whose append returned this head has committed."""
        ...


@dataclass
class Transaction:
    """What a service gets to write with; only `Database` commits it.

    Attributes:
        session: of the transaction; it forgets rows that nobody holds, and would read them again.
        events: queued for the log.
        held: what was read for the whole transaction, by kind and id; rows are kept alive by it.
    """

    session: Session
    events: list[PendingEvent] = field(default_factory=list)
    held: dict[tuple[str, str], Any] = field(default_factory=dict)

    def audit(
        self,
        kind: str,
        *,
        subject_id: str,
        organisation_id: str | None = None,
        body: dict[str, Any] | None = None,
        prove: bool = False,
    ) -> PendingEvent:
        """Queue an event; it becomes part of the log in this very transaction, or not at all.

        Returns:
            The event; its `index`, and with `prove` its proof, are known once the transaction has ended.
        """
        pending = PendingEvent(kind, organisation_id, subject_id, body or {}, prove)
        self.events.append(pending)
        return pending


class Database:
    """An engine with the room's rules for transactions."""

    def __init__(self, engine: Engine, appender: Appender) -> None:
        self.engine = engine
        self._only_reading = engine.execution_options(cleanroom_read_only=True)
        self._appender = appender
        self._gathering = Gathering[Callable[[Transaction], Any]](self._do)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a writing transaction; it commits when the block ends, and leaves no trace when the block raises.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE): a plain BEGIN loses concurrent writes.
        """
        head = None
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            tx = Transaction(session)
            yield tx
            session.flush()
            # Last, because the log's lock orders all writers and must be held as briefly as possible.
            if tx.events:
                head = self._appender.append(session, tx.events)
        if head is not None:
            self._appender.committed(head)

    def together(self, work: Callable[["Transaction"], Made]) -> Made:
        """Do some work in a writing transaction, which it may share with the work of others that came meanwhile.

        To the work it is as if it had the transaction to itself: when it raises, it leaves no trace, and what it did is
        durable when this returns. Only SQLite, which lets one writer in at a time, has them share.

        Args:
            work: gets the transaction; it must neither wait for anybody else who writes, nor take long.

        Returns:
            What the work returned.
        """
        if self.engine.dialect.name != "sqlite":
            with self.transaction() as tx:
                return work(tx)
        made: Made = self._gathering(work)
        return made

    def _do(self, pieces: Sequence[Piece[Callable[[Transaction], Any]]]) -> None:
        head, events = None, list[PendingEvent]()
        with self.engine.begin() as connection:
            for piece in pieces:
                events += _apart(connection, piece)
            if events:
                with Session(connection) as session:
                    head = self._appender.append(session, events)
        if head is not None:
            self._appender.committed(head)

    @contextmanager
    def rehearsing(self) -> Iterator[Transaction]:
        """Open a transaction that may write, to see what would come of it; it is rolled back at its end.

        Its audit events are dropped with it.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            try:
                yield Transaction(session)
            finally:
                session.rollback()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a transaction that only reads: it takes no write lock and is rolled back at its end."""
        with Session(self._only_reading, expire_on_commit=False) as session:
            try:
                yield Transaction(session)
            finally:
                session.rollback()


def _apart(connection: Connection, piece: Piece[Callable[[Transaction], Any]]) -> list[PendingEvent]:
    """Do a piece behind a savepoint; returns its events."""
    try:
        with (
            Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as session,
            session.begin(),
        ):
            tx = Transaction(session)
            piece.made = piece.work(tx)
        return tx.events
    except Exception as error:
        # Whatever it is, it is its caller's, who is in another thread and raises it there.
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            # The database is in trouble, and may have ended the whole transaction by itself: nothing of it counts.
            raise
        piece.error = error
        return []


def open_engine(url: str) -> Engine:
    """Open an engine for SQLite or PostgreSQL with safe settings.

    Args:
        url: `sqlite:////path/room.sqlite3` or `postgresql+psycopg://...`.

    Returns:
        An engine; SQLite runs in WAL, synchronises fully, has foreign keys on, and starts writers at once.
    """
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            connect_args={"timeout": 60.0, "check_same_thread": False},
            # One for every thread that serves requests: one that is opened anew has read no page of the file yet.
            pool_size=_SQLITE_CONNECTIONS,
        )
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url, pool_pre_ping=True)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes late and deferred; ours is sent by `_begin_sqlite`.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # SQLite's own knows the Latin alphabet alone; PostgreSQL's knows them all.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Any) -> None:
    read_only = connection.get_execution_options().get("cleanroom_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
