"""Linear reconstruction: random sub-bases and least squares against a whole list at once, with the total spent."""

import numpy as np
import pytest

from cleanroom.release import gate
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.types import Cell

TARGETS, QUESTIONS, PADDING, CAP_MICRO = 200, 800, 1_000, 100_000


def bits_found(seed: int) -> float:
    """Which share of the targets does the attacker classify rightly?"""
    draw = np.random.default_rng(seed)
    secret = draw.integers(0, 2, TARGETS)
    picked = draw.integers(0, 2, (QUESTIONS, TARGETS))
    mechanism = plan_mechanism(l0=1, rho_micro=CAP_MICRO // QUESTIONS, minimum_audience=0, round_to=1)
    # Known members pad every sub-base, so that nothing is suppressed.
    cells = [Cell(str(at), int(count) + PADDING, None) for at, count in enumerate(picked @ secret)]
    values = np.array([figure.value or 0 for figure in gate.release_cells(cells, mechanism)]) - PADDING
    guess = np.linalg.lstsq(picked, values, rcond=None)[0]
    return float(np.mean((guess > 0.5) == secret))


def test_least_squares_with_the_cap_spent_finds_little_more_than_a_coin():
    # 4,000 bits in all: six standard errors are 0.047, a false alarm less than once in a hundred million runs.
    found = np.mean([bits_found(seed) for seed in range(20)])

    assert found < 0.59 + 0.047


def test_least_squares_without_noise_finds_everybody(monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))

    assert bits_found(0) == pytest.approx(1.0)
