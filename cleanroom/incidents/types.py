"""Incidents as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class IncidentKind(StrEnum):
    """What happened."""

    DISCLOSURE = "disclosure"
    ACCESS = "access"
    ALTERATION = "alteration"
    LOSS = "loss"
    UNAVAILABLE = "unavailable"
    WITHOUT_CONSENT = "without_consent"
    KEY_EXPOSED = "key_exposed"
    OTHER = "other"


class Severity(StrEnum):
    """How bad it is for the people concerned, in ascending order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class IncidentState(StrEnum):
    """Where an incident stands: duties are open; all were seen to; it is over."""

    OPEN = "open"
    NOTIFIED = "notified"
    CLOSED = "closed"


class Duty(StrEnum):
    """Whom a law says has to be told; the terms are in `duties`."""

    RU_NOTICE = "ru_notice"
    RU_RESULTS = "ru_results"
    EU_NOTICE = "eu_notice"


class DutyState(StrEnum):
    """What has become of a duty: it is open, it was done, or it does not apply here."""

    DUE = "due"
    DONE = "done"
    NOT_DUE = "not_due"


class EntryKind(StrEnum):
    """What an entry of the register says."""

    OPENED = "opened"
    NOTE = "note"
    SCOPE = "scope"
    DUTY = "duty"
    SHARED = "shared"
    CLOSED = "closed"


@dataclass(frozen=True)
class Scope:
    """Which data and which time an incident is about; everything named must hold.

    Attributes:
        workspace_id: its datasets.
        dataset_id: this one, or this base.
        version_from: number of the first version.
        version_to: number of the last one.
        since: from this instant on.
        until: before this instant.
        signer_key_id: versions whose packages were signed with this key.
        client_id: what an API client's organisation has, and has asked.
    """

    workspace_id: str | None = None
    dataset_id: str | None = None
    version_from: int | None = None
    version_to: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    signer_key_id: str | None = None
    client_id: str | None = None

    @property
    def of_client_alone(self) -> bool:
        """Whether a client is all that it names, but for a time."""
        named = (self.workspace_id, self.dataset_id, self.signer_key_id)
        return self.client_id is not None and named == (None, None, None)

    @property
    def of_versions(self) -> bool:
        """Whether it is about certain versions only."""
        return (self.version_from, self.version_to, self.signer_key_id) != (None, None, None)


@dataclass(frozen=True)
class Deadline:
    """A duty of one incident.

    Attributes:
        duty: which.
        due_at: until when.
        state: what has become of it.
        ended_at: when the authority was told, or it was found that it need not be; None while it is due.
    """

    duty: Duty
    due_at: datetime
    state: DutyState
    ended_at: datetime | None

    def left_seconds(self, now: datetime) -> int:
        """Return how long is left, in whole seconds; negative when it is late, 0 when it has ended."""
        return 0 if self.state is not DutyState.DUE else int((self.due_at - now).total_seconds())


@dataclass(frozen=True)
class Incident:
    """An incident as one organisation sees it.

    Attributes:
        id: `in_...`.
        organisation_id: whose register it stands in.
        own: whether that is the organisation that looks; else it was shared with it.
        kind: what happened.
        severity: how bad it is.
        state: where it stands.
        title: in a few words.
        discovered_at: when somebody became aware of it; all terms run from here.
        opened_at: when it was entered.
        opened_by: id of a user or client, or `operator` for the command line.
        closed_at: when it was closed.
        scope: what it is about; None until that is entered.
        deadlines: its duties, the most urgent first; none for whom it was shared with.
    """

    id: str
    organisation_id: str
    own: bool
    kind: IncidentKind
    severity: Severity
    state: IncidentState
    title: str
    discovered_at: datetime
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None
    scope: Scope | None
    deadlines: tuple[Deadline, ...]

    @property
    def next_due_at(self) -> datetime | None:
        """Until when the most urgent duty has to be done; None when none is due."""
        return min((one.due_at for one in self.deadlines if one.state is DutyState.DUE), default=None)


@dataclass(frozen=True)
class Entry:
    """One entry; it is never changed.

    Attributes:
        number: within the incident, from 1.
        kind: what it says.
        at: when it was made.
        by: id of a user or client, or `operator`.
        text: somebody's words.
        salt: 32 bytes, hex; with the text it gives the hash that the log states.
        text_sha256: that hash, hex: SHA-256 over the salt's bytes and the text's UTF-8.
        shown: whether those see it with whom the incident was shared.
        facts: what else it says.
    """

    number: int
    kind: EntryKind
    at: datetime
    by: str
    text: str
    salt: str
    text_sha256: str
    shown: bool
    facts: Mapping[str, Any]
