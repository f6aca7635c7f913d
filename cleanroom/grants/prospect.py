"""What a rule would mean, before anything is asked: how exact figures are, what is withheld, what could be learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from cleanroom.grants.budget_view import Bound, bound_of
from cleanroom.grants.types import AccountKind, Amount
from policies.accounting import questions_left
from policies.combine import combine, limits_of, missing_rules, with_budgets
from policies.decision import Gap, Limits
from policies.mechanisms import chance_suppressed, half_width, rho_for, sigma_for, suppression_threshold
from policies.model import PolicyDocument
from policies.question import LEVELS, Precision

SIZES = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000)
"""Audiences, in people, that a prospect is drawn at."""
WIDE_CELLS = 14
"""Cells that one person touches in a large question: the overlap, twelve overlapping segments and a breakdown."""
GRANT_SIZES = ("S", "M", "L")


@dataclass(frozen=True)
class Seen:
    """One audience as a buyer would see it at one precision.

    Attributes:
        size: its true size, in people.
        relative: the half-width as a share of it.
        withheld: the chance that it is not shown.
    """

    size: int
    relative: float
    withheld: float


@dataclass(frozen=True)
class Precise:
    """What one level of precision brings.

    Attributes:
        level: rough, normal or fine.
        rho_micro: what a question costs.
        payable: whether one question may cost so much.
        half_width: of the overlap's 95% interval when nothing else is asked, in people.
        half_width_wide: of every figure of a question of `WIDE_CELLS` cells.
        shown_from: the noisy count from which an overlap is shown.
        questions: how many such questions a grant of each size pays for.
        seen: at every size asked for.
    """

    level: str
    rho_micro: int
    payable: bool
    half_width: int
    half_width_wide: int
    shown_from: int
    questions: Mapping[str, int]
    seen: tuple[Seen, ...]


@dataclass(frozen=True)
class Prospect:
    """What a rule means for buyers and for a person in the data.

    Attributes:
        limits: the numbers that would hold.
        narrowed: whether the budget is that of another dataset about the same people, which is tighter.
        levels: from rough to fine.
        bounds: what each account, spent in full, lets anyone learn about one person.
    """

    limits: Limits
    narrowed: bool
    levels: tuple[Precise, ...]
    bounds: Mapping[AccountKind, Bound]

    def level(self, name: str) -> Precise:
        """Return one level by its name."""
        return next(one for one in self.levels if one.level == name)


def prospect(
    document: PolicyDocument, *, beside: Sequence[PolicyDocument] = (), sizes: Sequence[int] = SIZES
) -> Prospect | Gap:
    """Say what a rule would mean; nothing of it depends on anybody's data.

    Args:
        document: the rule, in force or not.
        beside: the rules of other datasets about the same people: the tightest of their budgets holds.
        sizes: audiences, in people.

    Returns:
        The prospect, or which required rules the document lacks.
    """
    missing = missing_rules(document)
    if missing:
        return Gap(missing)
    own = combine([document])
    rules = with_budgets(own, [one for one in beside if not missing_rules(one)])
    limits = limits_of(rules)
    caps = {
        AccountKind.ADVERTISER: Amount(limits.cap_rho_micro, limits.cap_delta_pico),
        AccountKind.AGENCY: Amount(limits.agency_rho_micro, limits.agency_delta_pico),
        AccountKind.TOTAL: Amount(limits.total_rho_micro, limits.total_delta_pico),
    }
    return Prospect(
        limits=limits,
        narrowed=rules != own,
        levels=tuple(_precise(level, limits, sizes) for level in LEVELS),
        bounds={kind: bound_of(amount) for kind, amount in caps.items()},
    )


def _precise(level: str, limits: Limits, sizes: Sequence[int]) -> Precise:
    rho_micro = rho_for(1, Precision(level), cap_rho_micro=limits.cap_rho_micro, kind="overlap")
    sigma = sigma_for(1, rho_micro)
    width = half_width(sigma, limits.round_to)
    shown_from = ceil(suppression_threshold(limits.minimum_audience_of("overlap"), sigma))
    payable = rho_micro <= limits.question_max_rho_micro
    return Precise(
        level=level,
        rho_micro=rho_micro,
        payable=payable,
        half_width=width,
        half_width_wide=half_width(sigma_for(WIDE_CELLS, rho_micro), limits.round_to),
        shown_from=shown_from,
        questions={
            size: questions_left(limits.grant_rho_micro(size), rho_micro) if payable else 0
            for size in GRANT_SIZES
        },
        seen=tuple(
            Seen(size, width / size, chance_suppressed(size, shown_from=shown_from, sigma=sigma))
            for size in sizes
        ),
    )
