"""The unit of work: one transaction, its audit events appended last, committed here and nowhere else."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.session import JoinTransactionMode

from cleanroom.db.together import Gathering, Piece

Made = TypeVar("Made")
_SQLITE_CONNECTIONS = 40
_SQLITE_PATIENCE_SECONDS = 60
_SQLITE_RETRY_SECONDS = 0.0005
# In pages of 4 KiB: most of what is written are the same few pages again, which a checkpoint writes once.
_CHECKPOINTS = "wal_autocheckpoint=8000"


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

    def append(self, connection: Connection, events: Sequence[PendingEvent]) -> str | None:
        """Number and store the events, in order; set each one's index, and the proof of those that want one.

        Args:
            connection: of the transaction.
            events: of all who share it.

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
        opened: what it runs on: a session; or a connection, perhaps one that an engine has yet to give, as many
            transactions are too short for a session to be worth its time.
        events: queued for the log.
        held: what was read for the whole transaction, by kind and id; rows are kept alive by it.
        earlier: events of those who share the commit and came before.
        shared: what one of those who share the commit has found out for all of them.
        joining: what a session that joins the connection does to its transaction.
        joined: the session, once somebody has asked for it.
        connected: the connection, likewise.
    """

    opened: Session | Connection | Engine
    events: list[PendingEvent] = field(default_factory=list)
    held: dict[tuple[str, str], Any] = field(default_factory=dict)
    earlier: Sequence[PendingEvent] = ()
    shared: dict[str, Any] = field(default_factory=dict)
    joining: JoinTransactionMode = "create_savepoint"
    joined: Session | None = field(default=None, init=False)
    connected: Connection | None = field(default=None, init=False)

    # Both are made when somebody first asks. Not with `cached_property`: up to Python 3.11 it makes one for all
    # transactions at a time, and whoever waits for the database would hold up the one who has it.
    @property
    def session(self) -> Session:
        """For rows as objects; it forgets rows that nobody holds, and would read them again."""
        if self.joined is None:
            if isinstance(self.opened, Session):
                self.joined = self.opened
            else:
                self.joined = Session(
                    self.connection, expire_on_commit=False, join_transaction_mode=self.joining
                )
        return self.joined

    @property
    def connection(self) -> Connection:
        """For statements made once, whose rows are not wanted as objects; it flushes nothing."""
        if self.connected is None:
            if isinstance(self.opened, Session):
                self.connected = self.opened.connection()
            else:
                self.connected = self.opened if isinstance(self.opened, Connection) else self.opened.connect()
        return self.connected

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
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            tx = Transaction(session)
            yield tx
            head = self._close(tx)
        self._note(head)

    @property
    def one_writer(self) -> bool:
        """Whether writers wait for each other from their first statement to their commit."""
        return bool(self.engine.dialect.name == "sqlite")

    def together(self, work: Callable[["Transaction"], Made]) -> Made:
        """Do some work in a writing transaction, which it may share with the work of others that came meanwhile.

        To the work it is as if it had the transaction to itself: when it raises, it leaves no trace, and what it did is
        durable when this returns. Only SQLite, which lets one writer in at a time, has them share.

        Args:
            work: gets the transaction; it must neither wait for anybody else who writes, nor take long.

        Returns:
            What the work returned.
        """
        if not self.one_writer:
            with self.transaction() as tx:
                return work(tx)
        made: Made = self._gathering(work)
        return made

    def _do(self, take: Callable[[], Sequence[Piece[Callable[[Transaction], Any]]]]) -> Callable[[], None]:
        events, shared = list[PendingEvent](), dict[str, Any]()
        with self.engine.begin() as connection:
            # Not before: other processes may hold the database for a while.
            for piece in take():
                events += _apart(connection, piece, tuple(events), shared)
            head = self._close(Transaction(connection, events))
        return partial(self._note, head)

    def _close(self, tx: Transaction) -> str | None:
        """Do the last of a transaction; returns the head that it moves the log to."""
        if tx.joined is not None:
            tx.joined.flush()
        # Last, because the log's lock orders all writers and must be held as briefly as possible.
        return self._appender.append(tx.connection, tx.events) if tx.events else None

    def _note(self, head: str | None) -> None:
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
        tx = Transaction(self._only_reading, joining="rollback_only")
        try:
            yield tx
        finally:
            if tx.joined is not None:
                tx.joined.close()
            if tx.connected is not None:
                tx.connected.close()


@contextmanager
def _upon(connection: Connection, **shared: Any) -> Iterator[Transaction]:
    """Open a transaction on a connection, whose own is somebody else's to end."""
    tx = Transaction(connection, **shared)
    try:
        yield tx
        if tx.joined is not None:
            tx.joined.commit()
    finally:
        if tx.joined is not None:
            tx.joined.close()


def _apart(
    connection: Connection,
    piece: Piece[Callable[[Transaction], Any]],
    earlier: Sequence[PendingEvent],
    shared: dict[str, Any],
) -> list[PendingEvent]:
    """Do a piece behind a savepoint; returns its events."""
    connection.exec_driver_sql("SAVEPOINT piece")
    try:
        with _upon(connection, earlier=earlier, shared=shared) as tx:
            piece.made = piece.work(tx)
        events = tx.events
    except Exception as error:
        # Whatever it is, it is its caller's, who is in another thread and raises it there.
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            # The database is in trouble, and may have ended the whole transaction by itself: nothing of it counts.
            raise
        connection.exec_driver_sql("ROLLBACK TO piece")
        piece.error, events = error, []
    connection.exec_driver_sql("RELEASE piece")
    return events


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
            connect_args={"timeout": float(_SQLITE_PATIENCE_SECONDS), "check_same_thread": False},
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
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        _CHECKPOINTS,
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    # SQLite's own knows the Latin alphabet alone; PostgreSQL's knows them all.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Any) -> None:
    if connection.get_execution_options().get("cleanroom_read_only", False):
        connection.exec_driver_sql("BEGIN")
        return
    driver = connection.connection.dbapi_connection
    driver.execute("PRAGMA busy_timeout=0")
    try:
        if not _begun(driver):
            # Once more by way of SQLAlchemy, whose errors everybody else knows.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={_SQLITE_PATIENCE_SECONDS * 1000}")


def _begun(driver: sqlite3.Connection) -> bool:
    """Try for the write lock until it is there; returns whether it is.

    SQLite's own way of waiting sleeps longer with every try, up to a tenth of a second: another process, which comes
    later and finds the lock free, overtakes it again and again.
    """
    last = time.monotonic() + _SQLITE_PATIENCE_SECONDS
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                return False
        time.sleep(_SQLITE_RETRY_SECONDS)
