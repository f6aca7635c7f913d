"""Processes that spend one grant and a process that counts for it, to be killed; started by a test.

Run as a program it imports everything once and then forks a child for every line of JSON on its input.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cleanroom.bootstrap import open_room
from cleanroom.grants.types import Reservation
from cleanroom.ids import new_id
from cleanroom.matching.local import LocalEngine
from cleanroom.matching.types import BaseView, DatasetView, ExactCounts, Plan
from cleanroom.room import Room
from cleanroom.settings import Settings
from policies.question import question_from_dict

# A grant of the preset `standard` has ten pico-delta for every micro-rho.
DELTA_PER_RHO = 9

_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Order:
    """What a child does, as plain data.

    Attributes:
        home: of the room.
        database_url: of the room.
        grant_id: what is spent.
        asker_id: whose it is.
        base_id: the base of every question.
        questions: asked one after another, each in a thread of its own.
        amounts: for each further thread what it reserves, one after another, in micro-rho.
        results: a file for what became of each, as JSON.
        counting: how the engine counts: `stopped` stops the process itself when it begins, `endless` counts again and
            again until it is killed; both as if one question took for ever.
    """

    home: str
    database_url: str
    grant_id: str
    asker_id: str
    base_id: str
    dataset_id: str
    questions: list[dict[str, Any]]
    amounts: list[list[int]]
    results: str
    counting: str = ""


class Children:
    """The parent's side."""

    def __init__(self) -> None:
        self._living: set[int] = set()

    def __enter__(self) -> Self:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(_REPOSITORY)}
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=_REPOSITORY,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        for pid in self._living:
            os.kill(pid, signal.SIGKILL)
        self._server.communicate()

    def start(self, order: Order) -> int:
        """Start a child with its room open; returns its process id, which is its own until it was waited for."""
        pid = int(self._tell(asdict(order)))
        self._living.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Wait for a child's end and return its exit code, negative for a signal."""
        code = int(self._tell({"wait": pid}))
        self._living.remove(pid)
        return code

    def running(self, pid: int) -> bool:
        """Tell whether a child has not ended yet."""
        return _state(pid) != "Z"

    def stopped(self, pid: int) -> bool:
        """Tell whether a child stands still."""
        return _state(pid) == "T"

    def _tell(self, plain: dict[str, Any]) -> str:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(plain) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def _serve() -> None:
    for line in sys.stdin:
        plain = json.loads(line)
        if "wait" in plain:
            _answer(os.waitstatus_to_exitcode(os.waitpid(plain["wait"], 0)[1]))
            continue
        opened = os.pipe()
        child = os.fork()
        if child == 0:
            _work(Order(**plain), opened[1])
        os.close(opened[1])
        os.read(opened[0], 1)
        os.close(opened[0])
        _answer(child)


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _work(order: Order, opened: int) -> None:
    try:
        room = open_room(Settings(Path(order.home), order.database_url, "room.local/cleanroom", 1 << 30))
        if order.counting:
            _never_end(stopped=order.counting == "stopped")
        os.close(opened)
        start = threading.Barrier(len(order.questions) + len(order.amounts))
        with ThreadPoolExecutor(start.parties) as pool:
            asked = [pool.submit(_ask, room, order, plain, start) for plain in order.questions]
            spent = [pool.submit(_spend, room, order, amounts, start) for amounts in order.amounts]
            results = [entry for future in (*asked, *spent) for entry in future.result()]
        Path(order.results).write_text(json.dumps(results), encoding="utf-8")
        status = 0
    except BaseException:  # noqa: BLE001 - whatever happens, a child ends here and says so
        sys.excepthook(*sys.exc_info())
        status = 1
    os._exit(status)


def _never_end(*, stopped: bool) -> None:
    count = LocalEngine.count

    def endless(engine: LocalEngine, view: DatasetView, base: BaseView, plan: Plan) -> ExactCounts:
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        while True:
            count(engine, view, base, plan)

    LocalEngine.count = endless  # type: ignore[method-assign]


def _ask(room: Room, order: Order, plain: dict[str, Any], start: threading.Barrier) -> list[dict[str, Any]]:
    question = question_from_dict(plain, dataset_id=order.dataset_id, base_id=order.base_id)
    start.wait()
    answer = room.analyses.ask(question, grant_id=order.grant_id, asker_id=order.asker_id)
    return [_entry(answer.charged_micro, answer.charged_micro, left=None)]


def _spend(room: Room, order: Order, amounts: list[int], start: threading.Barrier) -> list[dict[str, Any]]:
    start.wait()
    entries = []
    for amount in amounts:
        with room.db.transaction() as tx:
            analysis_id = new_id("an", room.clock.now())
            outcome = room.grants.reserve(
                tx,
                order.grant_id,
                rho_micro=amount,
                delta_pico=amount * DELTA_PER_RHO,
                analysis_id=analysis_id,
                base_id=order.base_id,
            )
        paid = isinstance(outcome, Reservation)
        left = outcome.left_after_micro if isinstance(outcome, Reservation) else None
        entries.append(_entry(amount, amount if paid else 0, left=left))
    return entries


def _entry(asked: int, charged: int, *, left: int | None) -> dict[str, Any]:
    return {"asked": asked, "charged": charged, "left": left}


if __name__ == "__main__":
    _serve()
