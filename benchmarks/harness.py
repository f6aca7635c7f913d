"""What all benchmarks share: sides that work in turns, memory in a process of its own, and one form of result."""

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cleanroom.bootstrap import init_room, open_room
from cleanroom.room import Room
from cleanroom.settings import load_settings

RUNS = 5
OURS = "cleanroom"
PACKAGES = ("cleanroom", "cryptography", "datafusion", "duckdb", "numpy", "opendp", "polars", "polars-hash")


@dataclass(frozen=True)
class Side:
    """One of those that do the same job.

    Attributes:
        name: such as `duckdb`.
        work: does the job of a run; what it returns is compared with the other sides'.
        left_out: what the job does not cover on this side.
    """

    name: str
    work: Callable[[int], object]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taken:
    """What a side returns that has timed itself, as one in another process does."""

    seconds: float
    made: object


class CountsDifferError(Exception):
    """Two sides did not come to the same counts, so their times cannot be compared."""


def in_turns(
    sides: Sequence[Side],
    *,
    runs: int = RUNS,
    warm_up: int = 1,
    check: Callable[[int, Mapping[str, Any]], None] | None = None,
) -> dict[str, list[float]]:
    """Let all sides do every run, one after the other, who begins changing from run to run.

    Args:
        sides: who works.
        runs: how many times are kept.
        warm_up: how many runs come first and are not kept.
        check: gets the number of a run and what each side returned; raises when that differs.

    Returns:
        The seconds of each side.
    """
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    # What was needed to get here is not collected on somebody's time.
    gc.collect()
    for run in range(warm_up + runs):
        made = {}
        for side in sides if run % 2 == 0 else sides[::-1]:
            started = time.perf_counter()
            found = side.work(run)
            taken = time.perf_counter() - started
            if isinstance(found, Taken):
                found, taken = found.made, found.seconds
            made[side.name] = found
            if run >= warm_up:
                seconds[side.name].append(taken)
        if check:
            check(run, made)
    return seconds


def spread(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the median of some times, their range, and the times themselves."""
    return {
        "median": statistics.median(seconds),
        "low": min(seconds),
        "high": max(seconds),
        "runs": list(seconds),
    }


def compared(
    benchmark: str,
    sides: Sequence[Side],
    seconds: Mapping[str, Sequence[float]],
    *,
    floor: str | None = None,
    peak_mb: Mapping[str, float] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Put a benchmark's result together; every benchmark prints one like it.

    Args:
        benchmark: its name.
        sides: the first is ours, the second the baseline.
        seconds: of each side, run by run.
        floor: the side that shows how little time the job needs at all.
        peak_mb: memory of each side in a process of its own.
        more: whatever else was found.

    Returns:
        What `--json` prints. Counts are equal, or there is no result.
    """
    ours, baseline = sides[0].name, sides[1].name if len(sides) > 1 else None
    spreads = {name: spread(found) for name, found in seconds.items()}
    found: dict[str, Any] = {
        "benchmark": benchmark,
        "ours_s": spreads[ours]["median"],
        "baseline": baseline,
        "baseline_s": spreads[baseline]["median"] if baseline else None,
        "ratio": None,
        "ratio_range": None,
        "floor": floor,
        "floor_s": spreads[floor]["median"] if floor else None,
        "peak_mb": dict(peak_mb or {}),
        "counts_equal": True,
        "spread": spreads,
        "left_out": {side.name: list(side.left_out) for side in sides},
    }
    if baseline:
        pairs = [one / other for one, other in zip(seconds[ours], seconds[baseline], strict=True)]
        found["ratio"] = found["ours_s"] / found["baseline_s"]
        found["ratio_range"] = [min(pairs), max(pairs)]
    return {**found, **more, **surroundings()}


def surroundings() -> dict[str, Any]:
    """Return when, where and with which versions something was measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.release().partition('-')[0]}",
            "load_average": round(os.getloadavg()[0], 1),
        },
    }


def processor() -> str:
    """Return the processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def memory_mb(field: str = "VmRSS", *, pid: int | None = None) -> float:
    """Return what a process holds now, or with `VmHWM` the most it held since the mark was set back.

    Args:
        field: one of /proc's.
        pid: of the process; this one when not given.
    """
    try:
        lines = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        # Elsewhere than on Linux there is but one mark, for the process's whole life.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def peak_of(work: Callable[[], object]) -> dict[str, float]:
    """Do a piece of work once and return seconds, the memory held before it, and the most held during it."""
    with suppress(OSError):
        # 5 sets the high-water mark back to what is held now.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = memory_mb()
    seconds = timed(work)
    return {"seconds": seconds, "before_mb": before, "peak_mb": memory_mb("VmHWM")}


def in_own_process(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call a module's function in a fresh process.

    Args:
        function: at the top of an importable module.
        arguments: plain data.

    Returns:
        What it returns, which must be plain data.
    """
    # A module that is run as a program is called `__main__`; its specification knows its name.
    module = function.__globals__["__spec__"].name
    code = (
        "import json, sys\n"
        f"from {module} import {function.__name__} as work\n"
        "print(json.dumps(work(**json.loads(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def new_room(directory: Path, name: str = "home", **settings: str) -> Iterator[Room]:
    """Make a room in a directory and close it afterwards.

    Args:
        directory: where its home goes.
        name: of its home.
        settings: variables such as `CLEANROOM_MEMORY_BYTES`.
    """
    room = init_room(load_settings(settings, home=directory / name))
    try:
        yield room
    finally:
        room.close()


@contextmanager
def kept_room(home: str) -> Iterator[Room]:
    """Open a room that another process has made, with the usual settings, and close it afterwards."""
    room = open_room(load_settings({}, home=Path(home)))
    try:
        yield room
    finally:
        room.close()


def arguments(module: str, about: str | None, **sizes: tuple[int, str]) -> argparse.ArgumentParser:
    """Return a benchmark's command line: its sizes, with their defaults and meanings, and `--json`."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=about)
    for name, (default, meaning) in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning} ({default:,})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def show(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result, for programs or for people."""
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for side, times in found["spread"].items():
        print(
            f"{side:12} median {times['median']:.4f} s of {len(times['runs'])} "
            f"({times['low']:.4f} to {times['high']:.4f})"
            + (f", peak {found['peak_mb'][side]:,.0f} MB" if side in found["peak_mb"] else "")
        )
    for side, left_out in found["left_out"].items():
        print("".join(f"{'':12} {side} leaves out {what}\n" for what in left_out), end="")
    if found["ratio"] is not None:
        low, high = found["ratio_range"]
        print(
            f"ratio        {found['ratio']:.3g} of {found['baseline']} (run by run {low:.3g} to {high:.3g})"
        )
    for part in ("versions", "machine"):
        print(f"{part:12} " + ", ".join(f"{name} {value}" for name, value in found[part].items()))
