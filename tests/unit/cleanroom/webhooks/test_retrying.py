"""Deliveries are tried again ever later, for about a day, and not all at the same moment."""

from datetime import timedelta

import pytest

from cleanroom.webhooks.retrying import LONGEST_DELAY, MAX_ATTEMPTS, delay_after


def test_each_delay_is_four_times_the_last_up_to_six_hours() -> None:
    seconds = [delay_after(n, spread=0.5).total_seconds() for n in range(1, MAX_ATTEMPTS)]
    assert seconds == [5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600, 21600]
    assert timedelta(hours=24) < timedelta(seconds=sum(seconds)) < timedelta(hours=27)
    assert delay_after(10**6, spread=0.5) == LONGEST_DELAY


def test_delays_are_spread_by_a_quarter() -> None:
    assert delay_after(3, spread=0) == timedelta(seconds=60)
    assert delay_after(3, spread=1) == timedelta(seconds=100)
    drawn = {delay_after(3) for _ in range(100)}
    assert len(drawn) > 50
    assert timedelta(seconds=60) <= min(drawn) <= max(drawn) <= timedelta(seconds=100)


@pytest.mark.parametrize(("asked", "seconds"), [(0, 5), (60, 60), (10**9, 21600)])
def test_a_receiver_may_ask_for_more_time_but_not_for_ever(asked: int, seconds: int) -> None:
    assert delay_after(1, asked=timedelta(seconds=asked), spread=0.5) == timedelta(seconds=seconds)
