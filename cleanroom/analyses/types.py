"""What an asker gets."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cleanroom.analyses.suggesting import Suggestion
from cleanroom.release.types import Mechanism, ReleasedFigure, ReleasedRatio
from policies.decision import Reason


class Outcome(StrEnum):
    """What became of a question."""

    RESERVED = "reserved"
    RELEASED = "released"
    REFUSED = "refused"
    STORED = "stored"
    LOST = "lost"


@dataclass(frozen=True)
class Answer:
    """The answer to a question, or its refusal.

    Attributes:
        analysis_id: `an_...`; names the receipt.
        outcome: released, stored (an earlier answer, at no budget) or refused.
        figures: with their intervals; empty when refused.
        ratios: made of them.
        mechanism: how they were made; None when refused.
        reasons: every broken rule, with the nearest permitted question.
        missing: what would have to exist before it can be decided.
        as_of: the instant of the release; a stored answer keeps its own date.
        consent_epoch: the last accepted batch of consent changes that the figures honour.
        charged_micro: what this question cost, in micro-rho.
        left_micro: what the question has left of the grant, as its receipt says.
        charged_delta_pico: what it cost of delta besides, in 10^-12; only unknown keys cost any.
        left_delta_pico: what it has left of that.
        receipt: the signed proof, a file.
        suggestions: bands to merge, so that fewer cells are withheld; made of the figures, at no budget.
    """

    analysis_id: str
    outcome: Outcome
    figures: tuple[ReleasedFigure, ...]
    ratios: tuple[ReleasedRatio, ...]
    mechanism: Mechanism | None
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    as_of: datetime
    consent_epoch: int | None
    charged_micro: int
    left_micro: int
    charged_delta_pico: int
    left_delta_pico: int
    receipt: Path
    suggestions: tuple[Suggestion, ...] = ()
