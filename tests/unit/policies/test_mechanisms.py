from math import ceil

import pytest

from policies.errors import PrecisionError
from policies.mechanisms import (
    chance_suppressed,
    half_width,
    narrowest_half_width,
    rho_for,
    sigma_for,
    suppression_threshold,
)
from policies.question import Precision

CAP = 100_000


@pytest.mark.parametrize(("cells", "rho_micro", "people"), [(1, 500, 62), (14, 5_000, 73), (14, 25_000, 33)])
def test_half_widths_of_the_design(cells, rho_micro, people):
    assert half_width(sigma_for(cells, rho_micro)) == people


def test_a_match_test_has_a_sigma_of_fifty():
    assert sigma_for(1, rho_for(1, Precision(), cap_rho_micro=CAP, kind="match_test")) == pytest.approx(50)


@pytest.mark.parametrize(("level", "rho_micro"), [("rough", 100), ("normal", 500), ("fine", 5_000)])
def test_levels_are_shares_of_the_cap(level, rho_micro):
    assert rho_for(14, Precision(level), cap_rho_micro=CAP, kind="overlap") == rho_micro


def test_prices_are_rounded_up():
    assert rho_for(1, Precision("rough"), cap_rho_micro=1_001, kind="overlap") == 2


@pytest.mark.parametrize("people", [1, 5, 50, 333])
def test_an_asked_half_width_is_kept(people):
    rho_micro = rho_for(3, Precision(None, people), cap_rho_micro=CAP, kind="overlap")

    assert half_width(sigma_for(3, rho_micro)) <= people
    assert narrowest_half_width(3, rho_micro) <= people


def test_the_narrowest_half_width_is_payable_and_the_next_is_not():
    people = narrowest_half_width(14, 777)

    def price(width):
        return rho_for(14, Precision(None, width), cap_rho_micro=CAP, kind="overlap")

    assert price(people) <= 777 < price(people - 1)


@pytest.mark.parametrize(("cells", "rho_micro"), [(0, 1), (1, 0)])
def test_noise_needs_cells_and_budget(cells, rho_micro):
    with pytest.raises(PrecisionError, match="at least 1 cell and costs at least 1 micro-rho"):
        sigma_for(cells, rho_micro)


@pytest.mark.parametrize("sigma", [0.5, 2.0, 31.6, 118.0])
def test_half_widths_hold_for_the_exact_distribution(sigma):
    from math import exp

    def chance(people):
        weights = {n: exp(-n * n / (2 * sigma * sigma)) for n in range(-2000, 2001)}
        return sum(weights[n] for n in range(-people, people + 1)) / sum(weights.values())

    people = half_width(sigma)
    assert chance(people) >= 0.95 > chance(people - 1)


def test_rounding_widens_and_wide_noise_is_computed_quickly():
    assert half_width(31.6, 10) == half_width(31.6) + 5
    assert half_width(1e6) == ceil(1.959964e6)
    assert abs(half_width(9_999.0) - half_width(10_001.0)) <= 5


def test_small_cells_are_withheld_on_the_noisy_value():
    assert suppression_threshold(100, 118.0) == pytest.approx(374.94)
    assert suppression_threshold(0, 118.0) == 0.0


def test_the_chance_of_suppression_follows_the_size():
    def chance(size):
        return chance_suppressed(size, shown_from=ceil(suppression_threshold(100, 30.0)), sigma=30.0)

    assert chance(99) >= 0.99
    assert chance(170) == pytest.approx(0.5, abs=0.02)
    assert chance(300) < 1e-4
