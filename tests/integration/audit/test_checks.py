"""The room checks its own log: the whole now and then, a range when asked; damage inside a range is named, on both."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from cleanroom.audit.checks import CHECK_EVERY, Checks, CheckState
from cleanroom.audit.errors import CheckRangeError, UnknownCheckError
from cleanroom.audit.log import AuditLog
from cleanroom.audit.ranges import verify_range
from cleanroom.db.database import Database
from tests.integration.test_log_tampering import disarm
from tests.rooms import MovableClock

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

EVENTS = 45


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def log(clock: MovableClock) -> AuditLog:
    return AuditLog(origin="test.room/log", seed=bytes(range(32)), clock=clock)


@pytest.fixture
def db(engine: Engine, log: AuditLog) -> Database:
    opened = Database(engine, log)
    for number in range(EVENTS):
        with opened.transaction() as tx:
            tx.audit("test.event", subject_id=f"s-{number}", organisation_id="org_a", body={"is": "so"})
    return opened


@pytest.fixture
def damage(engine: Engine) -> Callable[..., None]:
    def run(statement: str, **values: object) -> None:
        with engine.begin() as connection:
            disarm(connection)
            connection.execute(text(statement), values)

    return run


def kinds(db: Database, log: AuditLog) -> list[str]:
    from cleanroom.audit.browsing import EventFilter, page_of_events

    with db.reading() as tx:
        return [event.kind for event in page_of_events(tx, EventFilter(kinds=["audit."])).events]


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 1), (3, 17), (16, 32), (44, 45), (40, 99)])
def test_every_range_of_a_whole_log_is_intact(
    db: Database, log: AuditLog, start: int, stop: int | None
) -> None:
    with db.reading() as tx:
        report = verify_range(tx, verifier_key=log.verifier_key, start=start, stop=stop)
    assert report.problems == ()
    assert report.events == min(EVENTS, stop or EVENTS) - start


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ('UPDATE audit_events SET record = :new WHERE "index" = 9', "event 9"),
        ("UPDATE audit_events SET kind = 'other' WHERE \"index\" = 9", "event 9"),
        ("UPDATE audit_events SET dataset_id = 'ds_x' WHERE \"index\" = 9", "event 9"),
        ('DELETE FROM audit_events WHERE "index" = 9', "event 9 to 11"),
        ("UPDATE audit_nodes SET hash = :leaf WHERE closed_by = 31 AND level = 4", "event 7 to 11"),
        ("DELETE FROM audit_nodes WHERE closed_by = 31 AND level = 4", "node beside records 7 to 11"),
    ],
)
def test_damage_in_a_range_is_named(
    db: Database, log: AuditLog, damage: Callable[..., None], statement: str, where: str
) -> None:
    values = {name: value for name, value in (("new", b"{}"), ("leaf", b"x" * 32)) if f":{name}" in statement}
    damage(statement, **values)
    with db.reading() as tx:
        report = verify_range(tx, verifier_key=log.verifier_key, start=7, stop=12)
    assert where in [f"{problem.what} {problem.place}" for problem in report.problems]


def test_the_regular_check_comes_when_it_is_due(
    db: Database, log: AuditLog, clock: MovableClock, database_url: str
) -> None:
    checks = Checks(clock, log.verifier_key)
    with db.reading() as tx:
        assert checks.badge(tx) is None
    assert checks.run_due(db, database_url)
    assert not checks.run_due(db, database_url)
    with db.reading() as tx:
        badge = checks.badge(tx)
    assert badge is not None
    assert (badge.state, badge.size, badge.problems) == (CheckState.INTACT, EVENTS, ())
    assert kinds(db, log) == ["audit.checked"]
    clock.move(seconds=CHECK_EVERY.total_seconds())
    assert checks.run_due(db, database_url)


def test_a_damaged_log_shows_in_the_badge(
    db: Database, log: AuditLog, clock: MovableClock, database_url: str, damage: Callable[..., None]
) -> None:
    damage('UPDATE audit_events SET record = :new WHERE "index" = 9', new=b"{}")
    checks = Checks(clock, log.verifier_key)
    assert checks.run_due(db, database_url)
    with db.reading() as tx:
        badge = checks.badge(tx)
    assert badge is not None
    assert badge.state is CheckState.DAMAGED
    assert badge.problems[0].startswith("event 9:")
    assert kinds(db, log) == ["audit.damaged"]


def test_a_range_is_checked_on_demand(
    db: Database, log: AuditLog, clock: MovableClock, database_url: str
) -> None:
    checks = Checks(clock, log.verifier_key)
    with db.transaction() as tx:
        asked = checks.ask(tx, organisation_id="org_a", by="us_1", start=3, stop=9)
    assert asked.state is CheckState.QUEUED
    assert checks.run_due(db, database_url)
    with db.reading() as tx:
        done = checks.check(tx, asked.id, organisation_id="org_a")
        assert checks.list(tx, organisation_id="org_a") == (done,)
        with pytest.raises(UnknownCheckError):
            checks.check(tx, asked.id, organisation_id="org_b")
        assert checks.badge(tx) is None
    assert (done.state, done.size) == (CheckState.INTACT, 6)
    assert done.ended_at is not None
    assert done.ended_at - asked.asked_at < timedelta(seconds=1)
    assert kinds(db, log) == ["audit.checked", "audit.check_asked"]


@pytest.mark.parametrize(("start", "stop"), [(EVENTS, None), (-1, 3), (3, 3), (0, EVENTS + 1)])
def test_a_range_that_is_not_there_is_refused(
    db: Database, log: AuditLog, clock: MovableClock, start: int, stop: int | None
) -> None:
    with db.transaction() as tx, pytest.raises(CheckRangeError):
        Checks(clock, log.verifier_key).ask(tx, organisation_id="org_a", by="us_1", start=start, stop=stop)
