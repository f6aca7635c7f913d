"""Whatever is done to a stored log, verification names what is damaged, on both databases."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from cleanroom.audit.errors import LogUnreadableError
from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import APPEND_ONLY_TABLES
from cleanroom.audit.types import VerifyReport
from cleanroom.audit.verify import verify_log
from cleanroom.clock import SystemClock
from cleanroom.db.database import Database
from crypto.checkpoint import format_checkpoint, open_note, sign_note
from crypto.merkle import leaf_hash, node_hash

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

ORIGIN, SEED = "test.room/log", bytes(range(32))
EVENTS = 11

Tamper = Callable[..., None]


@pytest.fixture
def log() -> AuditLog:
    return AuditLog(origin=ORIGIN, seed=SEED, clock=SystemClock())


def write(engine: Engine, log: AuditLog, count: int = EVENTS, *, body: str = "as it was") -> None:
    db = Database(engine, log)
    for number in range(count):
        with db.transaction() as tx:
            tx.audit(
                "test.event", subject_id=f"subject-{number}", organisation_id="org_1", body={"text": body}
            )


def checkpoint(engine: Engine, log: AuditLog) -> str:
    with Database(engine, log).transaction() as tx:
        return log.checkpoint(tx)


@pytest.fixture
def tamper(engine: Engine, log: AuditLog) -> Tamper:
    """Write a log of eleven events with a checkpoint at 7; then run SQL as somebody who owns the database."""
    write(engine, log, 7)
    checkpoint(engine, log)
    write(engine, log, EVENTS - 7)

    def run(*statements: str, **values: object) -> None:
        with engine.begin() as connection:
            disarm(connection)
            for statement in statements:
                used = {name: value for name, value in values.items() if f":{name}" in statement}
                connection.execute(text(statement), used)

    return run


def disarm(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for table in APPEND_ONLY_TABLES:
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        return
    for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        connection.execute(text(f"DROP TRIGGER {name}"))


@pytest.fixture
def verify(database_url: str, log: AuditLog) -> Callable[..., list[str]]:
    def run(against: str | None = None) -> list[str]:
        report: VerifyReport = verify_log(
            database_url, verifier_key=log.verifier_key, against=[against] if against else []
        )
        assert report.ok == (not report.problems)
        return [f"{problem.what} {problem.place}" for problem in report.problems]

    return run


def test_an_untouched_log_is_intact(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    assert verify() == []


def test_an_empty_log_is_intact(engine: Engine, verify: Callable[..., list[str]]) -> None:
    assert verify() == []


@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_the_database_itself_refuses_changes(engine: Engine, log: AuditLog, table: str, change: str) -> None:
    write(engine, log, 2)
    checkpoint(engine, log)
    column = {"audit_events": "kind", "audit_nodes": "hash", "audit_checkpoints": "note"}[table]
    with engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(change.format(table, column, column)))


def test_sqlite_refuses_insert_or_replace(sqlite_engine: Engine, log: AuditLog) -> None:
    write(sqlite_engine, log, 2)
    statement = 'INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE "index" = 0'
    with sqlite_engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))


def test_postgresql_refuses_truncate(postgresql_url: str, log: AuditLog) -> None:
    from cleanroom.db.base import Base
    from cleanroom.db.database import open_engine

    engine = open_engine(postgresql_url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text("TRUNCATE audit_events"))
    engine.dispose()


def test_an_edited_body_is_named(engine: Engine, tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    with engine.connect() as connection:
        record = connection.execute(text('SELECT record FROM audit_events WHERE "index" = 4')).scalar_one()
    edited = bytes(record).replace(b"as it was", b"never was")
    tamper('UPDATE audit_events SET record = :record WHERE "index" = 4', record=edited)
    assert verify() == ["event 4"]


@pytest.mark.parametrize("record", [b"\xff not json", b"[1]", b"[" * 100_000])
def test_a_record_overwritten_with_garbage_is_named(
    tamper: Tamper, verify: Callable[..., list[str]], record: bytes
) -> None:
    leaf = leaf_hash(record)
    tamper(
        'UPDATE audit_events SET record = :record, leaf_hash = :leaf WHERE "index" = 4',
        record=record,
        leaf=leaf,
    )
    assert verify() == ["event 4", "node over records 4 to 5"]


@pytest.mark.parametrize(
    "change",
    ["kind = 'other'", "organisation_id = NULL", "subject_id = 'other'", "recorded_at = '2001-01-01'"],
)
def test_an_edited_column_beside_a_record_is_named(
    tamper: Tamper, verify: Callable[..., list[str]], change: str
) -> None:
    tamper(f'UPDATE audit_events SET {change} WHERE "index" = 4')
    assert verify() == ["event 4"]


def test_an_edited_record_with_its_leaf_hash_is_named_by_the_node_above(
    engine: Engine, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    with engine.connect() as connection:
        record = connection.execute(text('SELECT record FROM audit_events WHERE "index" = 4')).scalar_one()
    edited = bytes(record).replace(b"as it was", b"never was")
    statement = 'UPDATE audit_events SET record = :record, leaf_hash = :leaf WHERE "index" = 4'
    tamper(statement, record=edited, leaf=leaf_hash(edited))
    assert verify() == ["node over records 4 to 5"]


def test_an_edited_newest_record_is_named_by_the_signed_head(
    engine: Engine, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    with engine.connect() as connection:
        record = connection.execute(text('SELECT record FROM audit_events WHERE "index" = 10')).scalar_one()
    edited = bytes(record).replace(b"as it was", b"never was")
    statement = 'UPDATE audit_events SET record = :record, leaf_hash = :leaf WHERE "index" = 10'
    tamper(statement, record=edited, leaf=leaf_hash(edited))
    assert verify() == ["head of 11 events"]


def test_a_deleted_record_is_named(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    tamper('DELETE FROM audit_events WHERE "index" IN (4, 5)')
    assert verify() == ["event 4 to 5"]


def test_a_deleted_first_record_is_named(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    tamper('DELETE FROM audit_events WHERE "index" = 0')
    assert verify() == ["event 0"]


def test_reordered_records_are_named(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    tamper(
        'UPDATE audit_events SET "index" = -1 WHERE "index" = 3',
        'UPDATE audit_events SET "index" = 3 WHERE "index" = 8',
        'UPDATE audit_events SET "index" = 8 WHERE "index" = -1',
    )
    assert verify() == ["node over records 2 to 3", "node over records 8 to 9"]


def test_a_deleted_record_whose_followers_moved_up_is_named(
    tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    tamper(
        'DELETE FROM audit_events WHERE "index" = 4',
        *[f'UPDATE audit_events SET "index" = {n - 1} WHERE "index" = {n}' for n in range(5, EVENTS)],
    )
    problems = verify()
    assert problems[0] == "node over records 4 to 5"
    assert "event 10" in problems


def test_a_truncated_log_is_named(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    tamper('DELETE FROM audit_events WHERE "index" >= 9', "DELETE FROM audit_nodes WHERE closed_by >= 9")
    assert verify() == ["event 9 to 10"]


def test_an_emptied_log_is_named(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    tamper("DELETE FROM audit_events", "DELETE FROM audit_nodes", "DELETE FROM audit_head")
    assert verify() == ["checkpoint of size 7"]


def test_a_record_before_the_first_is_named(tamper: Tamper, verify: Callable[..., list[str]]) -> None:
    tamper('UPDATE audit_events SET "index" = -5 WHERE "index" = 10')
    assert verify()[0] == "event -5"


def test_records_added_behind_the_signed_head_are_named(
    tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    columns = "recorded_at, kind, organisation_id, subject_id, record, leaf_hash"
    tamper(
        f'INSERT INTO audit_events ("index", {columns}) SELECT 11, {columns} '
        'FROM audit_events WHERE "index" = 2',
        f'INSERT INTO audit_events ("index", {columns}) SELECT 1125899906842624, {columns} '
        'FROM audit_events WHERE "index" = 2',
    )
    assert verify() == ["event 11", "event 1125899906842624"]


def test_a_huge_index_without_a_head_ends_the_walk_at_once(
    tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    tamper("DELETE FROM audit_head", 'UPDATE audit_events SET "index" = 1125899906842624 WHERE "index" = 10')
    assert verify() == ["head ", "event 10 to 1125899906842623"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE audit_nodes SET hash = :junk WHERE closed_by = 7 AND level = 2", "node over records 4 to 7"),
        ("DELETE FROM audit_nodes WHERE closed_by = 7 AND level = 3", "node over records 0 to 7"),
        ("INSERT INTO audit_nodes VALUES (4, 1, :junk)", "node level 1 closed by record 4"),
        ("INSERT INTO audit_nodes VALUES (400, 1, :junk)", "node level 1 closed by record 400"),
    ],
)
def test_a_damaged_node_is_named(
    tamper: Tamper, verify: Callable[..., list[str]], change: str, named: str
) -> None:
    tamper(change, junk=bytes(32))
    assert verify()[0] == named


def test_a_swapped_signature_is_named(
    engine: Engine, log: AuditLog, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    first, second = verify_notes(engine, log)
    swapped = first.rpartition("\n\n")[0] + "\n\n" + second.rpartition("\n\n")[2]
    tamper("UPDATE audit_checkpoints SET note = :note WHERE size = 7", note=swapped)
    assert verify() == ["checkpoint of size 7"]


def test_a_checkpoint_of_another_size_is_named(
    engine: Engine, log: AuditLog, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    _first, second = verify_notes(engine, log)
    tamper("UPDATE audit_checkpoints SET note = :note WHERE size = 7", note=second)
    assert verify() == ["checkpoint of size 7"]


def verify_notes(engine: Engine, log: AuditLog) -> tuple[str, str]:
    second = checkpoint(engine, log)
    with engine.connect() as connection:
        first = connection.execute(text("SELECT note FROM audit_checkpoints WHERE size = 7")).scalar_one()
    assert first != second
    return first, second


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DELETE FROM audit_head", "head "),
        ("UPDATE audit_head SET note = :foreign", "head "),
        ("UPDATE audit_head SET size = 10", "head of 10 events"),
        ("UPDATE audit_head SET peaks = (SELECT leaf_hash FROM audit_events LIMIT 1)", "head of 11 events"),
        ("INSERT INTO audit_head SELECT 2, size, note, peaks FROM audit_head", "head "),
    ],
)
def test_a_damaged_head_is_named(
    tamper: Tamper, verify: Callable[..., list[str]], change: str, named: str
) -> None:
    text_of_head = format_checkpoint(ORIGIN, EVENTS, bytes(32))
    tamper(change, foreign=sign_note(text_of_head, name=ORIGIN, seed=bytes(32)))
    assert verify() == [named]


def test_a_checkpoint_that_the_room_signed_for_another_origin_is_named(
    engine: Engine, log: AuditLog, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    root = open_note(verify_notes(engine, log)[0], log.verifier_key).root
    note = sign_note(format_checkpoint("other/log", 7, root), name=ORIGIN, seed=SEED)
    tamper("UPDATE audit_checkpoints SET note = :note WHERE size = 7", note=note)
    assert verify() == ["checkpoint of size 7"]


def test_a_rewritten_history_is_named_by_its_checkpoints(
    engine: Engine, log: AuditLog, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    """Even with every leaf and node recomputed, the old checkpoint's signature does not fit."""
    with engine.connect() as connection:
        rows = connection.execute(text('SELECT record, leaf_hash FROM audit_events ORDER BY "index"')).all()
    edited = bytes(rows[0][0]).replace(b"as it was", b"never was")
    leaves = [leaf_hash(edited), *(bytes(row[1]) for row in rows[1:])]
    pair = node_hash(leaves[0], leaves[1])
    four = node_hash(pair, node_hash(leaves[2], leaves[3]))
    eight = node_hash(four, node_hash(node_hash(leaves[4], leaves[5]), node_hash(leaves[6], leaves[7])))
    tamper(
        'UPDATE audit_events SET record = :record, leaf_hash = :leaf WHERE "index" = 0',
        "UPDATE audit_nodes SET hash = :pair WHERE closed_by = 1 AND level = 1",
        "UPDATE audit_nodes SET hash = :four WHERE closed_by = 3 AND level = 2",
        "UPDATE audit_nodes SET hash = :eight WHERE closed_by = 7 AND level = 3",
        record=edited,
        leaf=leaves[0],
        pair=pair,
        four=four,
        eight=eight,
    )
    assert verify() == ["checkpoint of size 7", "head of 11 events"]


def test_a_rolled_back_copy_is_detected_with_a_checkpoint_kept_outside(
    sqlite_engine: Engine, sqlite_url: str, tmp_path: Path, log: AuditLog
) -> None:
    write(sqlite_engine, log, 5)
    copy = tmp_path / "backup.sqlite3"
    with sqlite3.connect(tmp_path / "room.sqlite3") as source, sqlite3.connect(copy) as target:
        source.backup(target)
    write(sqlite_engine, log, 3)
    outside = checkpoint(sqlite_engine, log)
    key = log.verifier_key
    assert verify_log(copy, verifier_key=key).ok
    problems = verify_log(copy, verifier_key=key, against=[outside]).problems
    assert [(problem.what, problem.place) for problem in problems] == [("against", "size 8")]
    assert "rolled back" in problems[0].reason
    assert verify_log(sqlite_url, verifier_key=key, against=[outside]).ok


def test_a_log_begun_anew_is_detected_with_a_checkpoint_kept_outside(
    engine: Engine, log: AuditLog, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    outside = checkpoint(engine, log)
    assert verify(outside) == []
    tables = ("audit_events", "audit_nodes", "audit_checkpoints", "audit_head")
    tamper(*[f"DELETE FROM {table}" for table in tables])
    write(engine, log, EVENTS + 2, body="another story")
    assert verify() == []
    assert verify(outside) == ["against size 11"]


def test_a_checkpoint_of_somebody_else_proves_nothing(
    tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    foreign = sign_note(format_checkpoint(ORIGIN, 7, bytes(32)), name=ORIGIN, seed=bytes(32))
    assert verify(foreign) == ["against the given checkpoint"]


def test_a_log_signed_by_another_key_is_not_intact(tamper: Tamper, database_url: str) -> None:
    other = AuditLog(origin=ORIGIN, seed=bytes(32), clock=SystemClock())
    problems = verify_log(database_url, verifier_key=other.verifier_key).problems
    assert [problem.what for problem in problems] == ["head", "checkpoint"]


def test_the_report_ends_after_a_hundred_problems(
    engine: Engine, log: AuditLog, tamper: Tamper, verify: Callable[..., list[str]]
) -> None:
    write(engine, log, 150)
    tamper("UPDATE audit_events SET kind = 'other'")
    assert len(verify()) == 100


def test_a_missing_database_file_is_named(tmp_path: Path, log: AuditLog) -> None:
    report = verify_log(tmp_path / "room.sqlite3", verifier_key=log.verifier_key)
    assert [str(problem) for problem in report.problems] == ["database room.sqlite3: the file is missing"]


def test_a_damaged_database_file_is_named_with_how_far_it_could_be_read(
    sqlite_engine: Engine, tmp_path: Path, log: AuditLog
) -> None:
    with Database(sqlite_engine, log).transaction() as tx:
        for number in range(400):
            tx.audit("test.event", subject_id=str(number), body={"text": "x" * 200})
    path = tmp_path / "copy.sqlite3"
    with sqlite3.connect(tmp_path / "room.sqlite3") as source, sqlite3.connect(path) as target:
        source.backup(target)
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : -4096] = bytes(len(data) - 4096 - len(data) // 4)
    path.write_bytes(data)
    report = verify_log(path, verifier_key=log.verifier_key)
    assert "database" in {problem.what for problem in report.problems}


@pytest.mark.parametrize("url", ["no url at all", "postgresql+psycopg://nobody@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_opened_says_so(url: str, log: AuditLog) -> None:
    with pytest.raises(LogUnreadableError) as caught:
        verify_log(url, verifier_key=log.verifier_key)
    assert caught.value.remedy
