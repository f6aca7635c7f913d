import json
from typing import Any

import pytest

from benchmarks import harness
from benchmarks.harness import (
    OURS,
    CountsDifferError,
    Side,
    Taken,
    compared,
    in_own_process,
    in_turns,
    peak_of,
    show,
)

KEYS = {
    "ours_s", "baseline_s", "ratio", "floor_s", "peak_mb", "counts_equal", "spread", "left_out", "versions", "machine",
    "date",
}  # fmt: skip


def result(**more: Any) -> dict[str, Any]:
    sides = [Side(OURS, lambda _run: None, ("the network",)), Side("duckdb", lambda _run: None)]
    return compared("one", sides, {OURS: [1.0, 3.0, 2.0], "duckdb": [4.0, 4.0, 5.0]}, **more)


def test_who_begins_changes_from_run_to_run_and_the_first_runs_are_not_kept() -> None:
    order: list[tuple[str, int]] = []
    sides = [Side(name, lambda run, name=name: order.append((name, run))) for name in ("a", "b")]
    seconds = in_turns(sides, runs=2, warm_up=1)
    assert order == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert [len(found) for found in seconds.values()] == [2, 2]


def test_a_side_in_another_process_times_itself() -> None:
    seen = []
    seconds = in_turns(
        [Side("a", lambda run: Taken(100.0 + run, "made"))],
        runs=2,
        check=lambda _run, made: seen.append(made["a"]),
    )
    assert seconds["a"] == [101.0, 102.0]
    assert seen == ["made"] * 3


def test_a_check_sees_every_run_and_can_stop_it() -> None:
    def check(run: int, made: Any) -> None:
        if made["a"] != made["b"]:
            raise CountsDifferError(f"run {run}")

    sides = [Side("a", lambda _run: 1), Side("b", lambda run: 1 if run < 2 else 2)]
    with pytest.raises(CountsDifferError, match="run 2"):
        in_turns(sides, runs=3, check=check)


def test_medians_are_compared_and_the_range_is_of_the_single_runs() -> None:
    found = result(floor="duckdb", rows=7)
    assert (found["ours_s"], found["baseline_s"], found["ratio"]) == (2.0, 4.0, 0.5)
    assert found["ratio_range"] == [0.25, 0.75]
    assert found["spread"][OURS] == {"median": 2.0, "low": 1.0, "high": 3.0, "runs": [1.0, 3.0, 2.0]}
    assert (found["floor_s"], found["rows"]) == (4.0, 7)
    assert found.keys() >= KEYS
    json.dumps(found)


def test_alone_there_is_no_ratio() -> None:
    found = compared("one", [Side(OURS, lambda _run: None)], {OURS: [1.0]})
    assert (found["baseline"], found["baseline_s"], found["ratio"], found["floor_s"]) == (None,) * 4


def test_a_process_of_its_own_gets_plain_data_and_gives_it_back() -> None:
    held = in_own_process(harness.memory_mb, field="VmHWM")
    assert 0 < held < 1_000


def test_the_peak_covers_what_was_held_for_a_moment_only() -> None:
    found = peak_of(lambda: bytearray(64 << 20))
    assert found["peak_mb"] - found["before_mb"] > 60
    assert found["seconds"] > 0


def test_what_is_printed_is_one_json_object_or_readable(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(peak_mb={OURS: 1_234.0})
    show(found, as_json=True)
    assert json.loads(capsys.readouterr().out) == found
    show(found, as_json=False)
    shown = capsys.readouterr().out
    for part in (
        "median 2.0000 s of 3 (1.0000 to 3.0000), peak 1,234 MB",
        "ratio        0.5 of duckdb",
        "the network",
    ):
        assert part in shown
