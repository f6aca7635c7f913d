"""One question through the room against DuckDB joining plaintext; `python -m benchmarks.match`.

Both sides run in this process in turns, on the same people and questions, and must agree on every exact count.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from benchmarks.synthetic import (
    CITIES,
    PURPOSE,
    ROW_IS_PERSON,
    Deal,
    base_numbers,
    digests,
    fits,
    make_deal,
    people,
)
from cleanroom.analyses.types import Outcome
from cleanroom.bootstrap import Room, init_room
from cleanroom.matching.types import Plan
from cleanroom.matching.views import info_of
from cleanroom.schema.model import ConsentState
from cleanroom.settings import load_settings
from policies.canonical_question import canonical_question
from policies.question import Question, question_from_dict

RUNS = 5
BYTES_PER_PERSON = 200
GROUPED = ("sex", "age", "city")
ATTRIBUTES = {attribute.name: info_of(attribute) for attribute in ROW_IS_PERSON.attributes}
LEFT_OUT = {
    "cleanroom": [
        "HTTP and the release tick",
        "taking the files in, where the provider's people are sorted once",
        "reading from disk: the sealed files are in the page cache, opened and verified in every run",
    ],
    "duckdb": [
        "loading the tables: they lie in memory as plaintext",
        "opening sealed files, re-keying the base, consent changes, noise, budget, the stored answer, the signed log",
    ],
}


@dataclass(frozen=True)
class Segment:
    """A condition in both languages."""

    condition: Mapping[str, Any]
    sql: str


@dataclass(frozen=True)
class Counts:
    """Exact counts: the overlap, the segments in order, the cells row-major over sex, age band and city."""

    overlap: int
    segments: tuple[int, ...]
    cells: tuple[int, ...]


def segments(run: int) -> dict[str, Segment]:
    """Return the 12 segments of a run; each run asks something new, or it would be given the stored answer."""
    old = Segment({"attribute": "age", "op": ">=", "value": 50 + run}, f"age >= {50 + run}")
    found = {"old": old}
    for low, high in ((18, 24), (25, 34), (30, 44), (35, 59)):
        condition = {"attribute": "age", "op": "between", "value": [low, high]}
        found[f"aged{low}"] = Segment(condition, f"age BETWEEN {low} AND {high}")
    for sex, code in (("F", 1), ("M", 2)):
        found[sex] = Segment({"attribute": "sex", "op": "==", "value": sex}, f"sex = {code}")
    for first in (0, 3, 6):
        condition = {"attribute": "city", "op": "in", "value": list(CITIES[first : first + 3])}
        found[f"cities{first}"] = Segment(condition, f"city BETWEEN {first + 1} AND {first + 3}")
    both = (found["F"], found["aged25"])
    all_of = {"all": [one.condition for one in both]}
    found["young women"] = Segment(all_of, " AND ".join(one.sql for one in both))
    any_of = {"any": [old.condition, found["cities0"].condition]}
    found["old or near"] = Segment(any_of, f"({old.sql}) OR ({found['cities0'].sql})")
    return found


def question(deal: Deal, run: int) -> Question:
    """Return the question of a run."""
    plain = {
        "kind": "profile",
        "purpose": PURPOSE,
        "segments": {name: dict(one.condition) for name, one in segments(run).items()},
        "breakdowns": [list(GROUPED)],
    }
    return question_from_dict(plain, dataset_id=deal.dataset_id, base_id=deal.base_id)


def ask(room: Room, deal: Deal, run: int) -> None:
    """Ask as an advertiser does; what comes out is noised."""
    answer = room.analyses.ask(
        question(deal, run), grant_id=deal.grant.id, asker_id=deal.advertiser.organisation_id
    )
    if answer.outcome is not Outcome.RELEASED:
        raise SystemExit(f"The room answered: {answer.outcome}, {answer.reasons} {answer.missing}")


def exact(room: Room, deal: Deal, run: int) -> Counts:
    """Take the exact counts from the engine, which nobody who asks can."""
    canonical = canonical_question(question(deal, run), ATTRIBUTES)
    with room.db.reading() as tx:
        match = room.matching.open(
            tx,
            dataset_version_id=deal.dataset_version_id,
            base_version_id=deal.base_version_id,
            purpose=PURPOSE,
            epoch=room.consents.epoch(tx, deal.dataset_id),
        )
    plan = Plan(PURPOSE, match.keys, canonical.segments, canonical.breakdowns)
    found = match.count(plan, at=room.clock.now())
    stored = canonical.breakdowns[0]
    table = found.breakdowns[0].reshape([ATTRIBUTES[name].cells for name in stored])
    table = table.transpose([stored.index(name) for name in GROUPED])
    counts = tuple(found.segments[canonical.segment_of[name]] for name in segments(run))
    return Counts(found.overlap, counts, tuple(table.ravel().tolist()))


def open_tables(provider_rows: int, base_rows: int) -> duckdb.DuckDBPyConnection:
    """Lay the same people out in DuckDB's memory, keyed by 128 bits in plaintext."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE base (token HUGEINT)")
    connection.execute(
        "CREATE TABLE provider (token HUGEINT, consented BOOLEAN, "
        "sex UTINYINT, age SMALLINT, band UTINYINT, city UTINYINT)"
    )
    _fill(connection, "base", base_numbers(provider_rows, base_rows), "")
    _fill(connection, "provider", range(provider_rows), ", consented, sex, age, band, city")
    return connection


def _fill(connection: duckdb.DuckDBPyConnection, table: str, numbers: range, columns: str) -> None:
    for start in range(numbers.start, numbers.stop, 1 << 20):
        rows = np.arange(start, min(start + (1 << 20), numbers.stop), dtype=np.uint64)
        halves = digests(rows, 1).view(np.uint64)
        made = people(rows, ROW_IS_PERSON)
        frame = pd.DataFrame(
            {
                "hi": halves[:, 0].view(np.int64),
                "lo": halves[:, 1],
                "consented": made[f"consent:{PURPOSE}"] == ConsentState.GRANTED,
                "sex": made["attr:sex"],
                "age": made["attr:age"],
                "band": np.searchsorted(ATTRIBUTES["age"].bands, made["attr:age"], side="right"),
                "city": made["attr:city"],
            }
        )
        connection.register("frame", frame)
        connection.execute(
            f"INSERT INTO {table} SELECT hi::HUGEINT * 18446744073709551616 + lo::HUGEINT{columns} FROM frame"
        )
        connection.unregister("frame")


def join(connection: duckdb.DuckDBPyConnection, run: int) -> list[tuple[int, ...]]:
    """Join, group and count in one statement; a group's segments are added up by `joined`."""
    counted = ", ".join(f"count(*) FILTER ({one.sql})" for one in segments(run).values())
    return connection.execute(
        f"SELECT sex, band, city, count(*), {counted} FROM provider "
        "WHERE consented AND token IN (SELECT token FROM base) GROUP BY sex, band, city"
    ).fetchall()


def joined(rows: list[tuple[int, ...]]) -> Counts:
    """Lay DuckDB's groups out as the room's cells."""
    sizes = [ATTRIBUTES[name].cells for name in GROUPED]
    table = np.zeros(sizes, np.int64)
    for sex, band, city, count, *_ in rows:
        table[sex - 1, band, city - 1] = count
    totals = np.array([row[3:] for row in rows], np.int64).sum(axis=0).tolist()
    return Counts(totals[0], tuple(totals[1:]), tuple(table.ravel().tolist()))


def measure(provider_rows: int, base_rows: int) -> dict[str, Any]:
    """Fill both sides, check that they agree, and time them in turns."""
    seconds: dict[str, list[float]] = {"cleanroom": [], "duckdb": []}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        fits(directory, (provider_rows + base_rows) * BYTES_PER_PERSON)
        room = init_room(load_settings({}, home=directory / "home"))
        deal = make_deal(room, provider_rows=provider_rows, base_rows=base_rows, directory=directory)
        tables = open_tables(provider_rows, base_rows)
        for run in range(RUNS + 1):
            asked = timed(lambda run=run: ask(room, deal, run))
            rows: list[tuple[int, ...]] = []
            in_duckdb = timed(lambda run=run, rows=rows: rows.extend(join(tables, run)))
            if joined(rows) != (counts := exact(room, deal, run)):
                raise SystemExit("The two sides count differently.")
            if run:  # the first one warms both up
                seconds["cleanroom"].append(asked)
                seconds["duckdb"].append(in_duckdb)
        threads = tables.execute("SELECT current_setting('threads')").fetchall()[0][0]
        tables.close()
        room.close()
    medians = {side: statistics.median(found) for side, found in seconds.items()}
    return {
        "provider_rows": provider_rows,
        "base_rows": base_rows,
        "overlap": counts.overlap,
        "cells": 1 + len(counts.segments) + len(counts.cells),
        "seconds": seconds,
        "medians": medians,
        "ratio": medians["cleanroom"] / medians["duckdb"],
        "left_out": LEFT_OUT,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("cleanroom", "duckdb", "numpy", "opendp", "cryptography")},
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "duckdb_threads": threads,
            "load_average": os.getloadavg()[0],
        },
    }


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def processor() -> str:
    """Return the processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.match", description=__doc__)
    parser.add_argument("--provider", type=int, default=10_000_000, help="people in the provider's dataset")
    parser.add_argument("--base", type=int, default=1_000_000, help="people in the advertiser's base")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = measure(options.provider, options.base)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{options.provider:,} x {options.base:,}, overlap {found['overlap']:,}, {found['cells']} cells")
    for side, runs in found["seconds"].items():
        low, high = min(runs), max(runs)
        print(f"{side:10} median {found['medians'][side]:.3f} s of {RUNS} ({low:.3f} to {high:.3f})")
        print("".join(f"{'':10} left out: {what}\n" for what in LEFT_OUT[side]), end="")
    print(f"ratio      {found['ratio']:.2f}")
    for part in ("versions", "machine"):
        print(f"{part:10} " + ", ".join(f"{name} {value}" for name, value in found[part].items()))


if __name__ == "__main__":
    main()
