"""Calibration against the published numbers, and noise that is what it says."""

import math
from fractions import Fraction

import opendp.prelude as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.release import mechanism
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


@given(
    st.integers(1, 500),
    st.integers(1, 250_000),
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 50)), min_size=1, max_size=16),
)
def test_what_counts_and_sums_cost_together_never_passes_the_budget(
    counts: int, rho_micro: int, sums: list[tuple[int, int]]
) -> None:
    l0 = counts + sum(cells for _, cells in sums)

    sigma = calibrate(l0, rho_micro, tuple(sums))

    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    certified = sum(
        Fraction((space >> dp.m.then_gaussian(scale=sigma * unit)).map(unit * math.sqrt(cells)))
        for unit, cells in ((1, counts), *sums)
    )
    assert certified * 1_000_000 <= rho_micro
    assert sigma <= math.sqrt(l0 * 1_000_000 / (2 * rho_micro)) * 1.000001


@pytest.mark.parametrize(
    ("l0", "rho_micro", "sums"), [(0, 5, ()), (1, 0, ()), (2, 5, ((100, 2),)), (3, 5, ((100, 2), (7, 2)))]
)
def test_nothing_is_released_for_nothing(l0: int, rho_micro: int, sums: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(CalibrationError, match="at least one cell and one micro-rho"):
        calibrate(l0, rho_micro, sums)


def test_the_noise_of_the_largest_sums_neither_overflows_nor_loses_their_last_digits() -> None:
    # 2**32 people, each at the furthest bound, with the widest noise that a question can have.
    largest, sigma = 2**32 * 10**9, 2.3e5 * 10**9

    noisy = add_noise([largest, -largest] * 500, sigma=sigma)

    errors = [abs(value) - largest for value in noisy]
    assert max(map(abs, errors)) < 8 * sigma
    assert len({error % 10 for error in errors}) == 10


def test_noise_stands_around_each_count_with_the_scale_that_was_asked_for() -> None:
    counts = [0, 1_000_000] * 10_000

    errors = [noisy - count for count, noisy in zip(counts, add_noise(counts, sigma=20.0), strict=True)]

    # Six standard errors of each estimate: a false alarm once in 500 million runs.
    assert abs(sum(errors) / 20_000) < 6 * 20 / math.sqrt(20_000)
    assert abs(sum(error * error for error in errors) / 20_000 - 400) < 6 * 400 * math.sqrt(2 / 20_000)


def test_equal_questions_get_different_noise() -> None:
    assert add_noise([0] * 50, sigma=50.0) != add_noise([0] * 50, sigma=50.0)


def test_warming_up_draws_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[int]] = []
    monkeypatch.setattr(mechanism, "add_noise", lambda exact, sigma: drawn.append(exact))

    mechanism.warm_up()

    assert drawn == [[0]]
