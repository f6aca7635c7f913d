"""Calibration against the published numbers, and noise that is what it says."""

import math

import opendp.prelude as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.release.errors import CalibrationError
from cleanroom.release.mechanism import add_noise, calibrate


@pytest.mark.parametrize(
    ("l0", "rho_micro", "sigma"), [(1, 500, 31.623), (14, 5000, 37.417), (14, 25000, 16.733)]
)
def test_sigma_is_the_square_root_of_l0_over_two_rho(l0: int, rho_micro: int, sigma: float) -> None:
    assert calibrate(l0, rho_micro) == pytest.approx(sigma, abs=1e-3)


@given(st.integers(1, 5000), st.integers(1, 250_000))
def test_the_certified_cost_never_passes_the_budget(l0: int, rho_micro: int) -> None:
    sigma = calibrate(l0, rho_micro)

    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    certified = (space >> dp.m.then_gaussian(scale=sigma)).map(math.nextafter(math.sqrt(l0), math.inf))
    assert math.ceil(certified * 1_000_000) <= rho_micro
    assert sigma <= math.sqrt(l0 * 1_000_000 / (2 * rho_micro)) * 1.000001


@pytest.mark.parametrize(("l0", "rho_micro"), [(0, 5), (1, 0)])
def test_nothing_is_released_for_nothing(l0: int, rho_micro: int) -> None:
    with pytest.raises(CalibrationError, match="at least one cell and one micro-rho"):
        calibrate(l0, rho_micro)


def test_noise_stands_around_each_count_with_the_scale_that_was_asked_for() -> None:
    counts = [0, 1_000_000] * 10_000

    errors = [noisy - count for count, noisy in zip(counts, add_noise(counts, sigma=20.0), strict=True)]

    # Six standard errors of each estimate: a false alarm once in 500 million runs.
    assert abs(sum(errors) / 20_000) < 6 * 20 / math.sqrt(20_000)
    assert abs(sum(error * error for error in errors) / 20_000 - 400) < 6 * 400 * math.sqrt(2 / 20_000)


def test_equal_questions_get_different_noise() -> None:
    assert add_noise([0] * 50, sigma=50.0) != add_noise([0] * 50, sigma=50.0)
