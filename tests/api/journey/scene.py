"""The room of the journey as processes: a server, workers that are killed, and the two sides."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import OperationalError

from cleanroom.analyses.models import AnalysisRow
from cleanroom.cli.main import main
from tests.api.journey.books import FEE_BP

RUN = "from cleanroom.cli.main import main; main()"


@dataclass
class Side:
    """A process of one of the sides."""

    name: str
    process: subprocess.Popen[str]

    def hear(self, step: str) -> dict[str, Any]:
        """Wait until it says that it has reached a step; returns what it saw there."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.name} ended before {step!r}: {self.process.wait()}"
        said: dict[str, Any] = json.loads(line)
        assert said.pop("step") == step, said
        return said

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        print(word, file=self.process.stdin, flush=True)


@dataclass
class Scene:
    """A room in a home, made by commands alone, and the processes around it."""

    folder: Path
    database_url: str
    zone: str
    stack: ExitStack
    url: str = ""
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    server: subprocess.Popen[str] = field(init=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")},
            "CLEANROOM_HOME": str(self.home),
            "CLEANROOM_DATABASE_URL": self.database_url,
            "CLEANROOM_BILLING_ZONE": self.zone,
            "CLEANROOM_OPERATOR_FEE_BP": str(FEE_BP),
            "CLEANROOM_RELEASE_TICK_MS": "100",
        }

    def run(self, *arguments: str) -> str:
        """Run a command on the server's own machine; returns what it printed."""
        shown = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
            for name, value in self.environment().items():
                patch.setenv(name, value)
            try:
                main(arguments)
            except SystemExit as end:
                if end.code:
                    raise AssertionError((arguments, end.code, shown.getvalue())) from None
        return shown.getvalue()

    def command(self, *arguments: str) -> dict[str, Any]:
        """Run one with --json."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json"))
        return found

    def start(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        log = self.stack.enter_context((self.folder / f"{command[-1].replace('/', '_')}.log").open("ab"))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
        process = subprocess.Popen([sys.executable, *command], **{**pipes, "env": self.environment(), **more})
        self.stack.callback(_end, process)
        return process

    def serve(self) -> None:
        self.server = self.start("-c", RUN, "serve", "--no-with-worker", "--port", "0")
        assert self.server.stdout is not None
        found = next(filter(None, (re.search(r"Answering at (\S+)", line) for line in self.server.stdout)))
        self.url = found[1]

    def a_month_later(self) -> None:
        """End the server, and have the room answer at the same address with a clock that is ahead."""
        self.server.send_signal(signal.SIGTERM)
        assert self.server.wait(40) == 0
        port = self.url.rpartition(":")[2]
        environment = {**self.environment(), "CLEANROOM_PUBLIC_URL": self.url}
        later = self.start("-m", "tests.api.journey.later", port, env=environment)
        assert later.stdout is not None
        assert later.stdout.readline() == "Answering\n"

    def worker(self) -> subprocess.Popen[str]:
        return self.start("-c", RUN, "worker")

    def side(self, name: str, **more: str) -> Side:
        """Start one of the two scripts; it knows the room's address and its own credentials, and nothing else."""
        folder = self.folder / name
        environment = {
            **{known: value for known, value in os.environ.items() if not known.startswith("CLEANROOM_")},
            "ROOM_URL": self.url,
            "FOLDER": str(folder),
            "CLEANROOM_CONFIG_DIR": str(folder / "config"),
            "CLEANROOM_STATE_DIR": str(folder / "state"),
            **more,
        }
        return Side(name, self.start("-m", f"tests.api.journey.{name}", env=environment))


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def held_up(scene: Scene, worker: subprocess.Popen[str]) -> None:
    """Let a worker stand still where it holds no lock that others wait for."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        try:
            _lock(scene, seconds=1)()
        except OperationalError:
            worker.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        else:
            return


def killed_while_it_counts(scene: Scene, worker: subprocess.Popen[str], analysis_id: str) -> None:
    """Let a worker that stands still go on, and kill it when it is at the question."""
    lease = scene.home / "leases" / f"{analysis_id}.lock"
    # It takes the question, and waits for its row until it is killed.
    let_go = _lock(scene, analysis_id)
    worker.send_signal(signal.SIGCONT)
    late = time.monotonic() + 60
    while not _held(lease):
        assert time.monotonic() < late
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(120) == -signal.SIGKILL
    let_go()


def _lock(scene: Scene, analysis_id: str = "", *, seconds: float = 30) -> Callable[[], None]:
    """Lock a question's row, which on SQLite locks out all writers; returns what ends that."""
    arguments = {"timeout": seconds} if scene.database_url.startswith("sqlite") else {}
    engine = create_engine(scene.database_url, connect_args=arguments, isolation_level="AUTOCOMMIT")
    connection = engine.connect()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if arguments else "BEGIN")
    row = select(AnalysisRow.status).where(AnalysisRow.id == analysis_id).with_for_update()
    assert connection.scalar(row) == ("reserved" if analysis_id else None)

    def let_go() -> None:
        connection.exec_driver_sql("ROLLBACK")
        connection.close()
        engine.dispose()

    return let_go


def _held(lease: Path) -> bool:
    try:
        with lease.open() as file:
            flock(file, LOCK_EX | LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
