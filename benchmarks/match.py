"""One question through the room against joins of plaintext; `python -m benchmarks.match`.

All sides run in turns, on the same people and questions, and must agree on every exact count.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import psi
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
)
from benchmarks.plain import DuckTables, Merge, polars_cube
from benchmarks.questions import Counts, ask, exact, from_cube, question, twelve
from benchmarks.synthetic import BASE, KEYS, Deal, fits, load, make_deal
from cleanroom.datasets.types import Role
from cleanroom.room import Room

BYTES_PER_PERSON = 250
LEFT_OUT = {
    OURS: (
        "HTTP and the release tick",
        "taking the files in, where the provider's people are sorted once",
        "reading from disk: the sealed files are in the page cache",
    ),
    "duckdb": (
        "loading the tables: they lie in memory as plaintext",
        "opening sealed files, re-keying the base, consent changes, noise, budget, the stored answer, the signed log",
    ),
    "polars": ("the same as DuckDB",),
    "floor": (
        "sorting both sides, half of each token, and everything that DuckDB leaves out",
        "consent as a column of its own: it is folded into the cell numbers",
    ),
}
TOUCHED = (Role.KEY_HI, Role.KEY_PERSON, Role.ATTRIBUTE, Role.CONSENT_STATE), (Role.KEY_HI, Role.KEY_LO)


def measure(
    provider_rows: int,
    base_rows: int,
    *,
    keys: int = 1,
    cold: bool = False,
    runs: int = RUNS,
    polars: bool = True,
    tenth: bool = False,
) -> dict[str, Any]:
    """Fill all sides, check that they agree, and time them in turns.

    Args:
        provider_rows: people in the dataset.
        base_rows: people in the base.
        keys: match on e-mail, or on e-mail or telephone.
        cold: besides, ask each question in a fresh process.
        runs: how many are kept.
        polars: let it take part.
        tenth: besides, time a base of a tenth of the provider's people, as a point of growth.
    """
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        fits(directory, (provider_rows + base_rows) * BYTES_PER_PERSON * keys)
        with new_room(directory) as room:
            deal = make_deal(
                room, provider_rows=provider_rows, base_rows=base_rows, directory=directory, keys=keys
            )
            found = time_question(
                room, deal, provider_rows, base_rows, keys=keys, cold=cold, runs=runs, polars=polars
            )
            if tenth:
                base = load(room, deal.advertiser, BASE, range(provider_rows // 10), directory=directory)
                asking = deal.asking | {"base_id": base.id}
                alone = Side(OURS, lambda run: ask(room, asking, question(asking, twelve(run))))
                found["tenth_s"] = in_turns([alone], runs=runs)[OURS]
            return found


def time_question(
    room: Room,
    deal: Deal,
    provider_rows: int,
    base_rows: int,
    *,
    keys: int,
    cold: bool,
    runs: int,
    polars: bool,
) -> dict[str, Any]:
    """Time the question in a filled room; the other arguments are those of `measure`."""
    home, asking = str(room.settings.home), deal.asking
    tables = DuckTables(provider_rows, base_rows, keys)
    form = tables.fastest()
    statement = tables.forms()[form]
    sides = [
        Side(OURS, lambda run: ask(room, asking, question(asking, twelve(run))), LEFT_OUT[OURS]),
        Side("duckdb", lambda run: from_cube(tables.cube(statement), twelve(run)), LEFT_OUT["duckdb"]),
    ]
    floor = None
    if polars and keys == 1:
        in_polars = polars_cube(provider_rows, base_rows)
        sides.append(Side("polars", lambda run: from_cube(in_polars(), twelve(run)), LEFT_OUT["polars"]))
    if keys == 1:
        merge = Merge(provider_rows, base_rows)
        floor = merge.name
        sides.append(Side(floor, lambda run: from_cube(merge.cube(), twelve(run)), LEFT_OUT["floor"]))
    last: list[Counts] = []

    def check(run: int, made: Mapping[str, Any]) -> None:
        counts = exact(room, deal, question(asking, twelve(run)))
        if differ := [name for name, found in made.items() if name != OURS and found != counts]:
            raise CountsDifferError(f"The room and {differ[0]} count differently.")
        last[:] = [counts]

    seconds = in_turns(sides, runs=runs, check=check)
    more: dict[str, Any] = {}
    if cold:
        # The literals of these runs have not been asked yet.
        fresh = Side(
            OURS, lambda run: Taken(in_own_process(cold_question, home=home, asking=asking, run=run), None)
        )
        later = [_shifted(side, runs + 1) for side in (fresh, sides[1])]
        more["cold"] = _ratio_of(in_turns(later, runs=runs))
    touched = touched_bytes(room, deal)
    peaks = {
        OURS: in_own_process(peak_question, home=home, asking=asking, run=2 * runs + 3),
        "duckdb": _duckdb_peak(tables, room.settings.home.parent, statement),
    }
    threads = tables.threads
    tables.connection.close()
    counts = last[0]
    return compared(
        "match",
        sides,
        seconds,
        floor=floor,
        peak_mb={side: found["peak_mb"] for side, found in peaks.items()},
        provider_rows=provider_rows,
        base_rows=base_rows,
        keys=list(KEYS[:keys]),
        overlap=counts.overlap,
        cells=1 + len(counts.segments) + len(counts.cells),
        duckdb_form=form,
        duckdb_threads=threads,
        ingest_s=deal.dataset.seconds,
        memory={
            "columns_mb": touched / 2**20,
            "peak_above_start_mb": peaks[OURS]["peak_mb"] - peaks[OURS]["before_mb"],
            "ratio": (peaks[OURS]["peak_mb"] - peaks[OURS]["before_mb"]) * 2**20 / touched,
        },
        **more,
    )


def _shifted(side: Side, by: int) -> Side:
    return Side(side.name, lambda run: side.work(run + by), side.left_out)


def _ratio_of(seconds: Mapping[str, list[float]]) -> dict[str, Any]:
    made = compared("cold", [Side(name, lambda _run: None) for name in seconds], seconds)
    return {key: made[key] for key in ("ours_s", "baseline_s", "ratio", "ratio_range", "spread")}


def cold_question(home: str, asking: dict[str, str], run: int) -> float:
    """Ask in this fresh process, ready as a server is before its first request: loaded, warmed up, the room open."""
    return peak_question(home, asking, run, warm=True)["seconds"]


def peak_question(home: str, asking: dict[str, str], run: int, *, warm: bool = False) -> dict[str, float]:
    """Ask in this fresh process and tell what it took."""
    with kept_room(home) as room:
        if warm:
            room.warm_up()
        asked = question(asking, twelve(run))
        return peak_of(lambda: ask(room, asking, asked))


def peak_join(database: str, statement: str) -> dict[str, float]:
    """Load tables into this fresh process's memory, join them once and tell what it took."""
    tables = DuckTables.load(Path(database))
    return peak_of(lambda: tables.cube(statement))


def _duckdb_peak(tables: DuckTables, directory: Path, statement: str) -> dict[str, float]:
    path = directory / "tables.duckdb"
    tables.save(path)
    found: dict[str, float] = in_own_process(peak_join, database=str(path), statement=statement)
    path.unlink()
    return found


def touched_bytes(room: Room, deal: Deal) -> int:
    """Return the plaintext bytes of the columns that the question is about."""
    with room.db.reading() as tx:
        return sum(
            file.bytes
            for table, roles in zip((deal.dataset, deal.base), TOUCHED, strict=True)
            for file in room.datasets.files(tx, table.version_id)
            if file.role in roles
        )


def main() -> None:
    """Measure and print."""
    parser = arguments(
        "match",
        __doc__,
        provider=(10_000_000, "people in the provider's dataset"),
        base=(1_000_000, "people in the advertiser's base"),
        keys=(1, "1: match on e-mail; 2: on e-mail or telephone"),
        runs=(RUNS, "how many runs are kept"),
    )
    parser.add_argument("--cold", action="store_true", help="besides, ask in fresh processes")
    parser.add_argument("--no-polars", action="store_true", help="leave polars out")
    parser.add_argument(
        "--tenth", action="store_true", help="besides, a base of a tenth of the provider's people"
    )
    parser.add_argument(
        "--psi",
        action="store_true",
        help=f"compare with a private set intersection instead, at {psi.ROWS:,} x {psi.ROWS:,}",
    )
    options = parser.parse_args()
    if options.psi:
        show(psi.measure(), as_json=options.json)
        return
    found = measure(
        options.provider,
        options.base,
        keys=options.keys,
        cold=options.cold,
        runs=options.runs,
        polars=not options.no_polars,
        tenth=options.tenth,
    )
    show(found, as_json=options.json)
    if not options.json:
        if cold := found.get("cold"):
            print(f"cold         {cold['ours_s']:.3f} s, ratio {cold['ratio']:.2f}")
        memory = found["memory"]
        print(
            f"memory       {memory['ratio']:.2f} x the {memory['columns_mb']:,.0f} MB of the columns touched"
        )
        print(f"ingest       {found['ingest_s']:.1f} s; form in DuckDB: {found['duckdb_form']}")


if __name__ == "__main__":
    main()
