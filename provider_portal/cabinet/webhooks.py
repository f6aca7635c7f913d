"""Webhooks of the organisation: the list, one of them with its deliveries, its secret, and its end."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import WEBHOOKS_WRITE
from cleanroom.errors import CleanroomError
from cleanroom.webhooks.endpoints import MAX_ENDPOINTS
from cleanroom.webhooks.errors import UnknownDeliveryError, UnknownEndpointError
from cleanroom.webhooks.types import EventType, NewSecret
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.ui import go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/webhooks")
Hooking = Annotated[Visit, Depends(needs(WEBHOOKS_WRITE))]
_NOTICES = {
    "tested": N_("A test message is on its way. Load this page again in a moment."),
    "again": N_("The message is sent again."),
    "paused": N_("Nothing is sent until you let it go on."),
    "resumed": N_("It goes on; what waited is sent now."),
    "deleted": N_("The webhook is deleted, with all that waited for it."),
}


@router.get("")
def list_webhooks(visit: Hooking) -> Response:
    """Show where events are announced."""
    return _list(visit, notice=_NOTICES.get(visit.asked("done")))


@router.post("")
def add_webhook(visit: Hooking) -> Response:
    """Register an endpoint; its secret is shown this once."""
    url, description = visit.typed("url"), visit.typed("description")
    types = [one.value for one in EventType if visit.typed(f"type-{one.value}")]
    try:
        with visit.room.db.transaction() as tx:
            made = visit.room.webhooks.endpoints.create(
                tx,
                organisation_id=visit.who.organisation_id,
                url=url,
                types=types,
                description=description,
            )
    except CleanroomError as error:
        return _list(
            visit, url=url, description=description, types=types, error=error_words(error), status=400
        )
    return _secret(visit, made)


@router.get("/{endpoint_id}")
def show_webhook(visit: Hooking, endpoint_id: str) -> Response:
    """Show an endpoint and what was sent to it lately."""
    return _endpoint_page(visit, endpoint_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{endpoint_id}/rotate")
def rotate(visit: Hooking, endpoint_id: str) -> Response:
    """Replace the secret; the one before signs too for a day."""
    with visit.room.db.transaction() as tx:
        made = visit.room.webhooks.endpoints.rotate(
            tx, endpoint_id, organisation_id=visit.who.organisation_id
        )
    return _secret(visit, made)


@router.post("/{endpoint_id}/test")
def send_test(visit: Hooking, endpoint_id: str) -> Response:
    """Send a test message."""
    try:
        with visit.room.db.transaction() as tx:
            visit.room.webhooks.deliveries.ping(tx, endpoint_id, organisation_id=visit.who.organisation_id)
    except UnknownEndpointError:
        raise
    except CleanroomError as error:
        return _endpoint_page(visit, endpoint_id, error=error_words(error), status=409)
    return go(visit, f"/webhooks/{endpoint_id}?done=tested")


@router.post("/{endpoint_id}/switch")
def switch(visit: Hooking, endpoint_id: str) -> Response:
    """Pause an endpoint, or let it go on."""
    active = visit.typed("active") == "yes"
    try:
        with visit.room.db.transaction() as tx:
            visit.room.webhooks.endpoints.change(
                tx, endpoint_id, organisation_id=visit.who.organisation_id, active=active
            )
    except UnknownEndpointError:
        raise
    except CleanroomError as error:
        return _endpoint_page(visit, endpoint_id, error=error_words(error), status=409)
    return go(visit, f"/webhooks/{endpoint_id}?done={'resumed' if active else 'paused'}")


@router.post("/{endpoint_id}/delete")
def delete(visit: Hooking, endpoint_id: str) -> Response:
    """Remove an endpoint for good."""
    with visit.room.db.transaction() as tx:
        visit.room.webhooks.endpoints.delete(tx, endpoint_id, organisation_id=visit.who.organisation_id)
    return go(visit, "/webhooks?done=deleted")


@router.post("/{endpoint_id}/deliveries/{delivery_id}/again")
def send_again(visit: Hooking, endpoint_id: str, delivery_id: str) -> Response:
    """Send a message again, under the same id."""
    try:
        with visit.room.db.transaction() as tx:
            visit.room.webhooks.deliveries.redeliver(
                tx, endpoint_id, delivery_id, organisation_id=visit.who.organisation_id
            )
    except (UnknownEndpointError, UnknownDeliveryError):
        raise
    except CleanroomError as error:
        return _endpoint_page(visit, endpoint_id, error=error_words(error), status=409)
    return go(visit, f"/webhooks/{endpoint_id}?done=again")


def _secret(visit: Visit, made: NewSecret) -> Response:
    return page(visit, "cabinet/webhook_secret.html", endpoint=made.endpoint, secret=made.secret)


def _list(
    visit: Visit,
    *,
    notice: str | None = None,
    error: str | None = None,
    url: str = "",
    description: str = "",
    types: list[str] | None = None,
    status: int = 200,
) -> Response:
    with visit.room.db.reading() as tx:
        found = visit.room.webhooks.endpoints.endpoints(
            tx, organisation_id=visit.who.organisation_id, limit=MAX_ENDPOINTS
        )
    return page(
        visit,
        "cabinet/webhooks.html",
        status=status,
        found=found,
        full=len(found) >= MAX_ENDPOINTS,
        most=MAX_ENDPOINTS,
        all_types=tuple(EventType),
        types=types or [],
        url=url,
        description=description,
        notice=notice,
        error=error,
    )


def _endpoint_page(
    visit: Visit,
    endpoint_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    organisation_id, webhooks = visit.who.organisation_id, visit.room.webhooks
    with visit.room.db.reading() as tx:
        endpoint = webhooks.endpoints.endpoint(tx, endpoint_id, organisation_id=organisation_id)
        deliveries = webhooks.deliveries.deliveries(
            tx, endpoint_id, organisation_id=organisation_id, before=visit.asked("before"), limit=20
        )
    return page(
        visit,
        "cabinet/webhook.html",
        status=status,
        endpoint=endpoint,
        deliveries=deliveries,
        later=deliveries[-1].id if len(deliveries) == 20 else "",
        notice=notice,
        error=error,
    )
