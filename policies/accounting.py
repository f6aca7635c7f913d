"""What a privacy budget means: rho of zCDP as epsilon, and as an attacker's advantage."""

from math import exp, inf, log, sqrt
from statistics import NormalDist

from policies.errors import PrecisionError

MICRO = 1_000_000
DELTA = 1e-6
"""The delta at which epsilons are shown."""

_GOLDEN = (sqrt(5) - 1) / 2


def rho_to_epsilon(rho: float, delta: float = DELTA) -> float:
    """Return the smallest epsilon such that rho-zCDP implies (epsilon, delta)-differential privacy.

    Args:
        rho: not negative; micro-rho divided by a million.
        delta: above 0 and below 1.

    Raises:
        PrecisionError: an argument lies outside its range.

    Source: Canonne, Kamath, Steinke 2020 (arXiv:2004.00010), corollary 13.
    """
    if not (rho >= 0 and 0 < delta < 1):
        raise PrecisionError("A rho is at least 0 and a delta lies between 0 and 1.")
    if rho == 0:
        return 0.0

    def bound(exponent: float) -> float:
        """Return the epsilon of one Renyi order, 1 + exp(exponent)."""
        above = exp(exponent)
        order = 1 + above
        return order * rho + exponent - order / above * log(order) - log(delta) / above

    # The bound falls and then rises in the order; the window holds every minimum of a rho between 1e-12 and
    # 1e6.
    low, high = -16.0, 18.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    best = inf
    for _ in range(120):
        best = min(best, bound(left), bound(right))
        if bound(left) < bound(right):
            high = right
        else:
            low = left
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    return max(0.0, best)


def advantage(rho: float) -> float:
    """Return the most that an attacker can gain against one person: true minus false positive rate.

    The bound of the Gaussian mechanism; it holds for the discrete one when every single draw has sigma >= 2.
    """
    return 2 * NormalDist().cdf(sqrt(rho / 2)) - 1


def questions_left(left_micro: int, rho_micro: int) -> int:
    """Return how many questions of one price a grant still pays for."""
    return left_micro // rho_micro
