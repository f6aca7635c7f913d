"""Deliveries: whose turn it is, what became of an attempt, and what their owners see of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import case, func, literal, or_, select, update

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.webhooks.endpoints import Endpoints, disable
from cleanroom.webhooks.errors import EndpointStateError, UnknownDeliveryError
from cleanroom.webhooks.models import WebhookDeliveryRow, WebhookEndpointRow
from cleanroom.webhooks.outbox import delivery_row
from cleanroom.webhooks.retrying import FAILING_FOR, MAX_ATTEMPTS, delay_after
from cleanroom.webhooks.sealing import Sealing
from cleanroom.webhooks.types import PING, Delivery, DeliveryState, DisabledFor, EndpointState, Failure
from crypto.errors import CryptoError

LEASE = timedelta(seconds=90)
"""How long a worker may be at one delivery; several times as long as an attempt can take."""
AT_ONCE = 32
PER_ORGANISATION = 4
_GONE = 410
_PENDING = DeliveryState.PENDING.value


@dataclass(frozen=True)
class Claimed:
    """A delivery that this worker is to send, and nobody else until its lease ends.

    Attributes:
        id: `msg_...`.
        organisation_id: whose endpoint it goes to.
        lease: names this claim.
        url: where.
        body: what.
        keys: sign it; none when the secret could not be opened.
    """

    id: str
    organisation_id: str
    lease: str
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    keys: Sequence[bytes] = field(repr=False)


@dataclass(frozen=True)
class Attempt:
    """What became of one attempt.

    Attributes:
        status: of HTTP; None when there was no answer.
        failure: None when it was delivered.
        retry_after: how long the receiver asks to wait; None when it does not say.
    """

    status: int | None = None
    failure: Failure | None = None
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class Deliveries:
    """The deliveries of endpoints."""

    clock: Clock
    endpoints: Endpoints
    sealing: Sealing

    def due(self, tx: Transaction, under_way: Counter[str]) -> tuple[str, ...]:
        """Return the ids of deliveries to send now: of each organisation a few, in turns.

        Args:
            tx: any transaction.
            under_way: how many this worker is sending already, by organisation: they count towards the few.
        """
        now = self.clock.now()
        few = literal(PER_ORGANISATION)
        left = {one: PER_ORGANISATION - sending for one, sending in under_way.items()}
        free = case(left, value=WebhookEndpointRow.organisation_id, else_=few) if left else few
        turn = func.row_number().over(
            partition_by=WebhookEndpointRow.organisation_id, order_by=WebhookDeliveryRow.due_at
        )
        waiting = (
            select(WebhookDeliveryRow.id, WebhookDeliveryRow.due_at, turn.label("turn"), free.label("free"))
            .join(WebhookEndpointRow, WebhookEndpointRow.id == WebhookDeliveryRow.endpoint_id)
            .where(
                WebhookEndpointRow.state == EndpointState.ACTIVE.value,
                WebhookDeliveryRow.state == _PENDING,
                WebhookDeliveryRow.due_at <= now,
                or_(WebhookDeliveryRow.lease_until.is_(None), WebhookDeliveryRow.lease_until <= now),
            )
            .subquery()
        )
        rows = select(waiting.c.id).where(waiting.c.turn <= waiting.c.free)
        # Whoever has least under way comes first: a place that frees does not go to those whose receivers hang.
        turns = rows.order_by(waiting.c.turn - waiting.c.free, waiting.c.due_at, waiting.c.id)
        first = turns.limit(AT_ONCE - under_way.total())
        return tuple(tx.session.scalars(first))

    def claim(self, tx: Transaction, delivery_ids: Sequence[str]) -> tuple[Claimed, ...]:
        """Take deliveries for this worker; those that another one has taken meanwhile are left out.

        The attempt counts from here on, whether this worker lives to tell of it or not.
        """
        now = self.clock.now()
        self.sealing.hold(tx)
        claimed = []
        # In one order, so that two workers wait for each other and never in a circle.
        for delivery_id in sorted(delivery_ids):
            lease = new_id("ls", now)
            taken = tx.session.execute(
                update(WebhookDeliveryRow)
                .where(
                    WebhookDeliveryRow.id == delivery_id,
                    WebhookDeliveryRow.state == _PENDING,
                    or_(WebhookDeliveryRow.lease_until.is_(None), WebhookDeliveryRow.lease_until <= now),
                )
                .values(lease=lease, lease_until=now + LEASE, attempts=WebhookDeliveryRow.attempts + 1)
                .returning(WebhookDeliveryRow.endpoint_id, WebhookDeliveryRow.body)
            ).one_or_none()
            if taken is None:
                continue
            endpoint = tx.session.get_one(WebhookEndpointRow, taken.endpoint_id)
            try:
                keys = self.sealing.open(tx, endpoint, now)
            except CryptoError:
                # A key file older than the database: its owner gets messages again after the next rotation.
                keys = []
            claimed.append(
                Claimed(delivery_id, endpoint.organisation_id, lease, endpoint.url, taken.body, tuple(keys))
            )
        return tuple(claimed)

    def record(self, tx: Transaction, claimed: Claimed, attempt: Attempt) -> None:
        """Note what became of an attempt; nothing if its lease has passed to somebody else."""
        held = _hold(tx, claimed)
        if held is None:
            return
        endpoint, row = held
        now = self.clock.now()
        row.status, row.failure, row.lease, row.lease_until = attempt.status, attempt.failure, None, None
        if attempt.failure is None:
            row.state, row.finished_at, endpoint.failing_since = DeliveryState.DELIVERED.value, now, None
        elif attempt.status == _GONE or row.attempts >= MAX_ATTEMPTS:
            row.state, row.finished_at = DeliveryState.GIVEN_UP.value, now
            self._given_up(tx, endpoint, row)
        else:
            row.due_at = now + delay_after(row.attempts, asked=attempt.retry_after)
        if attempt.status == _GONE:
            disable(tx, endpoint, DisabledFor.GONE)
        elif attempt.failure and endpoint.failing_since and now - endpoint.failing_since >= FAILING_FOR:
            disable(tx, endpoint, DisabledFor.FAILING)
        tx.session.flush()

    def ping(
        self, tx: Transaction, endpoint_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> Delivery:
        """Send an endpoint a test message; one that is on its way already is not sent twice.

        Raises:
            UnknownEndpointError: the organisation has no such endpoint.
            EndpointStateError: it is paused or disabled.
        """
        endpoint = self._active(tx, endpoint_id, organisation_id, advertiser_id)
        pings = select(WebhookDeliveryRow).where(
            WebhookDeliveryRow.endpoint_id == endpoint.id,
            WebhookDeliveryRow.type == PING,
            WebhookDeliveryRow.state == _PENDING,
        )
        row = tx.session.scalars(pings.limit(1)).first()
        if row is None:
            now = self.clock.now()
            row = delivery_row(endpoint.id, type_=PING, at=now, send_at=now, data={"webhook_id": endpoint.id})
            tx.session.add(row)
            tx.session.flush()
            tx.audit("webhooks.ping_asked", subject_id=endpoint.id, organisation_id=organisation_id)
        return _delivery(row)

    def deliveries(
        self,
        tx: Transaction,
        endpoint_id: str,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        before: str = "",
        limit: int = 50,
    ) -> tuple[Delivery, ...]:
        """Return the deliveries of the last days, the newest first, those before an id; raises UnknownEndpointError."""
        endpoint = self.endpoints.row(tx, endpoint_id, organisation_id, advertiser_id)
        rows = select(WebhookDeliveryRow).where(
            WebhookDeliveryRow.endpoint_id == endpoint.id, WebhookDeliveryRow.visible_at <= self.clock.now()
        )
        if before:
            rows = rows.where(WebhookDeliveryRow.id < before)
        found = tx.session.scalars(rows.order_by(WebhookDeliveryRow.id.desc()).limit(limit))
        return tuple(_delivery(row) for row in found)

    def redeliver(
        self,
        tx: Transaction,
        endpoint_id: str,
        delivery_id: str,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
    ) -> Delivery:
        """Send a delivery again, under the same id, at once; one that is under way is only hurried.

        Raises:
            UnknownEndpointError, UnknownDeliveryError: the organisation has no such endpoint, or that no such delivery.
            EndpointStateError: the endpoint is paused or disabled.
        """
        endpoint = self._active(tx, endpoint_id, organisation_id, advertiser_id)
        row = tx.session.get(WebhookDeliveryRow, delivery_id, with_for_update=True, populate_existing=True)
        now = self.clock.now()
        if row is None or row.endpoint_id != endpoint.id or row.visible_at > now:
            raise UnknownDeliveryError(
                "The webhook has no delivery with this id.", remedy="They are kept for a week; list them."
            )
        if row.state != _PENDING:
            row.attempts, row.finished_at = 0, None
        row.state, row.due_at = _PENDING, now
        tx.session.flush()
        tx.audit(
            "webhooks.redelivery_asked",
            subject_id=endpoint.id,
            organisation_id=organisation_id,
            body={"delivery_id": row.id},
        )
        return _delivery(row)

    def _active(
        self, tx: Transaction, endpoint_id: str, organisation_id: str, advertiser_id: str | None
    ) -> WebhookEndpointRow:
        endpoint = self.endpoints.row(tx, endpoint_id, organisation_id, advertiser_id, hold=True)
        if endpoint.state != EndpointState.ACTIVE:
            raise EndpointStateError(f"The webhook is {endpoint.state}.", remedy="Make it active first.")
        return endpoint

    def _given_up(self, tx: Transaction, endpoint: WebhookEndpointRow, row: WebhookDeliveryRow) -> None:
        if endpoint.failing_since is None:
            endpoint.failing_since = self.clock.now()
        tx.audit(
            "webhooks.given_up",
            subject_id=endpoint.id,
            organisation_id=endpoint.organisation_id,
            body={
                "delivery_id": row.id,
                "attempts": row.attempts,
                "status": row.status,
                "failure": row.failure,
            },
        )


def _hold(tx: Transaction, claimed: Claimed) -> tuple[WebhookEndpointRow, WebhookDeliveryRow] | None:
    """Lock a claimed delivery and its endpoint; None when it is gone, or its lease is somebody else's."""
    endpoint_id = tx.session.scalar(
        select(WebhookDeliveryRow.endpoint_id).where(WebhookDeliveryRow.id == claimed.id)
    )
    if endpoint_id is None:
        return None
    # The endpoint before its delivery, as when it is deleted: no deadlock.
    endpoint = tx.session.get(WebhookEndpointRow, endpoint_id, with_for_update=True, populate_existing=True)
    row = tx.session.get(WebhookDeliveryRow, claimed.id, with_for_update=True, populate_existing=True)
    return None if endpoint is None or row is None or row.lease != claimed.lease else (endpoint, row)


def _delivery(row: WebhookDeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        type=row.type,
        state=DeliveryState(row.state),
        created_at=row.visible_at,
        attempts=row.attempts,
        next_attempt_at=row.due_at if row.state == _PENDING else None,
        status=row.status,
        failure=None if row.failure is None else Failure(row.failure),
        finished_at=row.finished_at,
    )
