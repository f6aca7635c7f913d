"""The worker's process: its threads, its end, and what it tells its operator."""

import gc
import os
import signal
import stat
import sys
from collections.abc import Callable
from threading import Event, Thread
from types import FrameType

from cleanroom.bootstrap import open_room
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, rfc3339
from cleanroom.settings import Settings
from cleanroom.worker.pieces import Announcing, Chores, Counting, Loading, pause_after

IDLE_SECONDS = 0.1
CHORES_SECONDS = 1.0


def run(settings: Settings) -> None:
    """Work until told to end: by SIGTERM, by SIGINT, or by the end of the pipe that is its standard input.

    The piece under way is finished. A worker that is killed leaves nothing half done: the next one, or another that
    runs at the same time, does its piece again.

    Args:
        settings: of a room that was made.
    """
    ending = Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ending.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    _end_with_parent(ending)
    room = open_room(settings)
    try:
        room.warm_up()
        # What is there now stays: looking through it for garbage, again and again, would hold questions up.
        gc.collect()
        gc.freeze()
        report = reporter(room.clock)
        # A long load does not hold up questions, nor a long question what is due, nor a slow receiver anything.
        counting = Counting(room, report)
        pieces = {"questions": counting, "uploads": Loading(room), "webhooks": Announcing(room)}
        threads = [
            Thread(target=repeat, args=(piece, ending, report, IDLE_SECONDS), name=name)
            for name, piece in pieces.items()
        ]
        for thread in threads:
            thread.start()
        repeat(Chores(room), ending, report, CHORES_SECONDS)
        for thread in threads:
            thread.join()
        counting.close()
    finally:
        room.close()


def repeat(
    piece: Callable[[], bool], ending: Event, report: Callable[[str, Exception], None], idle_seconds: float
) -> None:
    """Do pieces until the end; after a failure wait, each time longer.

    Args:
        piece: does one; tells whether there was one.
        ending: set when it is to end.
        report: is told of failures.
        idle_seconds: how long to wait when there was none.
    """
    failures = 0
    while not ending.is_set():
        try:
            wait = 0.0 if piece() else idle_seconds
            failures = 0
        except Exception as error:  # noqa: BLE001 - a worker outlives what it meets: a full disk, a database away
            failures += 1
            report("worker.failed", error)
            wait = pause_after(failures)
        ending.wait(wait)


def reporter(clock: Clock) -> Callable[[str, Exception], None]:
    """Make what tells the operator of failures: by their code alone, as texts may quote data."""

    def report(event: str, error: Exception) -> None:
        line = {
            "event": event,
            "at": rfc3339(clock.now()),
            "code": str(getattr(error, "code", "")),
            "error": type(error).__name__,
        }
        sys.stderr.write(canonical_json(line).decode() + "\n")
        sys.stderr.flush()

    return report


def _end_with_parent(ending: Event) -> None:
    """End when the process that started this one is gone, if it keeps a pipe to it open for that."""
    try:
        piped = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:
        return
    if not piped:
        return

    def watch() -> None:
        while os.read(0, 4096):
            pass
        ending.set()

    Thread(target=watch, name="parent", daemon=True).start()
