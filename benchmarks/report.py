"""All benchmarks in one run; `python -m benchmarks.report [--quick]`.

Without `--quick` it takes a quarter of an hour, 15 GiB of temporary disk and 8 GiB of memory, and writes the results,
the page about them and its plots under docs/. With it all sizes are small, it takes two minutes and writes nothing.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.page import page, plots
from benchmarks.scale import grown
from benchmarks.targets import TARGETS

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = "explanation/performance.json"
PAGE = "explanation/performance.md"
FULL: Mapping[str, tuple[str, ...]] = {
    "match": ("match", "--cold"),
    "keys": ("match", "--keys", "2"),
    "large": ("match", "--provider", "50000000", "--base", "10000000", "--cold", "--no-polars", "--tenth"),
    "segments": ("segments",),
    "ingest": ("ingest",),
    "prepare": ("prepare",),
    "release": ("release",),
    "serve": ("serve",),
    "pages": ("pages",),
    "psi": ("match", "--psi"),
    "scale": ("scale",),
}
QUICK: Mapping[str, tuple[str, ...]] = {
    "match": ("match", "--provider", "1000000", "--base", "100000", "--cold", "--runs", "3"),
    "keys": ("match", "--provider", "300000", "--base", "30000", "--keys", "2", "--runs", "3"),
    "segments": ("segments", "--provider", "300000", "--base", "36000", "--runs", "3"),
    "ingest": ("ingest", "--rows", "300000", "--runs", "3"),
    "prepare": ("prepare", "--rows", "200000", "--runs", "3"),
    "release": ("release", "--runs", "3"),
    "serve": ("serve", "--people", "20000", "--seconds", "3"),
    "pages": ("pages", "--datasets", "100", "--requests", "5000", "--runs", "3"),
    "scale": ("scale", "--sizes", "20000", "200000", "--runs", "3"),
}


def run(plan: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run benchmarks, each in a process of its own, and give their results by name; one that fails gives none."""
    for name, (module, *options) in plan.items():
        print(f"{name}: python -m benchmarks.{module} {' '.join(options)}", file=sys.stderr, flush=True)
        started = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{module}", *options, "--json"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{name} failed", file=sys.stderr, flush=True)
            continue
        yield name, json.loads(done.stdout) | {"wall_s": time.perf_counter() - started}


def with_the_largest(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results in their order, with the largest room's times as the last point of growth."""
    ordered = {name: results[name] for name in FULL if name in results}
    if "large" not in ordered or "scale" not in ordered:
        return ordered
    large = ordered["large"]
    last = {"rows": large["provider_rows"], "ingest_s": large["ingest_s"], "question_s": large["tenth_s"]}
    measured = [point for point in ordered["scale"]["points"] if point["rows"] < last["rows"]]
    scale = grown([*measured, last])
    return ordered | {
        "scale": ordered["scale"] | {key: scale[key] for key in ("points", "growth", "steepest")}
    }


def write(results: Mapping[str, Any], docs: Path = DOCS) -> None:
    """Write the results, the page and the plots."""
    (docs / RESULTS).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (docs / PAGE).write_text(page(results), encoding="utf-8")
    (docs / "img").mkdir(exist_ok=True)
    for name, drawn in plots(results).items():
        (docs / "img" / name).write_text(drawn + "\n", encoding="utf-8")


def main() -> None:
    """Run, write or print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, printed and not written")
    parser.add_argument("--only", nargs="+", choices=FULL, help="measure these anew and keep the rest")
    parser.add_argument(
        "--from-json", action="store_true", help="measure nothing; write the page of what is there"
    )
    options = parser.parse_args()
    if options.quick:
        done = 0
        for name, found in run(QUICK):
            compared = "" if found["ratio"] is None else f", {found['ratio']:.3g} of {found['baseline']}"
            print(
                f"{name:10} {found['ours_s']:.4f} s{compared}; took {found['wall_s']:.0f} s in all",
                flush=True,
            )
            done += 1
        sys.exit(done < len(QUICK))
    kept = (
        json.loads((DOCS / RESULTS).read_text(encoding="utf-8")) if options.only or options.from_json else {}
    )
    plan = {} if options.from_json else {name: FULL[name] for name in options.only or FULL}
    failed = set(plan)
    for name, found in run(plan):
        kept = with_the_largest({**kept, name: found})
        failed.remove(name)
        write(kept)
    write(with_the_largest(kept))
    for target in TARGETS:
        figure = target.figure(kept)
        print(
            f"{target.what:52} {target.shown(figure):>16}  {target.limit(target.must):>18}  {target.verdict(figure)}"
        )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
