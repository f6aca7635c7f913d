"""What an asker gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

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
    CANCELLED = "cancelled"


class State(StrEnum):
    """What is told of a question: its outcome once that is shown, and until then that it is under way."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    RELEASED = "released"
    REFUSED = "refused"
    STORED = "stored"
    LOST = "lost"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Analysis:
    """A question as its asker may follow it; nothing of it depends on the data before the answer is shown.

    Attributes:
        id: `an_...`.
        grant_id: what pays.
        dataset_id: the provider's.
        base_id: the asker's.
        advertiser_id: for whom.
        agency_id: through whom, if anyone.
        question: as asked, as plain data.
        state: see `State`.
        progress: 0 to 1; the share of a tick that has passed, and 1 once the outcome is shown.
        charged_micro: what it has taken out of its grant, in micro-rho, whatever becomes of it.
        asked_at: the instant of asking.
        shown_at: since when the outcome is shown; None before.
        look_at: the first instant at which there can be something new to see; None once the outcome is shown.
    """

    id: str
    grant_id: str
    dataset_id: str
    base_id: str
    advertiser_id: str
    agency_id: str | None
    question: Mapping[str, Any]
    state: State
    progress: float
    charged_micro: int
    asked_at: datetime
    shown_at: datetime | None
    look_at: datetime | None

    @property
    def answered(self) -> bool:
        """Whether there is an answer to be shown: figures, or a refusal."""
        return self.state in (State.RELEASED, State.STORED, State.REFUSED)


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
        receipt: the signed proof, a file; it is written once the answer is committed.
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
