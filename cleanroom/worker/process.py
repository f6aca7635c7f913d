"""The worker's process: its threads, its end, and what it tells its operator."""

import gc
import signal
import sys
from collections.abc import Callable
from threading import Event, Thread
from types import FrameType

from cleanroom.bootstrap import open_room
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, SystemClock, rfc3339
from cleanroom.parent import when_parent_ends
from cleanroom.room import Room
from cleanroom.settings import Settings
from cleanroom.worker.pieces import (
    Announcing,
    Bundling,
    Checking,
    Chores,
    Compacting,
    Counting,
    Loading,
    Mailing,
    Rekeying,
    Witnessing,
    pause_after,
)
from cleanroom.worker.trials import Trying
from crypto.shares import KeysSealedError

IDLE_SECONDS = 0.1
CHORES_SECONDS = 1.0
SEALED_SECONDS = 1.0


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
    when_parent_ends(ending.set)
    room = opened_when_unsealed(settings, ending)
    if room is None:
        return
    try:
        room.warm_up()
        # What is there now stays: looking through it for garbage, again and again, would hold questions up.
        gc.collect()
        gc.freeze()
        report = reporter(room.clock)
        # A long load does not hold up questions, nor a long question what is due, nor a slow receiver anything.
        counting = Counting(room, report)
        pieces = {
            "questions": counting,
            "uploads": Loading(room),
            "webhooks": Announcing(room, report, ending),
            "mail": Mailing(room),
        }
        threads = [
            Thread(target=repeat, args=(piece, ending, report, IDLE_SECONDS), name=name)
            for name, piece in pieces.items()
        ]
        trying = Trying(room, ending)
        threads.append(Thread(target=repeat, args=(trying, ending, report, CHORES_SECONDS), name="trials"))
        rekeying = Thread(target=repeat, args=(Rekeying(room), ending, report, CHORES_SECONDS), name="keys")
        threads.append(rekeying)
        seldom: dict[str, Callable[[], bool]] = {
            "checks": Checking(room),
            "evidence": Bundling(room),
            "witnesses": Witnessing(room),
            "rights": Compacting(room),
        }
        threads += [
            Thread(target=repeat, args=(piece, ending, report, CHORES_SECONDS), name=name)
            for name, piece in seldom.items()
        ]
        for thread in threads:
            thread.start()
        repeat(Chores(room), ending, report, CHORES_SECONDS)
        for thread in threads:
            thread.join()
        counting.close()
    finally:
        room.close()


def opened_when_unsealed(settings: Settings, ending: Event) -> Room | None:
    """Open the room; while its keys are sealed, wait for people to give their shares.

    Returns:
        The room; None when the end came first.
    """
    told = False
    while not ending.is_set():
        try:
            return open_room(settings)
        except KeysSealedError as error:
            if not told:
                reporter(SystemClock())("worker.waits", error)
                told = True
            ending.wait(SEALED_SECONDS)
    return None


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
