"""The noise: one vector of discrete Gaussians per question, made by OpenDP and calibrated in zCDP."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import opendp.prelude as dp

from cleanroom.release.errors import CalibrationError
from policies.accounting import MICRO
from policies.mechanisms import sigma_for

FAMILY = "discrete-gaussian-zcdp-v1"
_STEPS = 64

dp.enable_features("contrib")


@cache
def calibrate(l0: int, rho_micro: int) -> float:
    """Find the smallest noise whose cost, as OpenDP itself certifies it, fits the budget.

    Args:
        l0: how many cells one person can change, each by at most 1.
        rho_micro: the budget of the whole question, in millionths of rho.

    Returns:
        sigma, in people, of every cell.

    Raises:
        CalibrationError: l0 or rho_micro is not positive, or no sigma fits.

    Source: Bun, Steinke 2016 (rho = l0 / (2 sigma^2)); OpenDP's map rounds up, so sigma is nudged up until its
    ceiling in micro-rho fits.
    """
    if l0 < 1 or rho_micro < 1:
        raise CalibrationError("A question needs at least one cell and one micro-rho.")
    sigma = sigma_for(l0, rho_micro)
    distance = math.nextafter(math.sqrt(l0), math.inf)
    for step in range(_STEPS):
        if math.ceil(_measurement(sigma).map(distance) * MICRO) <= rho_micro:
            return sigma
        sigma *= 1 + 2.0 ** (step - 52)
    raise CalibrationError(f"No noise fits {rho_micro} micro-rho over {l0} cells.")


def add_noise(counts: Sequence[int], *, sigma: float) -> list[int]:
    """Add independent discrete Gaussian noise to every count, in one call.

    Args:
        counts: n exact counts; they must not outlive this call.
        sigma: the noise scale, in people, from `calibrate`.

    Returns:
        n noisy counts; negative ones included. The randomness is the operating system's.

    Source: Canonne, Kamath, Steinke 2020, as built in OpenDP.
    """
    noisy: list[int] = _measurement(sigma)([int(count) for count in counts])
    return noisy


def _measurement(sigma: float) -> Any:
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    return space >> dp.m.then_gaussian(scale=sigma)
