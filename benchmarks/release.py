"""What the gate adds to the noise: releases against bare calls of OpenDP; `python -m benchmarks.release`.

A bare call draws the same number of discrete Gaussians with the same sigma, in one vector, and does nothing else. Both
sides run in this process in turns.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import opendp.prelude as dp

from benchmarks.harness import OURS, CountsDifferError, Side, arguments, compared, in_turns, show, spread
from cleanroom.release import gate
from cleanroom.release.gate import plan_mechanism, release_cells
from cleanroom.release.mechanism import add_noise
from cleanroom.release.types import Cell, Mechanism
from policies.attributes import AttributeInfo

RUNS = 7
PROFILE, CELLS, SEGMENTS = 876, 10_000, 1_000
SPEND = {"spend": AttributeInfo("decimal", scale=2, clamp=(0, 10_000_000))}
LEFT_OUT = {
    OURS: ("counting before the gate, the stored answer and the log after it",),
    "opendp": ("suppression, consistency and intervals: the draws are all it does",),
}


@dataclass(frozen=True)
class Job:
    """One question's figures.

    Attributes:
        name: of the job.
        cells: exact figures.
        mechanism: how they are released.
    """

    name: str
    cells: tuple[Cell, ...]
    mechanism: Mechanism


def jobs(smaller: int = 1) -> tuple[Job, ...]:
    """Return a profile, a large table, a thousand overlapping segments, and the same segments with a sum of each."""
    profile, cells, many = (number // smaller for number in (PROFILE, CELLS, SEGMENTS))
    small, table = (
        (Cell("overlap", 500_000, None), *_parts("breakdown:0", size - 1)) for size in (profile, cells)
    )
    segments = (Cell("overlap", 500_000, None), *_parts("segment", many))
    sums = tuple(Cell(f"sum:spend:{cell.name}", cell.exact * 9_999, cell.name, "spend") for cell in segments)
    within = len(segments)
    return (
        Job(f"{profile:,} cells", small, _mechanism(2)),
        Job(f"{cells:,} cells", table, _mechanism(2)),
        Job(f"{many:,} segments", segments, _mechanism(within)),
        Job(f"{many:,} segments with sums", segments + sums, _mechanism(2 * within, sum_l0=within)),
    )


def _parts(kind: str, count: int) -> tuple[Cell, ...]:
    return tuple(Cell(f"{kind}:{at}", 7 * at % 900, "overlap") for at in range(count))


def _mechanism(l0: int, *, sum_l0: int = 0) -> Mechanism:
    return plan_mechanism(
        l0=l0,
        rho_micro=5_000,
        minimum_audience=100,
        round_to=1,
        sums=SPEND if sum_l0 else None,
        sum_l0=sum_l0,
    )


def through_the_gate(job: Job) -> Callable[[], None]:
    """Return a job as the room does it: noise, suppression, consistency, intervals."""

    def release() -> None:
        release_cells(job.cells, job.mechanism)

    return release


def bare(job: Job) -> Callable[[], None]:
    """Return the bare draws of a job: one vector per scale, built beforehand."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    draws = []
    for attribute, sigma in [
        (None, job.mechanism.sigma),
        *((made.attribute, made.sigma) for made in job.mechanism.sums),
    ]:
        exact = [cell.exact for cell in job.cells if cell.attribute == attribute]
        draws.append((space >> dp.m.then_gaussian(scale=sigma), exact))

    def draw() -> None:
        for measurement, exact in draws:
            measurement(exact)

    return draw


def vectors(job: Job) -> list[int]:
    """Return how many figures each draw of noise covers in a release."""
    sizes: list[int] = []

    def counted(exact: Sequence[int], *, sigma: float) -> list[int]:
        sizes.append(len(exact))
        return add_noise(exact, sigma=sigma)

    with patch.object(gate, "add_noise", counted):
        release_cells(job.cells, job.mechanism)
    return sizes


def measure(*, runs: int = RUNS, smaller: int = 1) -> dict[str, Any]:
    """Time every job and its bare draws, in turns.

    Args:
        runs: how many are kept.
        smaller: divides the numbers of figures.
    """
    found: list[dict[str, Any]] = []
    sides: list[Side] = []
    first: dict[str, list[float]] = {}
    for job in jobs(smaller):
        release, draw = through_the_gate(job), bare(job)
        sides = [
            Side(OURS, lambda _run, release=release: release(), LEFT_OUT[OURS]),
            Side("opendp", lambda _run, draw=draw: draw(), LEFT_OUT["opendp"]),
        ]
        seconds = in_turns(sides, runs=runs)
        first = first or seconds
        if sum(vectors(job)) != len(job.cells):
            raise CountsDifferError("The gate draws another number of figures than OpenDP.")
        medians = {side: statistics.median(taken) for side, taken in seconds.items()}
        found.append(
            {
                "job": job.name,
                "figures": len(job.cells),
                "vector_draws": vectors(job),
                "spread": {side: spread(taken) for side, taken in seconds.items()},
                "medians": medians,
                "ratio": medians[OURS] / medians["opendp"],
            }
        )
    return compared("release", sides, first, jobs=found)


def main() -> None:
    """Measure and print."""
    parser = arguments("release", __doc__, runs=(RUNS, "how many runs are kept"))
    options = parser.parse_args()
    found = measure(runs=options.runs)
    show(found, as_json=options.json)
    if options.json:
        return
    for job in found["jobs"]:
        medians = job["medians"]
        drawn = " + ".join(f"{size:,}" for size in job["vector_draws"])
        print(
            f"{job['job']:26} {medians['cleanroom'] * 1e3:6.1f} ms; bare OpenDP {medians['opendp'] * 1e3:6.1f} ms; "
            f"ratio {job['ratio']:.2f}; drawn at once: {drawn}"
        )


if __name__ == "__main__":
    main()
