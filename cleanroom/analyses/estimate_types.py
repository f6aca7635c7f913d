"""What an asker is told before a question is run."""

from dataclasses import dataclass

from cleanroom.analyses.suggesting import Suggestion
from cleanroom.analyses.types import Outcome
from cleanroom.release.types import Mechanism
from policies.decision import Reason


@dataclass(frozen=True)
class Chance:
    """How likely a figure is withheld.

    Attributes:
        size: a true count, in people, that the asker named.
        suppressed: the probability, from 0 to 1, that a figure of this size is withheld.
    """

    size: int
    suppressed: float


@dataclass(frozen=True)
class FigureEstimate:
    """What is known about a figure before it is made.

    Attributes:
        name: as in the answer; `breakdown:ATTRIBUTE=*` stands for every key of a breakdown over unknown keys.
        sigma: the standard deviation of its noise, in people; of a sum, in stored units.
        half_width: of its 95% interval, in the same unit, rounding included.
        threshold: the noisy count of people at which it is shown; a sum is shown with the count of its people.
        chances: of being withheld, one for each size that the asker named for any figure.
        expected: the same for the people that the asker expects in this figure; None when it expects none.
        scale: of a sum, the digits after the point that a stored unit stands for; None for a count.
    """

    name: str
    sigma: float
    half_width: int
    threshold: int
    chances: tuple[Chance, ...]
    expected: Chance | None
    scale: int | None = None


@dataclass(frozen=True)
class Estimate:
    """What asking would bring now: the same decision, price and noise, and nothing is spent or recorded.

    Attributes:
        outcome: released, stored (answered before under this grant, at no budget) or refused.
        figures: in the order of the answer; empty when refused.
        mechanism: how the figures would be made; of a stored answer, how they were made. None when refused.
        reasons: every broken rule, with the nearest permitted question.
        missing: what would have to exist before it can be decided.
        charged_micro: what asking would cost, in micro-rho.
        left_micro: what the grant would have left afterwards, in micro-rho.
        charged_delta_pico: what asking would cost of delta besides, in 10^-12; only unknown keys cost any.
        left_delta_pico: what the grant would have left of that afterwards.
        epsilon: what the figures reveal at most about one person, but for a chance of `delta`; None when refused.
        delta: one in a million, and what the question costs of delta.
        advantage: the most that the figures let an attacker gain against one person, beyond guessing; None when
            refused.
        questions_left: how many fresh questions of this price the grant pays for, this one included when it is one;
            None when refused.
        suggestions: bands to merge, at the sizes that the asker expects.
    """

    outcome: Outcome
    figures: tuple[FigureEstimate, ...]
    mechanism: Mechanism | None
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    charged_micro: int
    left_micro: int
    charged_delta_pico: int
    left_delta_pico: int
    epsilon: float | None
    delta: float
    advantage: float | None
    questions_left: int | None
    suggestions: tuple[Suggestion, ...] = ()
