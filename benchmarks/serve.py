"""A stored answer, asked for again and again; `python -m benchmarks.serve`.

Over HTTP as clients ask: `cleanroom serve` with its worker in processes of their own, access tokens, a key of its own
for each question, connections that stay open, and a caller in another process. Requests arrive at a steady rate
whatever happens to those before them, and each is timed from the moment it was due. Beside it stand the service alone,
`analyses.ask` in this process, and one durable commit to SQLite, which no answer with a log entry can be without.
"""

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

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
from benchmarks.over_http import make_buyer, stored_over_http
from benchmarks.questions import ask, question, twelve
from benchmarks.rate import at_a_rate
from benchmarks.synthetic import base_numbers, make_deal
from cleanroom.analyses.types import Outcome

BATCH = 10
WORKERS = 2
LEFT_OUT = {
    OURS: ("HTTP and who asks, which are in what is measured at a rate",),
    "commit": ("everything but one row written, synchronously, to SQLite in WAL mode",),
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
        wanted = wanted or people // 10
        deal = make_deal(room, provider_rows=people, base_rows=wanted, directory=directory)
        buyer = make_buyer(room, deal, base_numbers(people, wanted), directory=directory)
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
        through_service = at_a_rate(
            lambda: ask(room, asking, asked, expected=Outcome.STORED),
            per_second=per_second,
            seconds=seconds,
            workers=WORKERS,
        )
        database.close()
        home = room.settings.home
        peak = in_own_process(peak_stored, home=str(home), asking=asking)
        over_http = stored_over_http(home, buyer, per_second=per_second, seconds=seconds)
    return compared(
        "serve",
        sides,
        one,
        floor="commit",
        peak_mb={OURS: peak["peak_mb"]},
        people=people,
        during_s=seconds,
        at_rate=through_service,
        over_http=over_http,
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
        for name, rate in (("over HTTP", found["over_http"]), ("service", found["at_rate"])):
            print(
                f"{name:12} at {rate['asked_per_s']}/s: served {rate['served_per_s']:.0f}/s, "
                f"p50 {rate['p50_s'] * 1e3:.1f} ms, p99 {rate['p99_s'] * 1e3:.1f} ms, given up {rate['given_up']}"
            )


if __name__ == "__main__":
    main()
