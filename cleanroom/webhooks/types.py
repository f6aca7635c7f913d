"""Webhooks and their deliveries as values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """What can be announced; types are added, and never change their meaning."""

    ANALYSIS_ANSWERED = "analysis.answered"
    ANALYSIS_REFUSED = "analysis.refused"
    ANALYSIS_FAILED = "analysis.failed"
    ANALYSIS_CANCELLED = "analysis.cancelled"
    UPLOAD_LOADED = "upload.loaded"
    UPLOAD_PUBLISHED = "upload.published"
    UPLOAD_REJECTED = "upload.rejected"
    REQUEST_CREATED = "request.created"
    REQUEST_APPROVED = "request.approved"
    REQUEST_REJECTED = "request.rejected"
    REQUEST_WITHDRAWN = "request.withdrawn"
    ENTITLEMENT_REVOKED = "entitlement.revoked"
    ENTITLEMENT_EXPIRED = "entitlement.expired"
    STATEMENT_READY = "statement.ready"
    CONSENT_EPOCH_BEGUN = "consent.epoch_begun"
    ALARM_RAISED = "alarm.raised"
    WEBHOOK_DISABLED = "webhook.disabled"


PING = "webhook.ping"
"""The type of a test message, which every endpoint can be sent."""


class EndpointState(StrEnum):
    """Whether an endpoint is sent anything."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DisabledFor(StrEnum):
    """Why the room has disabled an endpoint."""

    GONE = "gone"
    FAILING = "failing"


class DeliveryState(StrEnum):
    """What has become of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Failure(StrEnum):
    """Why an attempt failed; what a receiver or a resolver said beyond this is not kept."""

    ADDRESS = "address"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    STATUS = "status"
    SECRET = "secret"  # noqa: S105 - the name of a reason


@dataclass(frozen=True)
class Endpoint:
    """An address of an organisation at which the room announces events.

    Attributes:
        id: `wh_...`.
        organisation_id: whose.
        advertiser_id: an agency's client, when only what concerns this one is announced.
        url: where; it may hold a secret of the receiver's.
        types: which events.
        description: for people.
        state: whether it is sent anything.
        disabled_for: why the room has disabled it; None unless it has.
        failing_since: since when a delivery was given up without any success after it; None when all is well.
        old_secret_until: until when the secret before the last rotation signs too; None when it does not.
        created_at: when it was registered.
    """

    id: str
    organisation_id: str
    advertiser_id: str | None
    url: str
    types: tuple[EventType, ...]
    description: str
    state: EndpointState
    disabled_for: DisabledFor | None
    failing_since: datetime | None
    old_secret_until: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class NewSecret:
    """An endpoint, and its secret, which is shown now and never again.

    Attributes:
        endpoint: whose secret it is.
        secret: `whsec_` and base64.
    """

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """One message to one endpoint.

    Attributes:
        id: `msg_...`, the `webhook-id` of every attempt.
        endpoint_id: to which.
        type: of the event, or a ping.
        state: what has become of it.
        created_at: when it was there to be sent.
        attempts: how often it was tried since it was made, or asked for again.
        next_attempt_at: when it is tried next; None when it is not any more.
        status: of HTTP, of the last attempt; None when there was no answer.
        failure: why the last attempt failed; None when it did not, or there was none.
        finished_at: when it was delivered or given up.
    """

    id: str
    endpoint_id: str
    type: str
    state: DeliveryState
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    status: int | None
    failure: Failure | None
    finished_at: datetime | None
