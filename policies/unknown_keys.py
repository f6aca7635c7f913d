"""Breakdowns over values that nobody declared: that such a cell exists is told with a chance of at most delta."""

from dataclasses import dataclass, replace
from math import ceil, erfc, sqrt
from statistics import NormalDist

from policies.decision import Limits, Reason
from policies.reasons import delta_left
from policies.request import Request

PICO = 10**12
_QUESTIONS_PER_CAP = 200


def delta_pico_for(cap_delta_pico: int) -> int:
    """Return what one question about unknown keys costs, in 10^-12: an equal share of the advertiser's cap.

    The share does not follow the precision: a smaller one hardly raises the threshold (by 5% for a tenth), and
    a larger one hardly lowers it.
    """
    return -(-cap_delta_pico // _QUESTIONS_PER_CAP)


def key_threshold(sigma: float, delta_pico: int) -> int:
    """Return the noisy count from which a key may be shown, so that one person's own key hardly ever is.

    Someone who alone has a value brings a key with the count 1. The bound holds for noise over whole numbers:
    its tail is fatter than the normal curve's, which counts from half a step further up.

    Args:
        sigma: of discrete Gaussian noise, in people.
        delta_pico: the chance allowed, in 10^-12; at least 1.

    Source: Canonne, Kamath, Steinke 2020: a discrete Gaussian reaches m no more often than a continuous one
    reaches m - 1. The key's person takes another step.
    """
    delta = delta_pico / PICO
    threshold = ceil(-NormalDist().inv_cdf(delta) * sigma) + 2
    # The quantile's last digits are not to be relied on; the tail's are.
    while erfc((threshold - 2) / (sigma * sqrt(2))) / 2 > delta:
        threshold += 1
    return threshold


@dataclass(frozen=True)
class UnknownKeys:
    """A breakdown over unknown keys costs delta, which the policy and the grant must have left."""

    limits: Limits

    def price(self, request: Request) -> int:
        """Return what the question costs, in 10^-12; 0 without such a breakdown."""
        return delta_pico_for(self.limits.cap_delta_pico) if _asked(request) else 0

    def check(self, request: Request) -> Reason | None:
        """Forbid a question whose delta the owner does not give, or the grant does not have."""
        asked = _asked(request)
        if not asked:
            return None
        if not self.limits.cap_delta_pico:
            message = f"The owner keeps no delta for breakdowns over unknown keys, such as {asked[0]}."
            return Reason("unknown_keys", message, (), asked)
        left, cost = request.grant.left_delta_pico, self.price(request)
        return delta_left(left_pico=left, cost_pico=cost) if cost > left else None

    def repair(self, request: Request) -> Request | None:
        """Leave the breakdown out."""
        asked = _asked(request)
        kept = tuple(group for group in request.question.breakdowns if not set(group) & set(asked))
        return replace(request, question=replace(request.question, breakdowns=kept))


def _asked(request: Request) -> tuple[str, ...]:
    names = (name for group in request.question.breakdowns for name in group)
    return tuple(dict.fromkeys(name for name in names if request.attributes[name].open))
