"""A stored answer, asked for again and again; `python -m benchmarks.serve`.

There is no HTTP interface yet, so what is measured is the service: `analyses.ask` with a question that was answered
before. Requests arrive at a steady rate whatever happens to those before them, and each is timed from the moment it was
due. Beside it stands one durable commit to SQLite, which is what no answer with a log entry can be without.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import (
    OURS,
    RUNS,
    Side,
    arguments,
    compared,
    in_own_process,
    in_turns,
    kept_room,
    new_room,
    peak_of,
    show,
)
from benchmarks.questions import ask, question, twelve
from benchmarks.synthetic import make_deal
from cleanroom.analyses.types import Outcome

BATCH = 10
WORKERS = 2
LEFT_OUT = {
    OURS: ("HTTP, which does not exist yet, and who asks: no session, no token is checked",),
    "commit": ("everything but one row written, synchronously, to SQLite in WAL mode",),
}


def at_a_rate(work: Callable[[], object], *, per_second: float, seconds: float) -> dict[str, float]:
    """Call something at a steady rate and time each call from when it was due.

    Args:
        work: called by two threads.
        per_second: how often.
        seconds: for how long; calls that come too late to start within twice this time are given up.
    """
    calls = max(int(per_second * seconds), 1)
    started = time.perf_counter() + 0.05
    late = started + 2 * seconds
    waiting = iter(range(calls))
    lock = threading.Lock()
    latencies: list[float] = []

    def serve() -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None or time.perf_counter() > late:
                return
            due = started + number / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
            work()
            latencies.append(time.perf_counter() - due)

    with ThreadPoolExecutor(WORKERS) as pool:
        for thread in [pool.submit(serve) for _ in range(WORKERS)]:
            thread.result()
    taken = time.perf_counter() - started
    p50, p99 = np.quantile(latencies, [0.5, 0.99])
    return {
        "asked_per_s": per_second,
        "served_per_s": len(latencies) / taken,
        "given_up": calls - len(latencies),
        "p50_s": float(p50),
        "p99_s": float(p99),
    }


def measure(
    people: int, *, per_second: int, seconds: float, wanted: int | None = None, runs: int = RUNS
) -> dict[str, Any]:
    """Answer a question once, then serve it.

    Args:
        people: in the dataset.
        per_second: how many answers are asked for.
        seconds: for how long.
        wanted: people in the base; a tenth of the dataset's if not given.
        runs: how many batches are timed one after the other.
    """
    with tempfile.TemporaryDirectory() as place, new_room(Path(place)) as room:
        directory = Path(place)
        deal = make_deal(room, provider_rows=people, base_rows=wanted or people // 10, directory=directory)
        asking = deal.asking
        asked = question(asking, twelve(0))
        ask(room, asking, asked)
        database = sqlite3.connect(directory / "commit.sqlite3", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE entries (number INTEGER, entry TEXT)")

        def commit(run: int) -> None:
            for _ in range(BATCH):
                database.execute("INSERT INTO entries VALUES (?, ?)", (run, "x" * 200))

        def stored(_run: int) -> None:
            for _ in range(BATCH):
                ask(room, asking, asked, expected=Outcome.STORED)

        sides = [Side(OURS, stored, LEFT_OUT[OURS]), Side("commit", commit, LEFT_OUT["commit"])]
        batches = in_turns(sides, runs=runs)
        one = {name: [taken / BATCH for taken in found] for name, found in batches.items()}
        at_rate = at_a_rate(
            lambda: ask(room, asking, asked, expected=Outcome.STORED), per_second=per_second, seconds=seconds
        )
        database.close()
        peak = in_own_process(peak_stored, home=str(room.settings.home), asking=asking)
    return compared(
        "serve",
        sides,
        one,
        floor="commit",
        peak_mb={OURS: peak["peak_mb"]},
        people=people,
        during_s=seconds,
        at_rate=at_rate,
        over_http=False,
    )


def peak_stored(home: str, asking: dict[str, str]) -> dict[str, float]:
    """Ask in this fresh process."""
    with kept_room(home) as room:
        asked = question(asking, twelve(0))
        return peak_of(lambda: ask(room, asking, asked, expected=Outcome.STORED))


def main() -> None:
    """Measure and print."""
    parser = arguments(
        "serve",
        __doc__,
        people=(100_000, "people in the provider's dataset"),
        rate=(200, "questions a second"),
        seconds=(10, "how long"),
    )
    options = parser.parse_args()
    found = measure(options.people, per_second=options.rate, seconds=options.seconds)
    show(found, as_json=options.json)
    if not options.json:
        rate = found["at_rate"]
        print(
            f"at {rate['asked_per_s']}/s     served {rate['served_per_s']:.0f}/s, p50 {rate['p50_s'] * 1e3:.1f} ms, "
            f"p99 {rate['p99_s'] * 1e3:.1f} ms, given up {rate['given_up']}"
        )


if __name__ == "__main__":
    main()
