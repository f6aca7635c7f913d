"""Notices as values, and whom each type is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from cleanroom.access.scopes import (
    BASES_READ,
    BUDGETS_READ,
    CLIENTS_WRITE,
    CONSENTS_READ,
    DATASETS_READ,
    EVENTS_READ,
    INCIDENTS_READ,
    KEYS_WRITE,
    LISTINGS_WRITE,
    OPERATE,
    POLICIES_WRITE,
    REQUESTS_DECIDE,
    REQUESTS_WRITE,
    STATEMENTS_READ,
    WEBHOOKS_WRITE,
)


class NoticeType(StrEnum):
    """What can be told."""

    REQUEST_WAITS = "request_waits"
    REQUEST_DECIDED = "request_decided"
    QUESTION_WAITS = "question_waits"
    VERSION_READY = "version_ready"
    VERSION_DECISION = "version_decision"
    VERSION_REFUSED = "version_refused"
    VERSION_ENDS = "version_ends"
    BUDGET_NEARLY_SPENT = "budget_nearly_spent"
    STATEMENT_READY = "statement_ready"
    CONSENT_EPOCH = "consent_epoch"
    LISTING_WAITS = "listing_waits"
    LISTING_REVIEWED = "listing_reviewed"
    ALARM = "alarm"
    DEED_WAITS = "deed_waits"
    TRIAL_ENDED = "trial_ended"
    ROTATION_FAILED = "rotation_failed"
    NEW_DEVICE = "new_device"
    WEBHOOK_DISABLED = "webhook_disabled"
    MAIL_GIVEN_UP = "mail_given_up"
    INCIDENT_DEADLINE = "incident_deadline"
    INCIDENT_SHARED = "incident_shared"


SCOPES: Mapping[NoticeType, frozenset[str]] = MappingProxyType(
    {
        NoticeType.REQUEST_WAITS: frozenset({REQUESTS_DECIDE}),
        NoticeType.REQUEST_DECIDED: frozenset({REQUESTS_WRITE}),
        NoticeType.QUESTION_WAITS: frozenset({REQUESTS_DECIDE}),
        NoticeType.VERSION_READY: frozenset({DATASETS_READ, BASES_READ}),
        NoticeType.VERSION_DECISION: frozenset({DATASETS_READ, BASES_READ}),
        NoticeType.VERSION_REFUSED: frozenset({DATASETS_READ, BASES_READ}),
        NoticeType.VERSION_ENDS: frozenset({DATASETS_READ, BASES_READ}),
        NoticeType.BUDGET_NEARLY_SPENT: frozenset({BUDGETS_READ}),
        NoticeType.STATEMENT_READY: frozenset({STATEMENTS_READ}),
        NoticeType.CONSENT_EPOCH: frozenset({CONSENTS_READ}),
        NoticeType.LISTING_WAITS: frozenset({LISTINGS_WRITE, OPERATE}),
        NoticeType.LISTING_REVIEWED: frozenset({LISTINGS_WRITE}),
        NoticeType.ALARM: frozenset({EVENTS_READ}),
        NoticeType.DEED_WAITS: frozenset({CLIENTS_WRITE, POLICIES_WRITE}),
        NoticeType.TRIAL_ENDED: frozenset({POLICIES_WRITE}),
        NoticeType.ROTATION_FAILED: frozenset({KEYS_WRITE}),
        NoticeType.NEW_DEVICE: frozenset(),
        NoticeType.WEBHOOK_DISABLED: frozenset({WEBHOOKS_WRITE}),
        NoticeType.MAIL_GIVEN_UP: frozenset({CLIENTS_WRITE}),
        NoticeType.INCIDENT_DEADLINE: frozenset({INCIDENTS_READ}),
        NoticeType.INCIDENT_SHARED: frozenset({INCIDENTS_READ}),
    }
)
"""Scopes of which one opens a type; none for what concerns one person alone."""

MAILED = frozenset(
    {
        NoticeType.REQUEST_WAITS,
        NoticeType.QUESTION_WAITS,
        NoticeType.VERSION_DECISION,
        NoticeType.VERSION_REFUSED,
        NoticeType.VERSION_ENDS,
        NoticeType.BUDGET_NEARLY_SPENT,
        NoticeType.STATEMENT_READY,
        NoticeType.ALARM,
        NoticeType.DEED_WAITS,
        NoticeType.ROTATION_FAILED,
        NoticeType.NEW_DEVICE,
        NoticeType.INCIDENT_DEADLINE,
        NoticeType.INCIDENT_SHARED,
    }
)
"""What goes by mail to whoever has chosen nothing."""


def types_for(scopes: frozenset[str]) -> tuple[NoticeType, ...]:
    """Return the types that somebody with these scopes can be told of."""
    return tuple(one for one in NoticeType if not SCOPES[one] or SCOPES[one] & scopes)


@dataclass(frozen=True)
class Made:
    """A notice that an event of the log makes.

    Attributes:
        type: what has happened.
        organisation_id: whose people are told.
        at: when it has happened.
        scope: that opens it; None when it is for one person.
        user_id: for this person alone; None for all whose role carries the scope.
        data: ids, and what is no secret to whoever has the scope.
        once: names what it is about, of which one notice is enough; None when each event makes one.
    """

    type: NoticeType
    organisation_id: str
    at: datetime
    scope: str | None
    user_id: str | None
    data: Mapping[str, str]
    once: str | None = None


@dataclass(frozen=True)
class Notice:
    """A notice as its reader sees it.

    Attributes:
        id: `nt_...`.
        number: orders notices, the latest with the largest.
        type: what has happened.
        at: when.
        unread: whether the person has not marked it read.
        data: ids.
        about: names of what it is about: a buyer, a dataset, a population, a month; those that are known.
    """

    id: str
    number: int
    type: NoticeType
    at: datetime
    unread: bool
    data: Mapping[str, str]
    about: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """How somebody wants to be told of a type.

    Attributes:
        type: which.
        page: in the pages.
        mail: by mail.
    """

    type: NoticeType
    page: bool
    mail: bool
