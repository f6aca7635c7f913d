"""The noise of sums is what it is said to be: its distribution, its intervals, and what it lets an attacker learn.

Every test here raises a false alarm in less than one of a million runs: the limits are quantiles at 1e-7 or below.
"""

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy import stats

from cleanroom.release import gate
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.ratios import ratios
from cleanroom.release.types import Cell, Mechanism
from policies.accounting import MICRO, advantage
from policies.attributes import AttributeInfo

GAMES, MANY = 10_000, 100_000
ALARM = 1e-7
# A count and a sum, of which one person can move the sum by 5,000.00: a quarter of the standard cap.
SPEND = AttributeInfo("decimal", scale=2, clamp=(-20_000, 500_000))
RHO_MICRO = 25_000


def mechanism_for(info: AttributeInfo, *, rho_micro: int = RHO_MICRO) -> Mechanism:
    return plan_mechanism(
        l0=2, rho_micro=rho_micro, minimum_audience=0, round_to=1, sums={"spend": info}, sum_l0=1
    )


def played(mechanism: Mechanism, *, people: int, total: int, games: int) -> tuple[np.ndarray, np.ndarray]:
    """Release the count and the sum of the same people many times over; the values shown."""
    counts = [Cell(f"{at}", people, None) for at in range(games)]
    sums = [Cell(f"sum:spend:{at}", total, f"{at}", "spend") for at in range(games)]
    # Through the module, so that a planted fault takes effect.
    figures = gate.release_cells([*counts, *sums], mechanism)
    values = np.array([figure.value for figure in figures], float)
    return values[:games], values[games:]


def less_noise(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Plant a fault: sums get only a part of their noise."""
    add_noise = gate.add_noise
    monkeypatch.setattr(
        gate,
        "add_noise",
        lambda exact, *, sigma: add_noise(exact, sigma=sigma * factor if sigma > 100 else sigma),
    )


def p_value_of_the_noise(games: int, *, factor: float = 1.0) -> float:
    """Hold the sums' noise against the exact discrete Gaussian of sigma times the bound, in cells of 20 draws."""
    made = mechanism_for(AttributeInfo("integer", clamp=(0, 3)), rho_micro=MICRO // 4)
    sigma = made.sigma * 3 * factor
    _, sums = played(made, people=10_000, total=15_000, games=games)
    reach = int(12 * sigma)
    weights = np.array([exp(-x * x / (2 * sigma * sigma)) for x in range(-reach, reach + 1)])
    expected = weights / weights.sum() * games
    found = np.bincount((sums - 15_000).astype(int) + reach, minlength=expected.size)
    inner = expected >= 20
    outer = [expected[~inner].sum()], [found[~inner].sum()]
    wanted, drawn = np.append(expected[inner], outer[0]), np.append(found[inner], outer[1])
    return float(stats.chisquare(drawn, wanted * (drawn.sum() / wanted.sum())).pvalue)


def test_the_noise_of_a_sum_is_the_discrete_gaussian_in_units_of_one_persons_bound():
    assert p_value_of_the_noise(GAMES) > ALARM
    assert p_value_of_the_noise(GAMES, factor=0.8) < 1e-20


@pytest.mark.slow
def test_a_hundred_thousand_draws_of_a_sum_follow_the_exact_distribution():
    assert p_value_of_the_noise(MANY) > ALARM


def at_least(share: float, games: int) -> float:
    """What a true share comes out as at least, but once in ten million runs (Hoeffding)."""
    return share - sqrt(log(1 / ALARM) / (2 * games))


def covered(games: int, *, people: int, total: int) -> tuple[float, float]:
    """How often the interval of a sum holds the exact sum, and that of a mean the exact mean."""
    made = mechanism_for(SPEND)
    sums, means = 0, 0
    for _ in range(games // 1_000):
        counts = [Cell(f"segment:{at}", people, "overlap") for at in range(1_000)]
        totals = [Cell(f"sum:spend:{cell.name}", total, cell.name, "spend") for cell in counts]
        figures = gate.release_cells([Cell("overlap", 10 * people, None), *counts, *totals], made)
        sums += sum(
            figure.interval95[0] <= total <= figure.interval95[1]
            for figure in figures
            if figure.scale is not None
        )
        found = [
            ratio
            for ratio in ratios(figures, base_persons=1, sums=made.sums)
            if ratio.name.startswith("mean:")
        ]
        assert len(found) == 1_000
        means += sum(ratio.interval95[0] <= total / people <= ratio.interval95[1] for ratio in found)
    return sums / games, means / games


# An ordinary sum; one at the bound, where the value shown is clipped; few people, and few who all owe.
CASES = [(3_000, 600_000_000), (3_000, 1_500_000_000), (60, 15_000_000), (60, -1_200_000)]


@pytest.mark.parametrize(("people", "total"), CASES)
def test_intervals_of_sums_and_means_hold_in_ninety_five_of_a_hundred_answers(people, total):
    sums, means = covered(GAMES // 5, people=people, total=total)

    assert sums >= at_least(0.95, GAMES // 5)
    assert means >= at_least(0.95, GAMES // 5)


@pytest.mark.slow
@pytest.mark.parametrize(("people", "total"), CASES)
def test_intervals_of_sums_hold_at_length_and_are_not_wider_than_they_have_to_be(people, total):
    sums, means = covered(MANY, people=people, total=total)

    assert sums >= at_least(0.95, MANY)
    assert means >= at_least(0.95, MANY)
    assert sums <= 0.95 + 0.01 + sqrt(log(1 / ALARM) / (2 * MANY))


def test_an_interval_in_units_of_the_wrong_bound_would_be_caught(monkeypatch):
    half_width = gate.half_width
    monkeypatch.setattr(gate, "half_width", lambda sigma, round_to=1: half_width(sigma * 0.7, round_to))

    assert covered(GAMES // 5, people=3_000, total=600_000_000)[0] < at_least(0.95, GAMES // 5)


def gained(games: int, *, count_too: bool) -> float:
    """Tell from a sum, perhaps with the count of its people, whether one big spender is there; the advantage."""
    made = mechanism_for(SPEND)
    rates = []
    for present in (1, 0):
        counts, sums = played(
            made, people=5_000 + present, total=1_000_000_000 + present * SPEND.largest, games=games
        )
        # Either is known to one sigma, so both count alike.
        evidence = (sums - 1_000_000_000) / SPEND.largest + count_too * (counts - 5_000)
        rates.append(float((evidence > (1 + count_too) / 2).mean()))
    return rates[0] - rates[1]


def test_a_count_and_a_sum_together_tell_no_more_about_one_person_than_their_common_price(monkeypatch):
    # Either rate is off by more than half of this less than once in a million runs.
    margin = 2 * sqrt(log(4e6) / (2 * GAMES))

    assert gained(GAMES, count_too=True) <= advantage(RHO_MICRO / MICRO) + margin

    less_noise(monkeypatch, 1 / 5)
    assert gained(GAMES, count_too=False) > advantage(RHO_MICRO / MICRO) + margin
