"""Intervals: the published formulas, and that they hold the truth as often as they say."""

import random

import pytest
from scipy import stats

from cleanroom.redteam.lab import GAMES
from cleanroom.redteam.statistics import advantage_interval, advantage_of, mean_interval, wilson
from cleanroom.redteam.types import WIDEST


@pytest.mark.parametrize(("hits", "games"), [(0, 10), (3, 10), (10, 10), (1_234, 5_000)])
@pytest.mark.parametrize("sure", [0.95, 0.999999])
def test_a_rates_interval_is_wilsons(hits, games, sure):
    known = stats.binomtest(hits, games).proportion_ci(sure, method="wilson")

    assert wilson(hits, games, sure=sure) == pytest.approx((known.low, known.high))


@pytest.mark.parametrize(
    ("counts", "published"),
    [
        # Newcombe 1998, table II, method 10: 56/70 against 48/80, 9/10 against 3/10, 10/10 against 0/10.
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((10, 10, 0, 10), (0.6075, 1.0000)),
    ],
)
def test_an_advantages_interval_is_newcombes(counts, published):
    hits, present, alarms, absent = counts

    value, interval = advantage_interval(hits, present, alarms, absent)

    assert value == pytest.approx(hits / present - alarms / absent)
    assert interval == pytest.approx(published, abs=5e-5)


def test_without_games_nothing_is_known():
    assert wilson(0, 0) == (0.0, 1.0)
    assert advantage_interval(0, 0, 0, 10) == (0.0, (-1.0, 1.0))


def test_guesses_are_counted_by_the_secret_they_are_about():
    secrets = [True, True, True, True, False, False, False, False, False]
    guesses = [True, True, True, False, True, False, False, False, False]

    assert advantage_of(secrets, guesses) == advantage_interval(3, 4, 1, 5)


def test_the_usual_number_of_games_makes_every_interval_narrow_enough():
    # The widest there is: coins.
    _, (low, high) = advantage_interval(GAMES // 4, GAMES // 2, GAMES // 4, GAMES // 2)

    assert high - low <= WIDEST


def test_a_mean_of_groups_is_held_in_about_95_of_100_intervals():
    chance = random.Random(5)
    held = 0
    for _ in range(400):
        # Members of a group agree with each other: taken one by one they would seem far more certain.
        groups = [float(chance.random() < 0.3) for _ in range(200)]
        _, (low, high) = mean_interval(groups)
        held += low <= 0.3 <= high

    assert 350 <= held <= 399
