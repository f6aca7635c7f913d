"""Patterns in time: bursts within a window, and hours that are not somebody's own."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.alarms.patterns import FORGET_AT, LEAST_DAYS, LEAST_EVENTS, Habit, burst, outside

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def at_work(days: int, *, per_day: int = 8, first_hour: int = 9) -> Habit:
    habit = Habit()
    for day in range(days):
        for step in range(per_day):
            habit = habit.seen(MONDAY + timedelta(days=day, hours=first_hour + step))
    return habit


def test_a_burst_is_complete_at_its_limit_and_counting_begins_anew() -> None:
    kept: list[float] = []
    fired = []
    for second in range(10):
        kept, complete = burst(kept, second, window=60, limit=5)
        fired.append(complete)
    assert fired == [False, False, False, False, True] * 2


def test_what_lies_outside_the_window_does_not_count() -> None:
    kept: list[float] = []
    for minute in range(50):
        kept, complete = burst(kept, minute * 60, window=120, limit=3)
        assert not complete
        assert len(kept) <= 2


@given(st.lists(st.integers(0, 500), max_size=60), st.integers(1, 8), st.integers(1, 100))
def test_a_burst_is_found_just_when_so_many_lie_in_one_window(
    gaps: list[int], limit: int, window: int
) -> None:
    kept: list[float] = []
    since: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        since.append(now)
        kept, complete = burst(kept, now, window=window, limit=limit)
        assert complete == (sum(one > now - window for one in since) >= limit)
        if complete:
            since = []


def test_a_habit_makes_the_night_unusual_and_not_the_edges_of_the_day() -> None:
    habit = at_work(LEAST_DAYS + 1)
    assert [hour for hour in range(24) if habit.unusual(hour)] == [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        18,
        19,
        20,
        21,
        22,
        23,
    ]


@pytest.mark.parametrize("habit", [Habit(), at_work(LEAST_DAYS - 1), at_work(LEAST_DAYS, per_day=4)])
def test_without_a_history_no_hour_is_unusual(habit: Habit) -> None:
    assert habit.days < LEAST_DAYS or sum(habit.counts) < LEAST_EVENTS
    assert not any(habit.unusual(hour) for hour in range(24))


def test_one_busy_day_is_no_habit() -> None:
    habit = Habit()
    for minute in range(400):
        habit = habit.seen(MONDAY + timedelta(hours=9, minutes=minute))
    assert not habit.unusual(3)


def test_somebody_who_asks_round_the_clock_has_no_odd_hours() -> None:
    habit = Habit()
    for hour in range(24 * 20):
        habit = habit.seen(MONDAY + timedelta(hours=hour))
    assert not any(habit.unusual(hour) for hour in range(24))


def test_a_habit_can_change_and_survives_being_written_down() -> None:
    habit = at_work(30)
    for _ in range(FORGET_AT):
        habit = habit.seen(MONDAY + timedelta(hours=3))
    assert not habit.unusual(3)
    assert sum(habit.counts) < FORGET_AT
    assert Habit.from_data(habit.to_data()) == habit
    assert Habit.from_data({}) == Habit()


@pytest.mark.parametrize(
    ("opens", "closes", "odd"),
    [
        (7, 22, {0, 1, 2, 3, 4, 5, 6, 22, 23}),
        (0, 24, set()),
        (22, 6, set(range(6, 22))),
    ],
)
def test_a_window_of_the_day_may_span_midnight(opens: int, closes: int, odd: set[int]) -> None:
    assert {hour for hour in range(24) if outside(hour, opens, closes)} == odd
