"""The results page, made of the results; nothing on it is typed by hand."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.harness import OURS
from benchmarks.plots import Bar, bars, lines
from benchmarks.targets import TARGETS, Results

QUESTIONS = {"match": "one key", "keys": "two keys", "large": "one key"}
_HEAD = """\
# Performance

<!-- Written by `python -m benchmarks.report`; change benchmarks/page.py or measure again. -->

How long a question takes beside the raw limit: DuckDB joining the same people as plaintext in memory, with no privacy
at all. [Benchmarks](../reference/benchmarks.md) says how to measure it yourself; [the results](performance.json) have
every single time.
"""
_METHOD = """\
## How it was measured

- All sides of a comparison ran in one process in turns, who began changing from run to run. The first run warmed up and
  was not kept; the medians of the others are compared, and the range is that of the single runs.
- After every run the exact counts of all sides were compared, and the benchmark stops where they differ. They come from
  the engine alone, outside the timed path: what an advertiser gets is noised.
- Every baseline is in its best form: of the ways to write a join DuckDB's fastest on this machine was taken, its tables
  lie in memory with 128-bit tokens and one-byte attributes, it uses all cores, and it groups by what the whole question
  can be read from, rather than counting each segment on its own.
- Cold means a fresh process that stands ready as a server does before its first request: the program loaded and warmed
  up, the room open, the files in the page cache and none of them read. DuckDB's side of
  that comparison stays warm, with its tables in memory.
- Memory is the most a fresh process ever held. What the room's process takes above the program itself is set against
  the bytes of the columns that the question is about.
- The floor is a merge written in C: both sides sorted beforehand, half of each token, consent folded into the cells.
"""


def page(results: Results) -> str:
    """Return the page; what was not measured is left out, and its targets say so."""
    parts = [_HEAD, _place(results), _targets(results), *(_image(name) for name in plots(results))]
    sections: dict[Callable[[Results], str], set[str]] = {
        _questions: {"match"},
        _segments: {"segments"},
        _files: {"ingest", "prepare"},
        _release: {"release"},
        _serve: {"serve"},
        _pages: {"pages"},
        _psi: {"psi"},
        _growth: {"scale"},
    }
    parts += [section(results) for section, needed in sections.items() if needed <= results.keys()]
    return "\n".join([*parts, _METHOD, _left_out(results)])


def _place(results: Results) -> str:
    first = next(iter(results.values()))
    machine, versions = first["machine"], first["versions"]
    loads = [found["machine"]["load_average"] for found in results.values()]
    busy = " Other work was going on: times are longer than need be, and ratios less sure."
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"Measured on {first['date'][:10]}: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}; {named}. The machine's load was {min(loads)} to "
        f"{max(loads)}, this work included.{busy if max(loads) > 2 * machine['cores'] else ''}\n"
    )


def _targets(results: Results) -> str:
    rows = []
    for target in TARGETS:
        figure = target.figure(results)
        what = f"{target.what} ({target.note})" if target.note else target.what
        verdict = target.verdict(figure)
        shown = verdict if verdict.startswith("met") else f"**{verdict}**"
        rows.append((what, target.shown(figure), target.limit(target.must), target.limit(target.goal), shown))
    figures = [target.figure(results) for target in TARGETS]
    met = sum(target.holds(figure, target.must) for target, figure in zip(TARGETS, figures, strict=True))
    missing = f"; {figures.count(None)} were not measured" if None in figures else ""
    table = _table(("what", "measured", "limit", "goal", ""), rows)
    return f"## Targets\n\n{met} of {len(TARGETS)} are met{missing}.\n\n{table}"


def _image(name: str) -> str:
    return f"![{_PLOTS[name]}](../img/{name})\n"


def _questions(results: Results) -> str:
    rows = []
    questions = {name: results[name] for name in QUESTIONS if name in results}
    for name, found in questions.items():
        keys = QUESTIONS[name]
        size = f"{found['provider_rows']:,} x {found['base_rows']:,}, {keys}"
        for side, times in found["spread"].items():
            memory = f"{found['peak_mb'][side]:,.0f} MB" if side in found["peak_mb"] else ""
            ratio = f"{found['ours_s'] / times['median']:.2f}" if side != OURS else ""
            rows.append((size, side, _seconds(times), ratio, memory))
        if cold := found.get("cold"):
            rows.append(
                (
                    size,
                    f"{OURS}, cold",
                    _seconds(cold["spread"][OURS]),
                    f"{cold['ratio']:.2f} (to duckdb)",
                    "",
                )
            )
    table = _table(("size", "side", "median (range)", "ours to it", "peak memory"), rows)
    forms = {found["duckdb_form"] for found in questions.values()}
    return (
        f"## One question\n\nAn overlap, 12 segments and a profile by sex, age band and city, "
        f"through `analyses.ask`: from the decision to the written receipt. DuckDB's fastest forms of the "
        f"join (benchmarks/plain.py has all): {', '.join(f'`{form}`' for form in sorted(forms))}.\n\n{table}"
    )


def _segments(results: Results) -> str:
    found = results["segments"]
    rows = [(side, _seconds(times)) for side, times in found["spread"].items()]
    whole = found["through_the_room"]
    rows.append(("the whole question through the room", _seconds(whole["with"])))
    rows.append(("the same with one segment", _seconds(whole["without"])))
    return (
        f"## A thousand segments\n\n{found['segments']:,} conditions on {found['matched']:,} matched people. "
        f"{found['joins_measured']} of the joins were measured and scaled.\n\n"
        f"{_table(('side', 'median (range)'), rows)}"
    )


def _files(results: Results) -> str:
    ingest, prepare = results["ingest"], results["prepare"]
    dirty = prepare["dirty"]
    rows = []
    for name, found in (("taking in", ingest), ("preparing", prepare)):
        for side, times in found["spread"].items():
            rate = f"{found['rows'] / times['median']:,.0f}"
            rows.append((name, side, _seconds(times), rate, f"{found['peak_mb'][side]:,.0f} MB"))
    rows.append(
        (
            "preparing dirty telephone numbers",
            OURS,
            _seconds(dirty["spread"]),
            f"{dirty['rows_per_s']:,.0f}",
            "",
        )
    )
    rows.append(("the same", "libphonenumber", "", f"{dirty['libphonenumber_rows_per_s']:,.0f}", ""))
    table = _table(("what", "side", "median (range)", "rows/s", "peak memory"), rows)
    return (
        f"## Files\n\nTaking in: {ingest['rows']:,} people from a CSV of 11 columns and {ingest['file_mb']:,.0f} MB, "
        f"prepared in {ingest['prepare_s']:.1f} s, {'with' if ingest['person_id'] else 'without'} a person's id; "
        f"memory setting {ingest['memory_setting_mb']:,.0f} MB. Preparing: {prepare['rows']:,} people with raw e-mail "
        f"address and telephone number; dirty: {dirty['rows']:,} numbers as people type them, of which "
        f"{dirty['rows_kept']:,} are numbers; libphonenumber alone was measured on "
        f"{dirty['libphonenumber_measured']:,}.\n\n{table}"
    )


def _release(results: Results) -> str:
    rows = [
        (job["job"], *(_seconds(job["spread"][side]) for side in (OURS, "opendp")), f"{job['ratio']:.2f}")
        for job in results["release"]["jobs"]
    ]
    head = ("figures", "through the gate", "bare OpenDP", "ratio")
    return f"## Noise\n\n{_table(head, rows)}"


def _serve(results: Results) -> str:
    serve = results["serve"]
    rates = {"through the service": serve["at_rate"]}
    # False in results that were written before there was an HTTP interface.
    if serve["over_http"]:
        rates = {"over HTTP": serve["over_http"], **rates}
    at_rate = "; ".join(
        f"{way} {rate['served_per_s']:.0f} a second were served, half within {rate['p50_s'] * 1e3:.1f} ms, 99 of 100 "
        f"within {rate['p99_s'] * 1e3:.1f} ms, {rate['given_up']} given up"
        for way, rate in rates.items()
    )
    return (
        f"## Stored answers\n\nThe same question again, through the service: {_seconds(serve['spread'][OURS])}, one "
        f"after the other; one durable commit to SQLite takes {_seconds(serve['spread']['commit'])}. At "
        f"{serve['at_rate']['asked_per_s']} a second for {serve['during_s']} s: {at_rate}.\n"
    )


def _pages(results: Results) -> str:
    pages = results["pages"]
    rows = [
        [f"`{path}`", f"{seconds * 1e3:.1f}", f"{pages['sent_bytes'][path]:,}"]
        for path, seconds in pages["page_s"].items()
    ]
    return (
        f"## The cabinet\n\nAll of these pages together take {pages['ratio']:.1f} times as long as in a room with "
        f"one of everything.\n\n{_table(['page', 'ms', 'bytes of a first visit, files included'], rows)}"
    )


def _psi(results: Results) -> str:
    psi = results["psi"]
    return (
        f"## Private set intersection\n\n{psi['rows']:,} x {psi['rows']:,}, measured once: "
        f"{psi['baseline_s']:.1f} s for the size of the overlap alone; the room's question took "
        f"{psi['ours_s']:.3f} s.\n"
    )


def _growth(results: Results) -> str:
    scale = results["scale"]
    rows = [
        (
            f"{point['rows']:,}",
            f"{point['ingest_s']:.2f} s",
            f"{statistics.median(point['question_s']):.3f} s",
        )
        for point in scale["points"]
    ]
    steps = ", ".join(
        f"{step['from']:,} to {step['to']:,}: {step['ingest']:.2f} and {step['question']:.2f}"
        for step in scale["growth"]
    )
    return (
        f"## Growth\n\nThe base has a tenth as many people as the dataset.\n\n"
        f"{_table(('people', 'taking in', 'question'), rows)}\n"
        f"Time's factor by the rows' factor, taking in and question; 1 is linear: {steps}. The smallest question took "
        f"{scale['beside_the_largest']:.2f} times its time when a dataset of {scale['beside_rows']:,} people lay in "
        "the same room.\n"
    )


def _left_out(results: Results) -> str:
    rows = []
    for name, found in results.items():
        if name in ("keys", "large"):
            continue
        rows += [(name, side, "; ".join(left)) for side, left in found["left_out"].items() if left]
    return f"## What each side leaves out\n\n{_table(('benchmark', 'side', 'leaves out'), rows)}"


def _seconds(times: Mapping[str, Any]) -> str:
    median = times["median"]
    if median < 0.1:
        low, high = times["low"] * 1e3, times["high"] * 1e3
        return f"{median * 1e3:.1f} ms ({low:.1f} to {high:.1f})"
    return f"{median:.2f} s ({times['low']:.2f} to {times['high']:.2f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lined = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lined)


_PLOTS = {
    "performance-ratios.svg": "Questions to DuckDB",
    "performance-growth.svg": "Time against rows",
    "performance-segments.svg": "A thousand segments",
}


def plots(results: Results) -> dict[str, str]:
    """Return the plots by file name, as far as they were measured."""
    drawn = {}
    if ratios := _ratios(results):
        drawn["performance-ratios.svg"] = bars("Ours to the baseline: less is faster", ratios)
    if "scale" in results:
        points = results["scale"]["points"]
        series = {
            "taking in": [(point["rows"], point["ingest_s"]) for point in points],
            "question": [(point["rows"], statistics.median(point["question_s"])) for point in points],
        }
        title = "Time against rows; dotted: linear"
        drawn["performance-growth.svg"] = lines(title, series, x="people in the dataset", y="seconds")
    if "segments" in results:
        spreads = results["segments"]["spread"]
        sides = [Bar(side, times["median"], times["low"], times["high"]) for side, times in spreads.items()]
        title = "A thousand segments on the matched people"
        drawn["performance-segments.svg"] = bars(title, sides, logarithmic=True, unit=" s")
    return drawn


def _ratios(results: Results) -> list[Bar]:
    musts = {target.path: target.must for target in TARGETS}
    found = []
    for path, label in _LABELS.items():
        name, *rest = path.split(".")
        if name in results:
            of = results[name][rest[0]] if rest[0] == "cold" else results[name]
            found.append(Bar(label, of["ratio"], *of["ratio_range"], musts[path]))
    return found


_LABELS = {
    "match.ratio": "warm, 10M x 1M",
    "match.cold.ratio": "cold, 10M x 1M",
    "large.ratio": "warm, 50M x 10M",
    "large.cold.ratio": "cold, 50M x 10M",
    "keys.ratio": "two keys, 10M x 1M",
    "ingest.ratio": "taking in, to a bare read",
}
