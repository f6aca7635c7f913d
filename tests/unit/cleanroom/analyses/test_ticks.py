"""When answers are shown: by public sizes and the instant of asking alone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.analyses.ticks import UNKNOWN_PERSONS, next_look, progress, shown_at, tick_ms
from cleanroom.release.types import ReleasedFigure

ASKED = datetime(2026, 11, 30, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def size(value: int | None) -> ReleasedFigure:
    return ReleasedFigure("dataset", value, value is None, 1.0, None)


def test_a_tick_is_the_unit_doubled() -> None:
    assert tick_ms(500, base_persons=1_000, public_size=None, segments=0) == 500
    assert tick_ms(500, base_persons=1_000_000, public_size=size(10_000_000), segments=12) == 2_000
    assert tick_ms(1, base_persons=1_000, public_size=size(3_000), segments=0) == 256
    assert tick_ms(0, base_persons=1_000, public_size=size(3_000), segments=0) == 0


def test_a_size_that_was_not_released_is_not_used() -> None:
    unknown = tick_ms(100, base_persons=5, public_size=None, segments=3)
    assert unknown == tick_ms(100, base_persons=5, public_size=size(None), segments=3)
    assert unknown == tick_ms(100, base_persons=5, public_size=size(UNKNOWN_PERSONS), segments=3)


@pytest.mark.parametrize(
    ("took", "shown"), [(0, 500), (1, 500), (499, 500), (500, 500), (501, 1_000), (1_700, 2_000)]
)
def test_an_answer_is_shown_at_the_next_multiple(took: int, shown: int) -> None:
    assert shown_at(ASKED, ASKED + took * MS, 500) == ASKED + shown * MS


def test_without_a_tick_it_is_shown_when_it_is_there() -> None:
    assert shown_at(ASKED, ASKED + 17 * MS, 0) == ASKED + 17 * MS
    assert next_look(ASKED, ASKED + 3 * MS, 0) == ASKED + 3 * MS
    assert progress(ASKED, ASKED + 3 * MS, 0) == 0


@given(st.integers(0, 10**9), st.integers(1, 10**5))
def test_it_is_never_shown_before_it_is_there_and_less_than_a_tick_later(took: int, tick: int) -> None:
    finished = ASKED + timedelta(microseconds=took)
    shown = shown_at(ASKED, finished, tick)
    assert finished <= shown <= finished + tick * MS
    assert (shown - ASKED) % (tick * MS) == timedelta(0)
    assert shown > ASKED


@given(st.integers(0, 10**9), st.integers(1, 10**5))
def test_the_next_look_is_a_multiple_that_has_not_come(passed: int, tick: int) -> None:
    now = ASKED + timedelta(microseconds=passed)
    look = next_look(ASKED, now, tick)
    assert now < look <= now + tick * MS
    assert (look - ASKED) % (tick * MS) == timedelta(0)
    assert 0 <= progress(ASKED, now, tick) < 1
