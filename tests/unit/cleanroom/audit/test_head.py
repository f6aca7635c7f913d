"""The newest head outside the database: an old database is noticed, and a crash never makes a healthy one look old."""

import shutil
from pathlib import Path

import pytest

from cleanroom.audit.head import HeadFile, Restored
from cleanroom.audit.log import AuditLog
from cleanroom.clock import SystemClock
from cleanroom.db.base import Base
from cleanroom.db.database import Database, open_engine


class Log:
    """A database with nothing but a log, and its head file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path, self.head = home / "room.sqlite3", home / "log.head"
        self.open()
        Base.metadata.create_all(self.db.engine)

    def open(self) -> None:
        self.audit = AuditLog(
            origin="room.test/log", seed=bytes(32), clock=SystemClock(), head_file=self.head
        )
        self.db = Database(open_engine(f"sqlite:///{self.path}"), self.audit)

    def write(self, events: int = 1) -> None:
        for _ in range(events):
            with self.db.transaction() as tx:
                tx.audit("test.event", subject_id="x")

    def restored(self) -> Restored | None:
        with self.db.transaction() as tx:
            return self.audit.restored(tx)

    def back_up(self) -> None:
        self.db.engine.dispose()
        shutil.copy2(self.path, self.home / "backup")

    def put_back(self) -> None:
        self.db.engine.dispose()
        for path in self.home.glob("room.sqlite3*"):
            path.unlink()
        shutil.copy2(self.home / "backup", self.path)
        self.open()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_every_commit_moves_the_head(log: Log) -> None:
    assert log.restored() is None
    for size in range(1, 10):
        log.write()
        known = HeadFile(log.head, log.audit.verifier_key).read()
        assert known is not None
        assert known.size == size
        assert log.restored() is None
    assert log.head.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("lost", [1, 6])
def test_an_old_database_is_noticed_however_much_is_written_to_it_afterwards(log: Log, lost: int) -> None:
    log.write(5)
    log.back_up()
    log.write(lost)
    log.put_back()
    assert log.restored() == Restored(5, 5 + lost)

    # On its way it passes the size that the room had before: the events are others.
    for size in range(6, 20):
        log.write()
        assert log.restored() == Restored(size, 5 + lost)


def test_a_crash_between_the_commit_and_the_head_is_no_restored_backup(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write(4)
    with monkeypatch.context() as crashing:
        crashing.setattr(HeadFile, "advance", lambda self, note: None)
        log.write(3)
    log.open()

    assert log.restored() is None
    log.write()
    known = HeadFile(log.head, log.audit.verifier_key).read()
    assert known is not None
    assert known.size == 8


def test_a_transaction_that_is_rolled_back_leaves_the_head_alone(log: Log) -> None:
    log.write()
    before = log.head.read_bytes()

    def stop_halfway() -> None:
        with log.db.transaction() as tx:
            tx.audit("test.event", subject_id="x")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stop_halfway()
    assert log.head.read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"not a note"])
def test_a_head_that_is_gone_or_damaged_counts_as_a_restored_room(log: Log, content: bytes | None) -> None:
    log.write(3)
    if content is None:
        log.head.unlink()
    else:
        log.head.write_bytes(content)
    assert log.restored() == Restored(3, None)
    log.write()
    assert log.restored() == Restored(4, None)

    with log.db.transaction() as tx:
        log.audit.adopt(tx)
    assert log.restored() is None


def test_a_slower_process_does_not_take_the_head_back(log: Log) -> None:
    log.write(2)
    older = log.head.read_text()
    log.write(2)
    newest = log.head.read_text()
    log.audit.committed(older)
    assert log.head.read_text() == newest


def test_a_head_signed_by_another_room_is_none(log: Log, tmp_path: Path) -> None:
    log.write()
    stranger = AuditLog(origin="room.test/log", seed=bytes(range(32)), clock=SystemClock())
    assert HeadFile(log.head, stranger.verifier_key).read() is None
