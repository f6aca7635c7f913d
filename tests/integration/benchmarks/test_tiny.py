"""Every benchmark at a tiny size: it runs, its sides agree, and it says all that a result has to say."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import (
    consents,
    ingest,
    match,
    over_http,
    pages,
    prepare,
    psi,
    release,
    scale,
    segments,
    serve,
)
from benchmarks.harness import OURS, CountsDifferError
from benchmarks.questions import Counts

PEOPLE, WANTED = 10_000, 2_000
KEYS = {
    "benchmark", "ours_s", "baseline", "baseline_s", "ratio", "ratio_range", "floor", "floor_s", "peak_mb",
    "counts_equal", "spread", "left_out", "versions", "machine", "date",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # A process of its own takes a second to start; that it works has a test of its own.
    def call(function: Callable[..., Any], **arguments: Any) -> Any:
        return function(**json.loads(json.dumps(arguments)))

    for module in (ingest, match, over_http, prepare, segments, serve):
        monkeypatch.setattr(module, "in_own_process", call)


def complete(found: dict[str, Any], *more: str) -> bool:
    assert found.keys() >= KEYS | set(more)
    json.dumps(found)
    assert found["counts_equal"] is True
    assert found["left_out"].keys() == found["spread"].keys()
    assert found["machine"]["cores"]
    assert "duckdb" in found["versions"]
    return found["ours_s"] > 0


@pytest.mark.slow
def test_consents() -> None:
    found = consents.measure(PEOPLE, WANTED, 1_000, runs=1)
    assert complete(found, "cold", "batch_s", "single_s", "overlay_bytes")
    # Two full overlays at most, and what came after them.
    assert found["overlay_bytes"] < 3 * 1_000 * 17 + 12 * 32


def test_match() -> None:
    found = match.measure(PEOPLE, WANTED, cold=True, runs=1, tenth=True)
    assert complete(found, "overlap", "duckdb_form", "ingest_s", "tenth_s")
    assert found["spread"].keys() == {OURS, "duckdb", "polars", found["floor"]}
    assert found["cold"]["ratio"] > 0
    assert found["memory"].keys() == {"columns_mb", "peak_above_start_mb", "ratio"}
    assert found["peak_mb"].keys() == {OURS, "duckdb"}


@pytest.mark.slow
def test_match_by_two_keys() -> None:
    found = match.measure(PEOPLE, WANTED, keys=2, runs=1)
    assert complete(found)
    assert found["keys"] == ["email", "phone"]


def test_match_stops_where_the_counts_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "from_cube", lambda _cube, _segments: Counts(1, ()))
    with pytest.raises(CountsDifferError, match="The room and"):
        match.measure(PEOPLE, WANTED, runs=1, polars=False)


@pytest.mark.slow
def test_private_set_intersection() -> None:
    pytest.importorskip("private_set_intersection")
    assert complete(psi.measure(1_000), "rows")


@pytest.mark.slow
def test_segments() -> None:
    found = segments.measure(PEOPLE, WANTED, runs=1, count=30)
    # A difference of two times: at this size, on a busy machine, it can be below nothing.
    complete(found, "times_faster", "through_the_room", "joins_measured")
    assert found["segments"] == 30


def test_segments_are_distinct_and_each_run_asks_a_new_one() -> None:
    one, two = (segments.thousand(run) for run in (0, 1))
    assert len({segment.sql for segment in one.values()}) == len(one) == 1_000
    assert one["new"] != two["new"]


def test_ingest() -> None:
    found = ingest.measure(3_000, runs=1)
    assert complete(found, "rows_per_s", "prepare_s", "file_mb", "memory_setting_mb")


@pytest.mark.slow
def test_prepare() -> None:
    found = prepare.measure(3_000, runs=1)
    assert complete(found, "rows_per_s", "baseline_rows_per_s")
    assert found["dirty"]["rows_kept"] == found["dirty"]["rows"] * 7 / 8


def test_prepare_stops_where_the_digests_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = prepare.bare
    monkeypatch.setattr(prepare, "bare", lambda path: bare(path).reverse())
    with pytest.raises(CountsDifferError, match="digests of email"):
        prepare.measure(500, runs=1)


@pytest.mark.slow
def test_release() -> None:
    found = release.measure(runs=1, smaller=20)
    assert complete(found, "jobs")
    assert [job["vector_draws"] for job in found["jobs"]] == [[43], [500], [51], [51, 51]]


@pytest.mark.slow
def test_serve() -> None:
    found = serve.measure(2_000, wanted=1_200, per_second=20, seconds=0.2, runs=1)
    assert complete(found, "at_rate", "over_http")
    for rate in (found["at_rate"], found["over_http"]):
        assert rate["given_up"] == 0
        assert 0 < rate["p50_s"] <= rate["p99_s"]


def test_serving_stops_where_the_answer_is_not_a_stored_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_http.Caller, "__call__", lambda *_request: (202, b"{}"))
    with pytest.raises(over_http.UnexpectedAnswerError, match="202"):
        over_http.keep_asking("http://127.0.0.1:9", "", "{}", per_second=10, seconds=0.1)


@pytest.mark.slow
def test_pages() -> None:
    found = pages.measure(20, requests=200, runs=1)
    assert complete(found, "page_s", "slowest_s", "sent_bytes", "most_bytes")
    assert {"/", "/datasets", "/requests", "/clients", "/keys"} <= found["page_s"].keys()
    assert found["written"]["entitlement_requests"] == found["written"]["usage_records"] == 200
    assert 20_000 < found["most_bytes"] < 200_000


@pytest.mark.slow
def test_scale() -> None:
    found = scale.measure((11_000, 22_000), runs=1)
    assert complete(found, "points", "growth", "steepest", "beside_the_largest")
    assert [point["rows"] for point in found["points"]] == [11_000, 22_000]
