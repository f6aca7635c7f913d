"""Lets the red team loose on documents that wait for it: one at a time, in a process of its own that gives way."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import IO

from cleanroom.room import Room
from cleanroom.rules.errors import TrialReportError
from cleanroom.rules.trials import MAX_REPORT_BYTES
from cleanroom.rules.types import Trial
from cleanroom.worker.pieces import restored
from policies.codec import policy_to_yaml

TRIAL_SECONDS = 4 * 3_600
"""A trial that takes longer is given up; on an idle processor it takes four minutes."""
BEAT_SECONDS = 2.0
_GRACE_SECONDS = 5.0
# A busy room leaves it a tenth of what a question gets: enough to come to an end.
_NICENESS = 10
_RUN = "import sys; from cleanroom.cli.main import main; main(sys.argv[1:])"
_ENDED = "ended"
_FINISHED = (0, 1)
"""The command's exit codes when it has come to a verdict: the policy resists, or it falls."""
# What a child needs of this process's environment. Nothing of the room: it must not find the database or the keys.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
# A policy that wants enormous bases must not take the machine's memory and disk: the lab would build them.
MOST_MEMORY, MOST_FILES = 8 << 30, 2 << 30
"""Bytes that the attacks may take, in memory and in files.

An ordinary policy uses less than one GiB, and has three and a half set apart: allocators do so for each thread.
"""
_FIRST_TO_GO = "1000"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - made private by TemporaryDirectory

Command = Callable[[Path, Path], Sequence[str]]


def redteam_command(policy: Path, out: Path) -> Sequence[str]:
    """Return the command that attacks a policy's file and leaves its reports in a directory."""
    arguments = ("policy", "redteam", str(policy), "--out", str(out), "--jobs", "1", "--steps")
    return (sys.executable, "-c", _RUN, *arguments)


@dataclass
class Trying:
    """Does one trial.

    Attributes:
        room: whose trials.
        ending: set when the worker is to end; a trial under way is put back.
        command: what attacks.
        seconds: how long it may take.
    """

    room: Room
    ending: Event
    command: Command = redteam_command
    seconds: float = TRIAL_SECONDS

    def __call__(self) -> bool:
        """Do a trial; returns whether there was one."""
        with self.room.db.reading() as tx:
            if not self.room.trials.any_open(tx):
                return False
        if restored(self.room):
            return False
        with self.room.db.transaction() as tx:
            taken = self.room.trials.take(tx)
        if taken is None:
            return False
        trial, runner = taken
        with tempfile.TemporaryDirectory(
            prefix="cleanroom-trial-",
            dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None,
            ignore_cleanup_errors=True,
        ) as directory:
            self._attack(trial, runner, Path(directory))
        return True

    def _attack(self, trial: Trial, runner: str, directory: Path) -> None:
        policy, out = directory / "policy.yaml", directory / "out"
        policy.write_text(policy_to_yaml(trial.document), encoding="utf-8")
        process = subprocess.Popen(  # noqa: S603 - a command of this program
            self.command(policy, out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=directory,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
            | dict.fromkeys(_ONE_THREAD, "1")
            # Its rooms lie here, and are removed with this directory even when it is killed.
            | {"TMPDIR": str(directory)},
        )
        assert process.stderr is not None
        steps = _Steps(process.stderr)
        try:
            # Questions come first, on whatever processor there is.
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            _bound(process.pid)
            failure = self._watch(process, steps, trial, runner, directory)
        finally:
            _end(process)
            steps.close()
        with self.room.db.transaction() as tx:
            if failure == _ENDED:
                self.room.trials.put_back(tx, trial.id, runner)
            elif failure is not None:
                self.room.trials.fail(tx, trial.id, runner, failure)
            else:
                try:
                    self.room.trials.finish(tx, trial.id, runner, _read(out / "redteam.json"))
                except TrialReportError as error:
                    self.room.trials.fail(tx, trial.id, runner, error.code)

    def _watch(
        self,
        process: "subprocess.Popen[bytes]",
        steps: "_Steps",
        trial: Trial,
        runner: str,
        directory: Path,
    ) -> str | None:
        """Wait for the end; returns why it was given up, or None when there is a verdict."""
        last, beaten = time.monotonic() + self.seconds, float("-inf")
        while process.poll() is None:
            if self.ending.wait(0.2):
                return _ENDED
            if time.monotonic() > last:
                return "too_long"
            if time.monotonic() - beaten >= BEAT_SECONDS:
                with self.room.db.transaction() as tx:
                    if not self.room.trials.beat(tx, trial.id, runner, percent=steps.percent):
                        return "lost"
                if _bytes_in(directory) > MOST_FILES:
                    return "too_large"
                beaten = time.monotonic()
        return None if process.returncode in _FINISHED else "attack_failed"


class _Steps:
    """Reads how far the attacks are, so that the pipe never fills; a child without a reader fails at its next step."""

    def __init__(self, lines: IO[bytes]) -> None:
        self.percent = 0
        self._lines = lines
        self._reader = Thread(target=self._read, name="trial", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Let go of the pipe, once its writer is gone."""
        self._reader.join()
        self._lines.close()

    def _read(self) -> None:
        for line in self._lines:
            text = line.strip()
            if text.isdigit() and len(text) <= 3:
                self.percent = min(100, int(text))


def _read(path: Path) -> bytes:
    """Return a report, or nothing that could be one when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_REPORT_BYTES + 1)
    except OSError:
        return b""


def _bound(pid: int) -> None:
    """Bound a process's memory; where the machine has none left all the same, the kernel ends this one first."""
    # Linux alone has both; and a child that has ended already needs neither.
    with suppress(OSError):
        if hasattr(resource, "prlimit"):
            resource.prlimit(pid, resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
            Path(f"/proc/{pid}/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")


def _bytes_in(directory: Path) -> int:
    """Return how long all files of a directory are together; those that go meanwhile are passed over."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(path, name), follow_symlinks=False).st_size  # noqa: PTH116, PTH118
    return total


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
