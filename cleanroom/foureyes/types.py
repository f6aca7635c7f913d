"""What is asked for by one person and decided by another, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from cleanroom.db.database import Transaction


class AskState(StrEnum):
    """What has become of an ask."""

    WAITING = "waiting"
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class LapsedFor(StrEnum):
    """Why an ask lapsed: nobody decided in time, or the person who asked may not any more."""

    TIME = "time"
    ASKER = "asker"


@dataclass(frozen=True)
class Ask:
    """A deed that one person asks for.

    Attributes:
        id: `fe_...`.
        organisation_id: whose.
        deed: its name, see `Deed`.
        subject_id: what it would be done to.
        details: what else it takes, as plain data.
        reason: the asker's words.
        asked_by: id of the user.
        asked_at: when.
        lapses_at: until when somebody may confirm.
        state: what has become of it.
        ended_by: id of the user who ended it; None while it waits, and when it lapsed.
        ended_at: when; None while it waits.
        end_reason: words of whoever rejected it; of one that lapsed a `LapsedFor`.
    """

    id: str
    organisation_id: str
    deed: str
    subject_id: str
    details: Mapping[str, Any]
    reason: str
    asked_by: str
    asked_at: datetime
    lapses_at: datetime
    state: AskState
    ended_by: str | None
    ended_at: datetime | None
    end_reason: str


class Deed(Protocol):
    """Something that takes two people; it writes into the transaction that confirms it, and nowhere else."""

    @property
    def name(self) -> str:
        """What it is called in SQL and in the log; never changed."""
        ...

    @property
    def asks(self) -> str:
        """The scope that asking takes."""
        ...

    @property
    def confirms(self) -> str:
        """The scope that confirming and rejecting take."""
        ...

    def prepare(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        subject_id: str,
        details: Mapping[str, Any],
        reason: str,
    ) -> Mapping[str, Any]:
        """Return the details to keep; raises CleanroomError when the deed could not be done as things stand."""
        ...

    def execute(self, tx: Transaction, ask: Ask) -> None:
        """Do it; whatever it raises, nothing is confirmed."""
        ...

    def names(self, tx: Transaction, subject_ids: Sequence[str]) -> Mapping[str, str]:
        """Return what people call the subjects, by id."""
        ...
