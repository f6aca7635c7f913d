"""A thousand segments after one match, against a thousand joins in DuckDB; `python -m benchmarks.segments`.

What is compared is the engine's own time: a question with the segments less the same without, both counted exactly. The
whole question through the room, with noise, budget and receipt, stands beside it.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness import (
    OURS,
    RUNS,
    CountsDifferError,
    Side,
    Taken,
    arguments,
    compared,
    in_own_process,
    in_turns,
    kept_room,
    new_room,
    peak_of,
    show,
    spread,
)
from benchmarks.match import BYTES_PER_PERSON
from benchmarks.plain import DuckTables
from benchmarks.questions import Segment, aged, ask, both, counter, either, exact, near, of_sex, question
from benchmarks.synthetic import Deal, fits, make_deal
from cleanroom.room import Room

SEGMENTS = 1_000
JOINS = 20
SEED = 4
LEFT_OUT = {
    OURS: ("the match itself, noise, budget and receipt; `through_the_room` has them all",),
    "duckdb joins": (f"nothing shared: each segment joins anew; {JOINS} are measured and scaled",),
    "duckdb queries": (
        "the join: one query a segment on the table of the matched; some are measured and scaled",
    ),
    "polars": ("the join: one select of all segments on a frame of the matched",),
}


def thousand(run: int, count: int = SEGMENTS) -> dict[str, Segment]:
    """Return distinct segments of one to three conditions; one more is new in each run, so nothing is stored."""
    chance = random.Random(SEED)
    found: dict[str, Segment] = {"new": aged(20, 30 + run)}
    seen: set[str] = {found["new"].sql}
    while len(found) < count:
        low = chance.randint(14, 70)
        made = aged(low, chance.randint(low + 1, 83))
        first = chance.randrange(9)
        cities = near(first, chance.randint(1, 10 - first))
        match chance.randrange(4):
            case 0:
                made = both(made, cities)
            case 1:
                made = both(both(made, cities), of_sex(chance.randint(1, 2)))
            case 2:
                made = either(made, both(cities, of_sex(chance.randint(1, 2))))
            case _:
                made = both(made, of_sex(chance.randint(1, 2)))
        if made.sql not in seen:
            seen.add(made.sql)
            found[f"segment {len(found)}"] = made
    return found


def measure(provider_rows: int, base_rows: int, *, runs: int = RUNS, count: int = SEGMENTS) -> dict[str, Any]:
    """Fill a room and DuckDB, and time all in turns."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        fits(directory, (provider_rows + base_rows) * BYTES_PER_PERSON)
        with new_room(directory) as room:
            deal = make_deal(room, provider_rows=provider_rows, base_rows=base_rows, directory=directory)
            return time_segments(room, deal, DuckTables(provider_rows, base_rows, 1), runs=runs, count=count)


def time_segments(
    room: Room, deal: Deal, tables: DuckTables, *, runs: int = RUNS, count: int = SEGMENTS
) -> dict[str, Any]:
    """Time the segments in a filled room."""
    asking = deal.asking
    connection = tables.connection
    connection.execute(
        "CREATE OR REPLACE TABLE matched AS "
        "SELECT sex, age, city FROM provider SEMI JOIN base USING (email) WHERE consented"
    )
    frame = pl.DataFrame(
        {name: np.asarray(column) for name, column in connection.execute("FROM matched").fetchnumpy().items()}
    )
    sampled = min(JOINS, count)

    def ours(run: int) -> Taken:
        asked = question(asking, thousand(run, count), breakdown=False, precision="rough")
        alone = question(asking, {}, breakdown=False, precision="rough")
        canonical, count_all = counter(room, deal, asked)
        _, count_none = counter(room, deal, alone)
        started = time.perf_counter()
        count_none()
        between = time.perf_counter()
        found = count_all()
        ended = time.perf_counter()
        counts = tuple(found.segments[canonical.segment_of[one.name]] for one in asked.segments)
        return Taken((ended - between) - (between - started), counts)

    def scaled(statement: str, most: int) -> Any:
        def work(run: int) -> Taken:
            asked = list(thousand(run, count).values())[:most]
            started = time.perf_counter()
            found = tuple(connection.execute(statement.format(one.sql)).fetchall()[0][0] for one in asked)
            return Taken((time.perf_counter() - started) * count / len(asked), found)

        return work

    def in_polars(run: int) -> tuple[int, ...]:
        chosen = [_polars(one).sum().alias(name) for name, one in thousand(run, count).items()]
        return tuple(frame.lazy().select(chosen).collect().row(0))

    join = "SELECT count(*) FROM provider SEMI JOIN base USING (email) WHERE consented AND ({})"
    sides = [
        Side(OURS, ours, LEFT_OUT[OURS]),
        Side("duckdb joins", scaled(join, sampled), LEFT_OUT["duckdb joins"]),
        Side(
            "duckdb queries", scaled("SELECT count(*) FROM matched WHERE {}", 200), LEFT_OUT["duckdb queries"]
        ),
        Side("polars", in_polars, LEFT_OUT["polars"]),
    ]

    def check(_run: int, made: Mapping[str, Any]) -> None:
        for name, found in made.items():
            if found != made[OURS][: len(found)]:
                raise CountsDifferError(f"The room and {name} count differently.")

    seconds = in_turns(sides, runs=runs, check=check)
    whole = _through_the_room(room, asking, runs, count)
    home = str(room.settings.home)
    peak = in_own_process(peak_thousand, home=home, asking=asking, run=3 * runs + 5, count=count)
    last = exact(room, deal, question(asking, {}, breakdown=False))
    found = compared(
        "segments",
        sides,
        seconds,
        peak_mb={OURS: peak["peak_mb"]},
        segments=count,
        matched=last.overlap,
        joins_measured=sampled,
        through_the_room=whole,
    )
    return {**found, "times_faster": found["baseline_s"] / found["ours_s"]}


def peak_thousand(home: str, asking: dict[str, str], run: int, count: int) -> dict[str, float]:
    """Ask in this fresh process and tell what it took."""
    with kept_room(home) as room:
        asked = _asked(asking, thousand(run, count))
        return peak_of(lambda: ask(room, asking, asked))


def _through_the_room(room: Room, asking: dict[str, str], runs: int, count: int) -> dict[str, Any]:
    """Ask the whole question, with segments and without."""
    # The literals of these runs have not been asked yet.
    first = 2 * runs + 3
    sides = [
        Side("with", lambda run: ask(room, asking, _asked(asking, thousand(first + run, count)))),
        Side("without", lambda run: ask(room, asking, _asked(asking, {"one": aged(18, 40 + run)}))),
    ]
    seconds = in_turns(sides, runs=runs)
    difference = statistics.median(seconds["with"]) - statistics.median(seconds["without"])
    return {name: spread(found) for name, found in seconds.items()} | {"difference_s": difference}


def _asked(asking: Mapping[str, str], segments: Mapping[str, Segment]) -> Any:
    return question(asking, segments, breakdown=False, precision="rough")


def _polars(segment: Segment) -> pl.Expr:
    return pl.sql_expr(segment.sql)


def main() -> None:
    """Measure and print."""
    parser = arguments(
        "segments",
        __doc__,
        provider=(10_000_000, "people in the provider's dataset"),
        base=(
            1_200_000,
            "people in the advertiser's base; two fifths of them match, and 85% of those consented",
        ),
        runs=(RUNS, "how many runs are kept"),
    )
    options = parser.parse_args()
    found = measure(options.provider, options.base, runs=options.runs)
    show(found, as_json=options.json)
    if not options.json:
        whole = found["through_the_room"]
        print(
            f"faster       {found['times_faster']:.0f} x than {found['segments']:,} joins; matched {found['matched']:,}"
        )
        print(
            f"whole        {whole['with']['median']:.3f} s, without segments {whole['without']['median']:.3f} s"
        )


if __name__ == "__main__":
    main()
