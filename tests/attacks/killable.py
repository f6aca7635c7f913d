"""A room's work in processes of their own, killed with SIGKILL after a while or just before a chosen operation.

Run as a program it imports everything once and then forks a child for every line of JSON on its input.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

_REPOSITORY = Path(__file__).parents[2]
_WATCHED = ("fsync", "replace", "rename", "unlink")


@dataclass(frozen=True)
class Ended:
    """What became of a job.

    Attributes:
        killed: whether SIGKILL ended it.
        seconds: from the opened room to the end.
        operations: how many durable operations it had begun: fsync, replace, rename, unlink, commit; and
            a load's reports of its progress, when rows are in flight.
    """

    killed: bool
    seconds: float
    operations: int


class Killable:
    """The parent's side."""

    def __init__(self, *, tmp_dir: Path) -> None:
        self.tmp_dir = tmp_dir

    def __enter__(self) -> Self:
        environment = os.environ | {
            "TMPDIR": str(self.tmp_dir),
            "SQLITE_TMPDIR": str(self.tmp_dir),
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(_REPOSITORY),
        }
        command = [sys.executable, str(Path(__file__))]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=_REPOSITORY,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate()

    def run(
        self,
        job: str,
        stage: Any,
        *,
        after: float | None = None,
        at_operation: int | None = None,
        **options: Any,
    ) -> Ended:
        """Do one job and wait for its end.

        Args:
            job: a function of `_JOBS`.
            stage: of `small_room`.
            after: seconds after the room was opened at which the job is killed.
            at_operation: the durable operation, counted from 1, just before which it is killed.
            options: of the job, plain data.
        """
        order = {"job": job, "stage": asdict(stage), "after": after, "at": at_operation, "options": options}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        if answer["status"] not in (0, -signal.SIGKILL):
            raise AssertionError(f"the job {job} failed by itself; its traceback is on stderr")
        return Ended(answer["status"] == -signal.SIGKILL, answer["seconds"], answer["operations"])


def _serve() -> None:
    jobs = _jobs()
    for line in sys.stdin:
        order = json.loads(line)
        opened, counted = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            _work(jobs[order["job"]], order, opened[1], counted[1])
        os.close(opened[1])
        os.close(counted[1])
        os.read(opened[0], 1)
        started = time.perf_counter()
        if order["after"] is not None:
            # Until it is waited for, the child's id cannot become another process's.
            time.sleep(order["after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - started
        operations = 0
        while ticks := os.read(counted[0], 4096):
            operations += len(ticks)
        os.close(opened[0])
        os.close(counted[0])
        answer = {"status": os.waitstatus_to_exitcode(status), "seconds": seconds, "operations": operations}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _work(job: Callable[..., None], order: dict[str, Any], opened: int, counted: int) -> None:
    from small_room import Stage

    from cleanroom.bootstrap import open_room

    try:
        stage = Stage(**order["stage"])
        room = open_room(stage.settings)
        tick = _watch(room, order["at"], counted)
        os.write(opened, b"o")
        job(room, stage, tick, **order["options"])
        status = 0
    except BaseException:  # noqa: BLE001 - a forked child must never return into its parent's code
        sys.excepthook(*sys.exc_info())
        status = 1
    os._exit(status)


def _watch(room: Any, at: int | None, counted: int) -> Callable[..., None]:
    from sqlalchemy import event

    numbers = itertools.count(1)

    def tick(*_arguments: object) -> None:
        if next(numbers) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(counted, b".")

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            tick()
            return function(*arguments, **options)

        return call

    for name in _WATCHED:
        setattr(os, name, watched(getattr(os, name)))
    event.listen(room.db.engine, "commit", tick)
    return tick


def _jobs() -> dict[str, Callable[..., None]]:
    import small_room

    from cleanroom.consent.errors import RequestEndedError
    from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
    from cleanroom.consent.types import Withdrawal

    def load(room: Any, _stage: Any, tick: Any, *, manifest: str, payload: str) -> None:
        small_room.hand_in(room, Path(manifest), Path(payload), progress=tick)

    def ask(room: Any, stage: Any, _tick: Any, *, number: int, **changed: Any) -> None:
        small_room.ask(room, stage, number, **changed)

    def withdraw(room: Any, stage: Any, _tick: Any, *, digests: str) -> None:
        room.consents.withdraw(stage.provider_dataset, [Withdrawal("email/room", bytes.fromhex(digests))])

    def confirm_consent(room: Any, stage: Any, _tick: Any, *, token: str) -> None:
        requests = room.consent_requests
        with suppress(RequestEndedError):
            confirming = requests.prepare_confirmation(stage.provider_dataset, token)
            with room.db.transaction() as tx:
                requests.confirm(tx, confirming)

    def suppress_people(room: Any, _stage: Any, _tick: Any, *, digests: str, organisation_id: str) -> None:
        named = (Named("email", "room", bytes.fromhex(digests)),)
        asked = OptOut(OptOutKind.SUPPRESSION, OptOutAction.ADD, named, OptOutReason.REQUEST)
        room.opt_outs.accept(asked, organisation_id=organisation_id)

    def rotate(room: Any, _stage: Any, _tick: Any, *, workspace_id: str) -> None:
        room.rotation.rotate_token_key(workspace_id)

    def rekey(room: Any, _stage: Any, _tick: Any, *, rotation_id: str) -> None:
        room.rekeying.run(rotation_id)

    def compact(room: Any, _stage: Any, _tick: Any, *, compaction_id: str) -> None:
        room.rights.compactions.run(compaction_id)

    def confirm(room: Any, _stage: Any, _tick: Any, *, ask_id: str, organisation_id: str, by: str) -> None:
        with room.db.transaction() as tx:
            room.four_eyes.confirm(tx, ask_id, organisation_id=organisation_id, by=by)

    def complete(room: Any, _stage: Any, _tick: Any, *, analysis_id: str, counting: bool = False) -> None:
        if counting:
            from cleanroom.matching.local import LocalEngine

            # In the middle of the match: its counts are there, and nothing of them is written.
            count = LocalEngine.count

            def killed(*arguments: Any) -> Any:
                count(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)

            LocalEngine.count = killed  # type: ignore[method-assign]
        room.analyses.complete(analysis_id)

    return {
        "load": load,
        "ask": ask,
        "withdraw": withdraw,
        "confirm_consent": confirm_consent,
        "suppress": suppress_people,
        "rotate": rotate,
        "rekey": rekey,
        "compact": compact,
        "confirm": confirm,
        "complete": complete,
    }


if __name__ == "__main__":
    _serve()
