"""The log's order is the order of commits, without gaps, whoever writes at the same time."""

import multiprocessing
from multiprocessing.synchronize import Barrier

import pytest
from sqlalchemy import Engine, select

from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.verify import verify_log
from cleanroom.clock import SystemClock
from cleanroom.db.database import Database, open_engine

WRITERS, TRANSACTIONS, EVENTS = 8, 12, 3
SEED = bytes(range(32))


def make_log() -> AuditLog:
    return AuditLog(origin="test.room/log", seed=SEED, clock=SystemClock())


def write(url: str, writer: int, barrier: Barrier) -> None:
    engine = open_engine(url)
    db = Database(engine, make_log())
    barrier.wait()
    for number in range(TRANSACTIONS):
        with db.transaction() as tx:
            for part in range(EVENTS):
                tx.audit("test.event", subject_id=f"{writer}-{number}", body={"part": part})
    engine.dispose()


@pytest.mark.slow_on("postgresql")
def test_eight_writing_processes_leave_one_log_without_gaps(engine: Engine, database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(WRITERS)
    writers = [context.Process(target=write, args=(database_url, n, barrier)) for n in range(WRITERS)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
    assert [process.exitcode for process in writers] == [0] * WRITERS
    total = WRITERS * TRANSACTIONS * EVENTS
    with engine.connect() as connection:
        rows = connection.execute(
            select(AuditEvent.index, AuditEvent.subject_id).order_by(AuditEvent.index)
        ).all()
    assert [index for index, _subject in rows] == list(range(total))
    # The events of one transaction stand together, in the order in which they were queued.
    assert all(len({subject for _, subject in rows[i : i + EVENTS]}) == 1 for i in range(0, total, EVENTS))
    report = verify_log(database_url, verifier_key=make_log().verifier_key)
    assert report.problems == ()
    assert report.events == total
