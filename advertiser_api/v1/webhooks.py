"""Webhooks: where an organisation wants to be told of what has happened, and what became of telling it."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.parties import Party, party
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown
from cleanroom.access.scopes import WEBHOOKS_WRITE
from cleanroom.db.database import Transaction
from cleanroom.webhooks.addresses import MAX_URL
from cleanroom.webhooks.endpoints import DEFAULT_OVERLAP, MAX_DESCRIPTION, MAX_OVERLAP
from cleanroom.webhooks.types import (
    Delivery,
    DeliveryState,
    DisabledFor,
    Endpoint,
    EndpointState,
    EventType,
    Failure,
    NewSecret,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
Owner = Annotated[Party, Depends(party(WEBHOOKS_WRITE, whole=True))]
_HOUR = timedelta(hours=1)
Url = Annotated[
    str,
    Field(
        description="of https, on the public internet unless the room's operator allows more",
        min_length=1,
        max_length=MAX_URL,
        examples=["https://hooks.example.org/cleanroom"],
    ),
]
Types = Annotated[
    list[EventType],
    Field(min_length=1, max_length=100, examples=[["analysis.answered", "analysis.refused"]]),
]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION, examples=["production"])]


class NewWebhook(Given):
    """A webhook to register."""

    url: Url
    types: Types
    description: Description = ""


class WebhookChange(Given):
    """What is to change; what is left out stays."""

    url: Url | None = None
    types: Types | None = None
    description: Description | None = None
    state: Annotated[
        Literal["active", "paused"] | None,
        Field(description="active also takes up a webhook again that the room has disabled"),
    ] = None


class Rotation(Given):
    """How the secret is replaced."""

    overlap_hours: Annotated[
        int,
        Field(
            description="how long the old secret signs too; 0 when others know it",
            ge=0,
            le=MAX_OVERLAP // _HOUR,
        ),
    ] = DEFAULT_OVERLAP // _HOUR


class WebhookOut(Shown):
    """A webhook, without its secret."""

    id: Id
    advertiser_id: Annotated[Id | None, Field(description="the client that an agency's webhook is for")]
    url: str
    types: list[EventType]
    description: str
    state: EndpointState
    disabled_for: Annotated[
        DisabledFor | None,
        Field(description="gone: it answered 410; failing: it took nothing for days"),
    ]
    failing_since: Annotated[
        Instant | None, Field(description="since when a delivery was given up and none came through")
    ]
    old_secret_until: Instant | None
    created_at: Instant


class WebhookWithSecret(WebhookOut):
    """A webhook with a secret that is shown now, and never again."""

    secret: Annotated[
        str | None,
        Field(
            description="`whsec_` and base64; null in an answer that is repeated: rotate it then",
            examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        ),
    ]


class DeliveryOut(Shown):
    """One message to a webhook."""

    id: Annotated[Id, Field(description="the `webhook-id` of every attempt")]
    type: Annotated[str, Field(examples=["analysis.answered"])]
    state: DeliveryState
    created_at: Instant
    attempts: int
    next_attempt_at: Instant | None
    status: Annotated[int | None, Field(description="of HTTP, of the last attempt that was answered")]
    failure: Annotated[Failure | None, Field(description="why the last attempt failed")]
    finished_at: Instant | None


@router.post("", summary="Register a webhook", status_code=201, response_model=WebhookWithSecret)
def create_webhook(room: OpenRoom, owner: Owner, once: OnlyOnce, body: NewWebhook) -> Response:
    """Have events announced from now on; the secret that verifies them is shown once."""

    def create(tx: Transaction) -> WebhookWithSecret:
        made = room.webhooks.endpoints.create(
            tx,
            organisation_id=owner.organisation_id,
            advertiser_id=owner.advertiser_id,
            url=body.url,
            types=body.types,
            description=body.description,
        )
        return _with_secret(made)

    return once(owner.principal, create, secrets=("secret",))


@router.get("", summary="List webhooks")
def list_webhooks(room: OpenRoom, owner: Owner, page: AskedPage) -> Listed[WebhookOut]:
    """List the organisation's webhooks; an agency that names an advertiser sees those for it."""
    with room.db.reading() as tx:
        rows = room.webhooks.endpoints.endpoints(
            tx,
            organisation_id=owner.organisation_id,
            advertiser_id=owner.advertiser_id,
            after=page.after,
            limit=page.fetch,
        )
    return page.of(rows, _webhook, position=lambda endpoint: endpoint.id)


@router.get("/{webhook_id}", summary="Get a webhook")
def read_webhook(room: OpenRoom, owner: Owner, webhook_id: IdInPath) -> WebhookOut:
    """Get a webhook, and whether it works."""
    with room.db.reading() as tx:
        return _webhook(room.webhooks.endpoints.endpoint(tx, webhook_id, **_whose(owner)))


@router.patch("/{webhook_id}", summary="Change a webhook")
def change_webhook(room: OpenRoom, owner: Owner, webhook_id: IdInPath, body: WebhookChange) -> WebhookOut:
    """Change, pause or take up a webhook."""
    with room.db.transaction() as tx:
        changed = room.webhooks.endpoints.change(
            tx,
            webhook_id,
            **_whose(owner),
            url=body.url,
            types=body.types,
            description=body.description,
            active=None if body.state is None else body.state == "active",
        )
        return _webhook(changed)


@router.delete("/{webhook_id}", summary="Delete a webhook", status_code=204)
def delete_webhook(room: OpenRoom, owner: Owner, webhook_id: IdInPath) -> None:
    """Delete a webhook, with all that waits for it."""
    with room.db.transaction() as tx:
        room.webhooks.endpoints.delete(tx, webhook_id, **_whose(owner))


@router.post(
    "/{webhook_id}/secret",
    summary="Rotate a webhook's secret",
    status_code=201,
    response_model=WebhookWithSecret,
)
def rotate_secret(
    room: OpenRoom, owner: Owner, once: OnlyOnce, webhook_id: IdInPath, body: Rotation
) -> Response:
    """Make a new secret, shown once; messages carry signatures of both while they overlap."""

    def rotate(tx: Transaction) -> WebhookWithSecret:
        made = room.webhooks.endpoints.rotate(
            tx, webhook_id, **_whose(owner), overlap=timedelta(hours=body.overlap_hours)
        )
        return _with_secret(made)

    return once(owner.principal, rotate, secrets=("secret",))


@router.post("/{webhook_id}/ping", summary="Send a test message", status_code=202, response_model=DeliveryOut)
def ping_webhook(room: OpenRoom, owner: Owner, once: OnlyOnce, webhook_id: IdInPath) -> Response:
    """Send `webhook.ping`; what becomes of it stands among the deliveries."""
    return once(
        owner.principal,
        lambda tx: _delivery(room.webhooks.deliveries.ping(tx, webhook_id, **_whose(owner))),
        status=202,
    )


@router.get("/{webhook_id}/deliveries", summary="List deliveries")
def list_deliveries(
    room: OpenRoom, owner: Owner, webhook_id: IdInPath, page: AskedPage
) -> Listed[DeliveryOut]:
    """List what was sent in the last week, or waits to be; the newest first."""
    with room.db.reading() as tx:
        rows = room.webhooks.deliveries.deliveries(
            tx, webhook_id, **_whose(owner), before=page.after, limit=page.fetch
        )
    return page.of(rows, _delivery, position=lambda delivery: delivery.id)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    summary="Send a message again",
    status_code=202,
    response_model=DeliveryOut,
)
def redeliver(
    room: OpenRoom, owner: Owner, once: OnlyOnce, webhook_id: IdInPath, delivery_id: IdInPath
) -> Response:
    """Send a message again at once, under the same id."""

    def again(tx: Transaction) -> DeliveryOut:
        return _delivery(room.webhooks.deliveries.redeliver(tx, webhook_id, delivery_id, **_whose(owner)))

    return once(owner.principal, again, status=202)


def _whose(owner: Party) -> dict[str, str]:
    named = {} if owner.advertiser_id is None else {"advertiser_id": owner.advertiser_id}
    return {"organisation_id": owner.organisation_id, **named}


def _webhook(endpoint: Endpoint) -> WebhookOut:
    return WebhookOut(**_fields(endpoint))


def _with_secret(made: NewSecret) -> WebhookWithSecret:
    return WebhookWithSecret(**_fields(made.endpoint), secret=made.secret)


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {name: getattr(endpoint, name) for name in WebhookOut.model_fields}


def _delivery(delivery: Delivery) -> DeliveryOut:
    return DeliveryOut(**{name: getattr(delivery, name) for name in DeliveryOut.model_fields})
