"""A grant's budget in words that mean something: people either side, questions left, what an attacker could gain."""

from collections.abc import Sequence
from dataclasses import dataclass

from cleanroom.grants.types import AccountKind, Amount, Grant
from policies.accounting import DELTA, MICRO, advantage, questions_left, rho_to_epsilon
from policies.decision import Limits
from policies.mechanisms import half_width, rho_for, sigma_for
from policies.question import LEVELS, Precision

_PICO = 10**12


@dataclass(frozen=True)
class Level:
    """What one level of precision buys.

    Attributes:
        precision: rough, normal or fine.
        rho_micro: what one question costs.
        half_width: of the overlap's 95% interval, in people, when the overlap is all that is asked.
        half_width_wide: of every figure of a question with `BudgetView.l0` cells.
        questions_left: how many the grant still pays for, without delta.
    """

    precision: str
    rho_micro: int
    half_width: int
    half_width_wide: int
    questions_left: int


@dataclass(frozen=True)
class Bound:
    """What an amount of budget lets anyone learn about one person at most.

    Attributes:
        amount: spent in full.
        advantage: true minus false positive rate of the best attacker.
        epsilon: of (epsilon, delta)-differential privacy.
        delta: one in a million, and the delta of the amount besides.
    """

    amount: Amount
    advantage: float
    epsilon: float
    delta: float


@dataclass(frozen=True)
class BudgetView:
    """A grant's budget.

    Attributes:
        allocated: what it was given.
        spent: what its questions have reserved.
        left: what questions can still spend.
        l0: cells of the wider question that `levels` price.
        levels: from the cheapest to the dearest.
        spent_bound: what the questions so far have revealed at most.
        bounds: each enclosing account spent in full, public releases included: the advertiser alone, its affiliates,
            the agency over all clients, and everyone colluding (the total). That is its cap, or what it holds since
            a cap was larger.
        window_days: what was spent longer ago stops counting, so that every bound holds for one window only; None when
            they hold for good.
    """

    allocated: Amount
    spent: Amount
    left: Amount
    l0: int
    levels: tuple[Level, ...]
    spent_bound: Bound
    bounds: tuple[tuple[AccountKind, Bound], ...]
    window_days: int | None


def budget_view(
    grant: Grant, limits: Limits, *, l0: int, reachable: Sequence[tuple[AccountKind, Amount]]
) -> BudgetView:
    """Lay out a grant's budget under the policy in force; everything in it is public to its parties.

    Args:
        grant: as it stands.
        limits: of the policy.
        l0: cells of the wider question to price, such as 14 for an overlap with twelve segments and a breakdown.
        reachable: how far each enclosing account may be spent.
    """
    return BudgetView(
        allocated=grant.allocated,
        spent=grant.spent,
        left=Amount(grant.left_micro, grant.left_delta_pico),
        l0=l0,
        levels=tuple(_level(name, grant, limits, l0) for name in LEVELS),
        spent_bound=bound_of(grant.spent),
        bounds=tuple((kind, bound_of(amount)) for kind, amount in reachable),
        window_days=limits.window_days,
    )


def bound_of(amount: Amount) -> Bound:
    """Return what anyone can learn about one person from an amount that is spent."""
    rho, delta = amount.rho_micro / MICRO, amount.delta_pico / _PICO
    return Bound(
        amount=amount,
        advantage=min(1.0, advantage(rho) + delta),
        epsilon=rho_to_epsilon(rho),
        delta=DELTA + delta,
    )


def _level(name: str, grant: Grant, limits: Limits, l0: int) -> Level:
    rho_micro = rho_for(l0, Precision(name), cap_rho_micro=limits.cap_rho_micro, kind="overlap")
    payable = rho_micro <= limits.question_max_rho_micro
    return Level(
        precision=name,
        rho_micro=rho_micro,
        half_width=half_width(sigma_for(1, rho_micro), limits.round_to),
        half_width_wide=half_width(sigma_for(l0, rho_micro), limits.round_to),
        questions_left=questions_left(grant.left_micro, rho_micro) if payable else 0,
    )
