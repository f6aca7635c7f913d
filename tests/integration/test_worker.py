"""The worker in a process of its own: works, tells that it lives, ends when told to or left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from cleanroom.analyses.types import State
from tests.rooms import Stage

RUN = "from cleanroom.cli.main import main; main()"
Start = Callable[[Stage], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def worker(stage: Stage) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "error", "-c", RUN, "worker", "--home", str(stage.home)]
        environment = os.environ | {"CLEANROOM_DATABASE_URL": stage.room.settings.database_url}
        started.append(
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        )
        return started[-1]

    yield worker
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            assert pipe is not None
            pipe.close()


def ask(stage: Stage, grant, **changed) -> str:
    with stage.room.db.transaction() as tx:
        return stage.room.analyses.begin(
            tx, stage.question(**changed), grant_id=grant.id, asker_id=stage.advertiser.organisation_id
        ).analysis.id


def state(stage: Stage, analysis_id: str) -> State:
    stage.clock.move(seconds=60)
    with stage.room.db.reading() as tx:
        return stage.room.analyses.reading.analysis(
            tx, analysis_id, organisation_id=stage.advertiser.organisation_id
        ).state


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_workers_complete_what_waits_and_end_when_told(stage: Stage, start: Start) -> None:
    # Workers go by the machine's clock: the grant has to stand then too.
    stage.clock.instant = max(stage.clock.instant, _now())
    grant = stage.grant()
    first, second = ask(stage, grant), ask(stage, grant, labels=True)
    workers = [start(stage) for _ in range(2)]
    heartbeat = stage.room.settings.heartbeat_path
    until(lambda: not stage.room.analyses.queue.waiting())
    assert heartbeat.exists()
    stage.clock.instant = _now()
    assert {state(stage, each) for each in (first, second)} == {State.RELEASED}
    workers[0].send_signal(signal.SIGTERM)
    assert workers[1].stdin is not None
    workers[1].stdin.close()
    for worker in workers:
        assert worker.wait(120) == 0
        assert worker.stderr is not None
        assert worker.stderr.read() == b""


def _now():
    from cleanroom.clock import SystemClock

    return SystemClock().now()
