"""Turning a budget into questions: as few and as precise as the policy sells them."""

from collections import Counter
from dataclasses import dataclass

from policies.decision import Limits
from policies.mechanisms import narrowest_half_width, rho_for
from policies.question import Precision

CRUMB = 3
"""What is left is spent until it is less than this fraction of the dearest question."""

SPELLINGS = 4
"""In how many ways a question about a crowd can be spelled as another one that costs the same."""


@dataclass(frozen=True)
class Purchase:
    """One question of a spending plan.

    Attributes:
        half_width: its precision, in people.
        rho_micro: its price.
        labels: asked for although the base has none: a spelling that costs nothing and is another question.
        per_key: likewise, although there is one key.
    """

    half_width: int
    rho_micro: int
    labels: bool = False
    per_key: bool = False


def plan_purchases(
    l0: int, budget_micro: int, limits: Limits, *, spellings: int = SPELLINGS
) -> tuple[Purchase, ...]:
    """Plan questions that are all different, and so never answered from the store, the cheapest first.

    Few precise answers tell as much as many rough ones for the same budget.

    Args:
        l0: cells that one person can touch in each of them.
        budget_micro: what there is to spend.
        limits: of the policy.
        spellings: in how many ways the same question can be spelled as another one.
    """
    widths: Counter[int] = Counter()
    left = budget_micro
    while left * CRUMB >= limits.question_max_rho_micro:
        width = narrowest_half_width(l0, min(left, limits.question_max_rho_micro))
        while widths[width] == spellings:
            width += 1
        price = price_of(l0, width, limits)
        if price * CRUMB < limits.question_max_rho_micro:
            break
        widths[width] += 1
        left -= price
    return tuple(
        Purchase(width, price_of(l0, width, limits), labels=bool(way & 1), per_key=bool(way & 2))
        for width in sorted(widths, reverse=True)
        for way in range(widths[width])
    )


def price_of(l0: int, half_width: int, limits: Limits) -> int:
    """Return what a question of so many cells costs at a precision."""
    return rho_for(l0, Precision(None, half_width), cap_rho_micro=limits.cap_rho_micro, kind="profile")
