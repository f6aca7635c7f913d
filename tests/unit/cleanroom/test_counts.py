"""Counters that processes share count as the library's own do in one."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from cleanroom import counts
from cleanroom.counts import Counts

BEGIN = 1_700_000_040.0
STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 70), st.integers(1, 3)), max_size=40)


@given(STEPS, st.integers(1, 12))
def test_a_sliding_window_lets_through_what_the_librarys_memory_does(
    steps: list[tuple[str, float, int]], limit: int
) -> None:
    item, now = RateLimitItemPerMinute(limit), BEGIN
    ours, theirs = (SlidingWindowCounterRateLimiter(storage) for storage in (Counts(), MemoryStorage()))
    with pytest.MonkeyPatch.context() as patch:
        # Both read the clock of this module.
        patch.setattr(time, "time", lambda: now)
        for who, later, cost in steps:
            now += later
            assert ours.test(item, who, cost=cost) == theirs.test(item, who, cost=cost)
            assert ours.hit(item, who, cost=cost) == theirs.hit(item, who, cost=cost)
            mine, other = (limiter.get_window_stats(item, who) for limiter in (ours, theirs))
            assert mine.remaining == other.remaining
            assert mine.reset_time == pytest.approx(other.reset_time)


def test_those_that_share_a_file_count_together(tmp_path: Path) -> None:
    item, place = RateLimitItemPerMinute(5), tmp_path / "counts.sqlite3"
    limiters = [SlidingWindowCounterRateLimiter(Counts(place)) for _ in range(3)]
    let_through = [limiters[number % 3].hit(item, "client") for number in range(12)]
    assert sum(let_through) == 5
    assert [limiter.get_window_stats(item, "client").remaining for limiter in limiters] == [0, 0, 0]
    assert limiters[0].hit(item, "another")


def test_what_has_ended_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_SWEEP_EVERY", 3)
    now, kept = BEGIN, Counts()
    monkeypatch.setattr(time, "time", lambda: now)
    assert [kept.incr("a", 10), kept.incr("a", 10, 4), kept.get("a"), kept.get("b")] == [1, 5, 5, 0]
    assert (kept.get_expiry("a"), kept.get_expiry("b")) == (BEGIN + 10, BEGIN)
    now += 11
    assert kept.get("a") == 0
    kept.incr("b", 10)
    assert kept.reset() == 1
    assert kept.incr("a", 10) == 1
    kept.clear("a")
    assert (kept.get("a"), kept.check()) == (0, True)


def test_a_window_can_be_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: BEGIN)
    limiter, item = SlidingWindowCounterRateLimiter(Counts()), RateLimitItemPerMinute(1)
    assert [limiter.hit(item, "a"), limiter.hit(item, "a")] == [True, False]
    limiter.clear(item, "a")
    assert limiter.hit(item, "a")
