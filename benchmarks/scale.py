"""How the time grows with the rows, from 100,000 people on; `python -m benchmarks.scale [--full]`.

Taking in the provider's people, and one question against a tenth as many in the base, at each size in a room of its
own; and once more the smallest question, in the room of the largest, which must not make it slower.
"""

import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import OURS, RUNS, Side, arguments, compared, in_turns, new_room, show
from benchmarks.match import BYTES_PER_PERSON
from benchmarks.questions import ask, question, twelve
from benchmarks.synthetic import fits, make_deal

SIZES = (100_000, 1_000_000, 10_000_000)
FULL = 50_000_000
SHARE = 10
LEFT_OUT = {OURS: ("HTTP and the release tick", "writing and sending the packages")}


def one_size(rows: int, *, runs: int = RUNS, neighbour: int | None = None) -> dict[str, Any]:
    """Fill a room and time it; with a neighbour, besides time a question of that size in the same room.

    Args:
        rows: people in the dataset; the base has a tenth as many.
        runs: how many are kept.
        neighbour: people in a second dataset of other parties.
    """
    with tempfile.TemporaryDirectory() as place, new_room(Path(place)) as room:
        directory = Path(place)
        fits(directory, (rows + rows // SHARE) * BYTES_PER_PERSON)
        deal = make_deal(room, provider_rows=rows, base_rows=rows // SHARE, directory=directory)
        found = {
            "rows": rows,
            "ingest_s": deal.dataset.seconds,
            "question_s": _question(room, deal.asking, runs),
        }
        if neighbour:
            other = make_deal(
                room, provider_rows=neighbour, base_rows=neighbour // SHARE, directory=directory
            )
            found["neighbour_question_s"] = _question(room, other.asking, runs)
    return found


def _question(room: Any, asking: dict[str, str], runs: int) -> list[float]:
    return in_turns([Side(OURS, lambda run: ask(room, asking, question(asking, twelve(run))))], runs=runs)[
        OURS
    ]


def measure(sizes: tuple[int, ...], *, runs: int = RUNS) -> dict[str, Any]:
    """Time every size, the smallest first."""
    return grown(
        [one_size(rows, runs=runs, neighbour=min(sizes) if rows == max(sizes) else None) for rows in sizes]
    )


def grown(points: list[dict[str, Any]]) -> dict[str, Any]:
    """Put what was found at every size together.

    Growth from one size to the next is the factor of the times by the factor of the rows: 1 is linear, and what every
    question costs at any size makes it less.
    """
    points = sorted(points, key=lambda point: int(point["rows"]))
    growth = []
    for one, two in itertools.pairwise(points):
        rows = two["rows"] / one["rows"]
        growth.append(
            {
                "from": one["rows"],
                "to": two["rows"],
                "ingest": two["ingest_s"] / one["ingest_s"] / rows,
                "question": statistics.median(two["question_s"])
                / statistics.median(one["question_s"])
                / rows,
            }
        )
    found = compared(
        "scale", [Side(OURS, lambda _run: None, LEFT_OUT[OURS])], {OURS: points[-1]["question_s"]}
    )
    return {
        **found,
        "points": points,
        "growth": growth,
        "steepest": max((step[kind] for step in growth for kind in ("ingest", "question")), default=None),
        **_beside(points),
    }


def _beside(points: list[dict[str, Any]]) -> dict[str, Any]:
    """Tell how much slower the smallest question was in the room of a large dataset."""
    alone = statistics.median(points[0]["question_s"])
    for point in points:
        if "neighbour_question_s" in point:
            taken = statistics.median(point["neighbour_question_s"])
            return {"beside_rows": point["rows"], "beside_the_largest": taken / alone}
    return {"beside_rows": None, "beside_the_largest": None}


def main() -> None:
    """Measure and print."""
    parser = arguments("scale", __doc__, runs=(RUNS, "how many runs are kept"))
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} people too")
    parser.add_argument("--sizes", type=int, nargs="+", help="other sizes")
    options = parser.parse_args()
    sizes = tuple(options.sizes or SIZES) + ((FULL,) if options.full else ())
    found = measure(sizes, runs=options.runs)
    show(found, as_json=options.json)
    if not options.json:
        for point in found["points"]:
            print(
                f"{point['rows']:12,} people: ingest {point['ingest_s']:.2f} s, "
                f"question {statistics.median(point['question_s']):.3f} s"
            )
        for step in found["growth"]:
            print(
                f"growth from {step['from']:,} to {step['to']:,}: ingest {step['ingest']:.2f}, "
                f"question {step['question']:.2f} of linear"
            )
        if found["beside_the_largest"]:
            print(
                f"smallest question beside the largest dataset: {found['beside_the_largest']:.2f} x its time alone"
            )


if __name__ == "__main__":
    main()
