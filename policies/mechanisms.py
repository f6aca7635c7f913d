"""From precision to budget, from budget to noise, and from noise to what the reader sees."""

from functools import cache
from math import ceil, exp, isqrt, sqrt
from statistics import NormalDist

from policies.accounting import MICRO
from policies.errors import PrecisionError
from policies.question import Precision

Z95 = 1.959964
SUPPRESSION_SIGMAS = 2.33
"""At most 1% of the cells below the minimum audience are shown: the normal quantile of 0.99."""

_LEVELS = {"rough": 1000, "normal": 200, "fine": 20}
_MATCH_TEST = 500
_EXACT_SUM_SIGMA = 10_000.0


def sigma_for(l0: int, rho_micro: int) -> float:
    """Return the noise scale, in people, that a question of `l0` cells gets for its budget.

    Source: Bun, Steinke 2016: rho = l0 / (2 sigma^2).
    """
    if l0 < 1 or rho_micro < 1:
        raise PrecisionError("A question has at least 1 cell and costs at least 1 micro-rho.")
    return sqrt(l0 * MICRO / (2 * rho_micro))


def rho_for(l0: int, precision: Precision, *, cap_rho_micro: int, kind: str) -> int:
    """Return what a question costs, in micro-rho, rounded up.

    Rounding does not enter: a coarser grid must not buy less noise, so it widens the shown interval instead.

    Args:
        l0: cells that one person can touch.
        precision: a level (a fixed share of the advertiser's cap), or a half-width in people.
        cap_rho_micro: the advertiser's cap.
        kind: the kind of analysis; a match test is one rough total at a price of its own.
    """
    if precision.people is not None:
        return ceil(l0 * Z95 * Z95 * MICRO / (2 * precision.people * precision.people))
    assert precision.level is not None
    return -(-cap_rho_micro // (_MATCH_TEST if kind == "match_test" else _LEVELS[precision.level]))


def narrowest_half_width(l0: int, rho_micro: int) -> int:
    """Return the smallest half-width, in people, that `rho_for` sells for at most this budget."""
    people = max(1, isqrt(ceil(l0 * Z95 * Z95 * MICRO / (2 * rho_micro))))
    while rho_for(l0, Precision(None, people), cap_rho_micro=0, kind="overlap") > rho_micro:
        people += 1
    return people


@cache
def half_width(sigma: float, round_to: int = 1) -> int:
    """Return how many people either side of a shown value the truth lies within, in 95 of 100 answers.

    Unconditional: over all answers, shown or suppressed; the rounding is included.

    Args:
        sigma: of discrete Gaussian noise, in people.
        round_to: grid of the shown values.
    """
    if sigma > _EXACT_SUM_SIGMA:
        return ceil(Z95 * sigma) + round_to // 2
    weights = [1.0]
    while weights[-1] > 1e-18:
        weights.append(exp(-(len(weights) ** 2) / (2 * sigma * sigma)))
    wanted = 0.95 * (1 + 2 * sum(weights[:0:-1]))
    inside, people = 1.0, 0
    while inside < wanted:
        people += 1
        inside += 2 * weights[people]
    return people + round_to // 2


def suppression_threshold(minimum_audience: int, sigma: float) -> float:
    """Return the noisy count below which a cell is withheld.

    Without a minimum no cell is too small, and only negative counts are withheld.
    """
    return minimum_audience + SUPPRESSION_SIGMAS * sigma if minimum_audience else 0.0


def chance_suppressed(size: int, *, shown_from: int, sigma: float) -> float:
    """Return the probability that a cell of a true size is withheld; for sizes that the asker names.

    Args:
        size: in people.
        shown_from: the noisy count at which the cell is shown.
        sigma: of its noise, in people.
    """
    return NormalDist(size, sigma).cdf(shown_from - 0.5)
