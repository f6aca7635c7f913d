"""What the gate adds to the noise: releases against bare calls of OpenDP; `python -m benchmarks.release`.

A bare call draws the same number of discrete Gaussians with the same sigma, in one vector, and does nothing else. Both
sides run in this process in turns.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from unittest.mock import patch

import opendp.prelude as dp

from benchmarks.harness import processor, timed
from cleanroom.release import gate
from cleanroom.release.gate import plan_mechanism, release_cells
from cleanroom.release.mechanism import add_noise
from cleanroom.release.types import Cell, Mechanism
from policies.attributes import AttributeInfo

RUNS = 7
CELLS, SEGMENTS = 10_000, 1_000
SPEND = {"spend": AttributeInfo("decimal", scale=2, clamp=(0, 10_000_000))}
MOST_SECONDS = 1.0


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


def jobs() -> tuple[Job, ...]:
    """Return a large table, a thousand overlapping segments, and the same segments with a sum of each."""
    table = (Cell("overlap", 500_000, None), *_parts("breakdown:0", CELLS - 1))
    segments = (Cell("overlap", 500_000, None), *_parts("segment", SEGMENTS))
    sums = tuple(Cell(f"sum:spend:{cell.name}", cell.exact * 9_999, cell.name, "spend") for cell in segments)
    within = len(segments)
    return (
        Job(f"{CELLS:,} cells", table, _mechanism(2)),
        Job(f"{SEGMENTS:,} segments", segments, _mechanism(within)),
        Job(f"{SEGMENTS:,} segments with sums", segments + sums, _mechanism(2 * within, sum_l0=within)),
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


def measure() -> dict[str, Any]:
    """Time every job and its bare draws, in turns."""
    found: list[dict[str, Any]] = []
    for job in jobs():
        release, draw = through_the_gate(job), bare(job)
        seconds: dict[str, list[float]] = {"cleanroom": [], "opendp": []}
        for run in range(RUNS + 1):
            released = timed(release)
            drawn = timed(draw)
            if run:  # the first one warms both up
                seconds["cleanroom"].append(released)
                seconds["opendp"].append(drawn)
        medians = {side: statistics.median(runs) for side, runs in seconds.items()}
        found.append(
            {
                "job": job.name,
                "figures": len(job.cells),
                "vector_draws": vectors(job),
                "seconds": seconds,
                "medians": medians,
                "ratio": medians["cleanroom"] / medians["opendp"],
            }
        )
    return {
        "jobs": found,
        "within_a_second": found[0]["medians"]["cleanroom"] < MOST_SECONDS,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("cleanroom", "opendp")},
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg()[0],
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.release", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    found = measure()
    if parser.parse_args().json:
        print(json.dumps(found, indent=2))
        return
    for job in found["jobs"]:
        medians = job["medians"]
        drawn = " + ".join(f"{size:,}" for size in job["vector_draws"])
        print(
            f"{job['job']:26} {medians['cleanroom'] * 1e3:6.1f} ms; bare OpenDP {medians['opendp'] * 1e3:6.1f} ms; "
            f"ratio {job['ratio']:.2f}; drawn at once: {drawn}"
        )
    for part in ("versions", "machine"):
        print(f"{part:26} " + ", ".join(f"{name} {value}" for name, value in found[part].items()))


if __name__ == "__main__":
    main()
