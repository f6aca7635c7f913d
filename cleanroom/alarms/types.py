"""Alarms as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class AlarmKind(StrEnum):
    """What a detector has seen."""

    DIFFERENCE = "difference"
    BUDGET_RACE = "budget_race"
    REFUSALS = "refusals"
    ODD_HOURS = "odd_hours"
    SIGN_IN = "sign_in"
    BULK = "bulk"
    WITNESS = "witness"
    WITNESS_AWAY = "witness_away"
    DAMAGED = "damaged"


class AlarmState(StrEnum):
    """Whether somebody has looked at an alarm."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True)
class Whose:
    """Whose alarms are looked at.

    Attributes:
        organisation_id: of whoever looks.
        whole_room: whether everybody's are seen, the room's own included.
    """

    organisation_id: str
    whole_room: bool = False

    def answers_for(self, organisation_id: str | None) -> bool:
        """Tell whether an alarm is theirs to acknowledge; an operator only reads what is others'.

        Args:
            organisation_id: whose the alarm is; None for the room's own.
        """
        return self.whole_room if organisation_id is None else organisation_id == self.organisation_id


@dataclass(frozen=True)
class Seen:
    """An event of the log, as detectors read it.

    Attributes:
        index: in the log.
        kind: of the event.
        at: when it was recorded.
        organisation_id: whose event it is; None for the room's own.
        subject_id: what it is about.
        body: what it says.
    """

    index: int
    kind: str
    at: datetime
    organisation_id: str | None
    subject_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Sighting:
    """Something of an event that a detector counts.

    Attributes:
        kind: which detector.
        watch: names what is counted together.
        organisation_id: whose people look at an alarm of it; None for the room's own.
        party_id: whom it is about; None when that is not known.
        dataset_id: which dataset; None when it is none, or several.
    """

    kind: AlarmKind
    watch: str
    organisation_id: str | None
    party_id: str | None = None
    dataset_id: str | None = None


@dataclass(frozen=True)
class Alarm:
    """An alarm with the names that stand beside it.

    Attributes:
        id: `al_...`.
        kind: what was seen.
        organisation_id: whose people look at it; None for the room's own.
        organisation: its name; empty for the room's own.
        party_id: whom it is about; None when that is not known.
        party: its name; empty when it is not known.
        dataset_id: which dataset; None when it is none, or several.
        dataset: its name; empty for none.
        raised_at: when the pattern was first complete, by the log.
        last_at: when it was seen last.
        first_index, last_index: of the events that completed it first and last.
        occurrences: how often the pattern was complete.
        acknowledged_at: when; None while it is open.
        acknowledged_by_id: of the user or the API client who did; None while it is open.
        acknowledged_by: the user's e-mail address, or the client's name; None while it is open.
        note: of who did.
    """

    id: str
    kind: AlarmKind
    organisation_id: str | None
    organisation: str
    party_id: str | None
    party: str
    dataset_id: str | None
    dataset: str
    raised_at: datetime
    last_at: datetime
    first_index: int
    last_index: int
    occurrences: int
    acknowledged_at: datetime | None
    acknowledged_by_id: str | None
    acknowledged_by: str | None
    note: str

    @property
    def open(self) -> bool:
        """Tell whether nobody has acknowledged it."""
        return self.state is AlarmState.OPEN

    @property
    def state(self) -> AlarmState:
        """Tell whether somebody has acknowledged it."""
        return AlarmState.OPEN if self.acknowledged_at is None else AlarmState.ACKNOWLEDGED
