"""The three ways the first half of a question can end; the second half turns a reservation into one of the others."""

from dataclasses import dataclass

from cleanroom.analyses.cells import Layout
from cleanroom.analyses.types import Outcome
from cleanroom.datasets.types import Dataset, DatasetVersion
from cleanroom.db.database import PendingEvent
from cleanroom.grants.types import Reservation
from cleanroom.matching.service import Match
from cleanroom.matching.types import Plan
from cleanroom.release.answers import Found
from cleanroom.release.service import Ticket
from policies.decision import Reason
from policies.question import Question


@dataclass(frozen=True)
class Refused:
    """The question was refused, and the log says so.

    Attributes:
        reasons: the broken rules.
        missing: what would have to exist before it can be decided.
        event: the log's record of it; None until it is written.
    """

    reasons: tuple[Reason, ...]
    missing: tuple[str, ...] = ()
    event: PendingEvent | None = None


@dataclass(frozen=True)
class Answered:
    """There are figures.

    Attributes:
        outcome: released now, or stored before.
        found: the answer, under canonical names.
        layout: of the question.
    """

    outcome: Outcome
    found: Found
    layout: Layout


@dataclass(frozen=True)
class Reserved:
    """The budget is reserved; what follows takes no decision any more, and needs nothing but this.

    Attributes:
        question: as asked.
        dataset: the provider's.
        base_version: of the asker's base.
        ticket: what the release needs.
        plan: what to count.
        layout: the cells' names.
        match: both versions, ready to be matched without SQL.
        reservation: what the question has taken out of its grant.
    """

    question: Question
    dataset: Dataset
    base_version: DatasetVersion
    ticket: Ticket
    plan: Plan
    layout: Layout
    match: Match
    reservation: Reservation
