"""The noise: discrete Gaussians made by OpenDP and calibrated in zCDP.

One vector for all counts of a question, and one for all its sums of an attribute.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any, TypeAlias

import opendp.prelude as dp

from cleanroom.release.errors import CalibrationError
from cleanroom.release.open_keys import certified_rho
from policies.accounting import MICRO
from policies.mechanisms import sigma_for

FAMILY = "discrete-gaussian-zcdp-v1"
_STEPS = 64
Summed: TypeAlias = tuple[tuple[int, int], ...]

dp.enable_features("contrib")


@cache
def calibrate(l0: int, rho_micro: int, sums: Summed = (), *, open_keys: bool = False) -> float:
    """Find the smallest noise whose cost, as OpenDP itself certifies it, fits the budget.

    Args:
        l0: how many cells one person can change, sums included: a count by at most 1.
        rho_micro: the budget of the whole question, in millionths of rho.
        sums: for each attribute added up, how far one person can move a sum, in stored units, and how many of the l0
            cells are its sums. Their noise is that many times sigma.
        open_keys: whether one of the l0 cells is of a breakdown over unknown keys.

    Returns:
        sigma, in people, of every count.

    Raises:
        CalibrationError: l0 or rho_micro is not positive, or no sigma fits.

    Source: Bun, Steinke 2016 (rho = l0 / (2 sigma^2), and rhos add up); OpenDP's maps round up, so sigma is nudged up
    until the ceiling of their exact sum, in micro-rho, fits.
    """
    counts = l0 - sum(cells for _, cells in sums) - open_keys
    if counts < 1 or rho_micro < 1:
        raise CalibrationError("A question needs at least one cell and one micro-rho.")
    sigma = sigma_for(l0, rho_micro)
    for step in range(_STEPS):
        certified = sum(_certified(sigma, unit, cells) for unit, cells in ((1, counts), *sums))
        if open_keys:
            certified += certified_rho(sigma)
        if math.ceil(certified * MICRO) <= rho_micro:
            return sigma
        sigma *= 1 + 2.0 ** (step - 52)
    raise CalibrationError(f"No noise fits {rho_micro} micro-rho over {l0} cells.")


def add_noise(exact: Sequence[int], *, sigma: float) -> list[int]:
    """Add independent discrete Gaussian noise to every count, or to every sum of one attribute, in one call.

    Args:
        exact: n exact figures; they must not outlive this call.
        sigma: the noise scale, in the figures' unit, from `calibrate`.

    Returns:
        n noisy figures; negative ones included. The randomness is the operating system's.

    Source: Canonne, Kamath, Steinke 2020, as built in OpenDP.
    """
    noisy: list[int] = _measurement(sigma)([int(figure) for figure in exact])
    return noisy


def warm_up() -> None:
    """Load OpenDP's library, for which the first figure of a process would wait; what is drawn goes nowhere."""
    add_noise([0], sigma=calibrate(1, MICRO))


def _certified(sigma: float, unit: int, cells: int) -> Fraction:
    """Return the rho, exactly as OpenDP states it, of cells that one person moves by at most a unit each."""
    distance = math.nextafter(math.sqrt(cells * unit * unit), math.inf)
    return Fraction(_measurement(sigma * unit).map(distance))


def _measurement(sigma: float) -> Any:
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    return space >> dp.m.then_gaussian(scale=sigma)
