"""The noise is the discrete Gaussian that it is said to be; intervals and suppression keep their words.

Every test here raises a false alarm in less than one of a million runs: the limits are quantiles at 1e-7 or below.
"""

from math import ceil, exp, log, sqrt

import numpy as np
import pytest
from scipy import stats

from cleanroom.release import gate, mechanism
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.types import Cell

DRAWS = 200_000
ALARM = 1e-7


def pmf(sigma: float) -> dict[int, float]:
    """The exact discrete Gaussian: proportional to exp(-x^2 / 2 sigma^2) over whole numbers (CKS20)."""
    reach = ceil(40 * sigma)
    weights = {x: exp(-x * x / (2 * sigma * sigma)) for x in range(-reach, reach + 1)}
    total = sum(weights.values())
    return {x: weight / total for x, weight in weights.items()}


def chi_square(drawn: list[int], sigma: float) -> float:
    """The p-value of draws against the exact distribution, in cells of at least 20 expected draws."""
    expected: list[float] = []
    cell_of: dict[int, int] = {}
    waiting = 0.0
    for x, chance in pmf(sigma).items():
        cell_of[x] = len(expected)
        waiting += chance * len(drawn)
        if waiting >= 20:
            expected.append(waiting)
            waiting = 0.0
    expected[-1] += waiting
    cells = [min(cell_of.get(x, 0 if x < 0 else len(expected)), len(expected) - 1) for x in drawn]
    found = np.bincount(cells, minlength=len(expected))
    return float(stats.chisquare(found, np.array(expected) * (len(drawn) / sum(expected))).pvalue)


def drawn_with(sigma: float, count: int) -> list[int]:
    return mechanism.add_noise([0] * count, sigma=sigma)


def test_a_sample_of_the_noise_follows_the_exact_distribution():
    assert chi_square(drawn_with(4.0, 20_000), 4.0) > ALARM


def test_the_sample_tells_noise_that_is_a_tenth_too_small_or_rounded_from_the_normal_one_too_narrow():
    # Power: 20,000 draws of sigma 3.6 against 4 give p below 1e-40.
    assert chi_square(drawn_with(3.6, 20_000), 4.0) < 1e-20
    normal = np.rint(np.random.default_rng(1).normal(0, 3.6, 20_000)).astype(int)
    assert chi_square(normal.tolist(), 4.0) < 1e-20


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.7, 2.0, 4.0, 31.622776601683793])
def test_the_noise_is_the_exact_discrete_gaussian(sigma):
    assert chi_square(drawn_with(sigma, DRAWS), sigma) > ALARM


@pytest.mark.slow
def test_draws_of_one_question_do_not_depend_on_one_another():
    drawn = np.array(drawn_with(20.0, DRAWS), float)

    # Under independence a lagged correlation is normal with deviation 1/sqrt(n); 5.5 deviations: 4e-8 each.
    for lag in (1, 2, 7):
        correlation = float(np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1])
        assert abs(correlation) < 5.5 / sqrt(DRAWS)


def covered(exact: int, *, sigma_rho: int, round_to: int, games: int) -> float:
    """How often an interval holds the exact count, over all answers; a suppressed one counts as its noise lies."""
    made = plan_mechanism(l0=1, rho_micro=sigma_rho, minimum_audience=100, round_to=round_to)
    figures = gate.release_cells([Cell(str(at), exact, None) for at in range(games)], made)
    assert all(figure.interval95 for figure in figures)
    return sum(low <= exact <= high for low, high in (figure.interval95 for figure in figures)) / games


def at_least(share: float, games: int) -> float:
    """What a true share comes out as at least, but once in ten million runs (Hoeffding)."""
    return share - sqrt(log(1 / ALARM) / (2 * games))


@pytest.mark.parametrize("round_to", [1, 10, 50])
def test_intervals_hold_in_ninety_five_of_a_hundred_answers_rounding_included(round_to):
    # The count is far above the threshold, so that every answer is shown: the cover is unconditional.
    assert covered(5_007, sigma_rho=500, round_to=round_to, games=10_000) >= at_least(0.95, 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("round_to", [1, 7, 50])
@pytest.mark.parametrize("rho_micro", [20_000, 5_000, 500])
def test_intervals_hold_at_every_noise_and_are_not_wider_than_they_have_to_be(rho_micro, round_to):
    share = covered(5_024, sigma_rho=rho_micro, round_to=round_to, games=DRAWS)

    assert share >= at_least(0.95, DRAWS)
    if round_to == 1 and rho_micro <= 5_000:
        # Two-sided from sigma 10 on: one person more would be too wide by less than 1%.
        assert share <= 0.95 + 0.01 + sqrt(log(1 / ALARM) / (2 * DRAWS))


def test_an_interval_that_forgot_the_rounding_would_be_caught(monkeypatch):
    narrow = gate.half_width
    monkeypatch.setattr(gate, "half_width", lambda sigma, _round_to: narrow(sigma, 1) - 12)

    assert covered(5_007, sigma_rho=500, round_to=50, games=10_000) < at_least(0.95, 10_000)


def share_shown(exact: int, *, rho_micro: int, minimum: int, games: int) -> float:
    made = plan_mechanism(l0=1, rho_micro=rho_micro, minimum_audience=minimum, round_to=1)
    figures = gate.release_cells([Cell(str(at), exact, None) for at in range(games)], made)
    return sum(not figure.suppressed for figure in figures) / games


def most_shown(games: int) -> float:
    """One percent, and what chance adds to it but once in ten million runs."""
    return float(stats.binom.isf(ALARM, games, 0.01)) / games


def test_of_cells_one_below_the_minimum_one_in_a_hundred_is_shown_at_most():
    assert share_shown(99, rho_micro=500, minimum=100, games=20_000) <= most_shown(20_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rho_micro", "minimum"), [(25_000, 100), (5_000, 100), (36, 100), (500, 50), (30, 500)]
)
def test_at_most_one_percent_of_too_small_cells_are_shown_under_every_preset(rho_micro, minimum):
    assert share_shown(minimum - 1, rho_micro=rho_micro, minimum=minimum, games=DRAWS) <= most_shown(DRAWS)


def test_a_threshold_at_the_minimum_itself_would_show_one_empty_cell_in_five(monkeypatch):
    monkeypatch.setattr(gate, "suppression_threshold", lambda minimum, _sigma: minimum)

    # privacy.md's example: sigma 118, an empty cell, a minimum of 100.
    assert share_shown(0, rho_micro=36, minimum=100, games=20_000) == pytest.approx(0.2, abs=0.02)
