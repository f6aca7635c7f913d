import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.page import page, plots
from benchmarks.report import DOCS, FULL, PAGE, RESULTS, run, with_the_largest, write
from benchmarks.targets import TARGETS

SAMPLE = Path(__file__).with_name("sample.json")


@pytest.fixture(scope="module")
def results() -> Any:
    """What a run at small sizes on a busy machine found."""
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


def test_the_page_in_the_docs_is_what_its_results_say() -> None:
    results = json.loads((DOCS / RESULTS).read_text(encoding="utf-8"))
    assert (DOCS / PAGE).read_text(encoding="utf-8") == page(results)
    for name, drawn in plots(results).items():
        assert (DOCS / "img" / name).read_text(encoding="utf-8") == drawn + "\n"


def test_the_page_says_what_where_when_and_how_far(results: Any) -> None:
    text = page(results)
    for target in TARGETS:
        figure = target.figure(results)
        assert target.what in text
        assert target.shown(figure) in text
        assert target.verdict(figure) in text
    for part in (
        results["match"]["date"][:10],
        results["match"]["machine"]["processor"],
        "duckdb 2",
        "leaves out",
    ):
        assert part in text


def test_stored_answers_are_told_of_over_http_and_through_the_service(results: Any) -> None:
    text = page(results)
    assert (
        "over HTTP 200 a second were served, half within 4.2 ms, 99 of 100 within 21.3 ms, 0 given up; "
        in text
    )
    older = page({**results, "serve": {**results["serve"], "over_http": False}})
    assert "over HTTP 200 a second" not in older
    assert "through the service" in older
    assert older.count("**not measured**") == text.count("**not measured**") + 1


def test_a_missed_target_stands_out(results: Any) -> None:
    worse = {**results, "ingest": {**results["ingest"], "ratio": 3.0}}
    assert "| 3.00 | ≤ 2.5 | ≤ 1.7 | **missed by 20%** |" in page(worse)


@pytest.mark.parametrize("missing", FULL)
def test_what_was_not_measured_is_left_out_and_its_targets_say_so(results: Any, missing: str) -> None:
    less = {name: found for name, found in results.items() if name != missing}
    text = page(less)
    depending = [target for target in TARGETS if target.path.startswith(f"{missing}.")]
    assert text.count("**not measured**") == len(depending)
    assert with_the_largest(less).keys() == less.keys()
    assert all(f"](../img/{name})" in text for name in plots(less))


def test_the_plots_are_well_formed(results: Any) -> None:
    for drawn in plots(results).values():
        root = ET.fromstring(drawn)
        assert root.attrib["aria-label"]


def test_the_largest_room_is_the_last_point_of_growth(results: Any) -> None:
    large = {"provider_rows": 10**9, "ingest_s": 1e4, "tenth_s": [50.0, 70.0, 60.0]}
    grown = with_the_largest({**results, "large": large})["scale"]
    assert grown["points"][-1] == {"rows": 10**9, "ingest_s": 1e4, "question_s": [50.0, 70.0, 60.0]}
    assert grown["growth"][-1]["to"] == 10**9
    assert grown["beside_the_largest"] == results["scale"]["beside_the_largest"]


def test_results_are_written_so_that_they_can_be_read_again(results: Any, tmp_path: Path) -> None:
    (tmp_path / "explanation").mkdir()
    write(results, tmp_path)
    assert json.loads((tmp_path / RESULTS).read_text(encoding="utf-8")) == results
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == page(results)
    assert set(results) == set(FULL)


def test_a_benchmark_that_fails_does_not_end_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    # A module that does not exist fails fastest.
    assert list(run({"large": ("missing",)})) == []
    assert "large failed" in capfd.readouterr().err
