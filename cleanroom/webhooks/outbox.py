"""The outbox: the log's events become deliveries behind a cursor, as usage does, in one transaction each batch.

Whatever is committed is announced, and nothing that was rolled back: events are part of the transaction of what they
tell. A crash anywhere leaves cursor and deliveries as they were, and an event is announced to an endpoint once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.webhooks.events import KINDS, Announcement, announcement_of
from cleanroom.webhooks.models import WebhookDeliveryRow, WebhookEndpointRow, WebhookStateRow
from cleanroom.webhooks.sealing import STATE
from cleanroom.webhooks.types import DeliveryState, EndpointState

PER_BATCH = 500
KEPT = timedelta(days=7)
"""How long deliveries are kept: those that are finished, and those that wait for an endpoint that is not active."""
FORMAT = 1


@dataclass(frozen=True)
class Outbox:
    """Makes deliveries, and clears old ones away."""

    clock: Clock
    log: AuditLog
    accounts: Accounts

    def catch_up(self, db: Database) -> None:
        """Announce what the log holds, a transaction for each batch; where there is nothing it only reads."""
        with db.reading() as tx:
            due = self._behind(tx)
        while due:
            with db.transaction() as tx:
                due = self.announce(tx) == PER_BATCH

    def announce(self, tx: Transaction, *, limit: int = PER_BATCH) -> int:
        """Make deliveries of the events since the last time.

        Args:
            tx: the caller's transaction; deliveries and cursor are kept or lost together.
            limit: how many events to read at most; call again while there are more.

        Returns:
            How many were read.
        """
        state = tx.session.get(WebhookStateRow, STATE, with_for_update=True, populate_existing=True)
        if state is None:
            return 0
        # Read first: whatever is committed meanwhile lies behind it, and is read the next time.
        size = self.log.size(tx)
        events = self._events(tx, state.next_index, size, limit)
        # After the events: an endpoint that was there before one of them is seen. None is deleted meanwhile.
        endpoints = tx.session.scalars(
            select(WebhookEndpointRow)
            .where(WebhookEndpointRow.state != EndpointState.DISABLED.value)
            .order_by(WebhookEndpointRow.id)
            .with_for_update(read=True, key_share=True)
        ).all()
        for index, record in events:
            announced = announcement_of(tx, record) if endpoints else None
            if announced is None:
                continue
            for endpoint in endpoints:
                if endpoint.since_index <= index and self._concerns(tx, endpoint, announced):
                    tx.session.add(_delivery(endpoint.id, index, announced))
        state.next_index = events[-1][0] + 1 if len(events) == limit else size
        tx.session.flush()
        return len(events)

    def sweep(self, tx: Transaction) -> None:
        """Forget old deliveries, and secrets that sign no more."""
        now = self.clock.now()
        waiting = select(WebhookEndpointRow.id).where(WebhookEndpointRow.state != EndpointState.ACTIVE.value)
        tx.session.execute(
            delete(WebhookDeliveryRow).where(
                or_(
                    WebhookDeliveryRow.finished_at < now - KEPT,
                    WebhookDeliveryRow.endpoint_id.in_(waiting)
                    & (WebhookDeliveryRow.visible_at < now - KEPT)
                    & WebhookDeliveryRow.finished_at.is_(None),
                )
            )
        )
        tx.session.execute(
            update(WebhookEndpointRow)
            .where(WebhookEndpointRow.old_secret_until <= now)
            .values(old_secret=None, old_secret_until=None)
        )

    def counts(self, tx: Transaction) -> dict[DeliveryState, int]:
        """Count the deliveries that are kept, by what has become of them."""
        rows = select(WebhookDeliveryRow.state, func.count()).group_by(WebhookDeliveryRow.state)
        found = {DeliveryState(state): int(count) for state, count in tx.session.execute(rows)}
        return {state: found.get(state, 0) for state in DeliveryState}

    def _behind(self, tx: Transaction) -> bool:
        state = tx.session.get(WebhookStateRow, STATE)
        return state is not None and bool(self._events(tx, state.next_index, self.log.size(tx), 1))

    def _events(self, tx: Transaction, first: int, size: int, limit: int) -> list[tuple[int, bytes]]:
        found = self.log.events(tx, organisation_id=None, kinds=KINDS, after=first - 1, limit=limit)
        return [(index, record) for index, record in found if index < size]

    def _concerns(self, tx: Transaction, endpoint: WebhookEndpointRow, announced: Announcement) -> bool:
        if announced.type.value not in endpoint.types:
            return False
        client = endpoint.advertiser_id
        if client is None:
            return endpoint.organisation_id in announced.parties
        # An agency that listens for one client is told what it may see of it over HTTP, while it may.
        concerned = (endpoint.organisation_id, client) in announced.through or (
            announced.advertiser_id == client
            and (endpoint.organisation_id in announced.parties or announced.mandate is not None)
        )
        return concerned and (
            self.accounts.mandate_in_force(
                tx,
                agency_id=endpoint.organisation_id,
                advertiser_id=client,
                at=self.clock.now(),
                action=announced.mandate,
            )
        )


def delivery_row(
    endpoint_id: str,
    *,
    type_: str,
    at: datetime,
    send_at: datetime,
    data: Mapping[str, str | None],
    event_index: int | None = None,
) -> WebhookDeliveryRow:
    """Return a new delivery that waits to be sent.

    Args:
        endpoint_id: to which.
        type_: of the event, or a ping.
        at: when it has happened, or is shown.
        send_at: not before.
        data: ids.
        event_index: of the log's event that it announces.
    """
    body = canonical_json({"data": dict(data), "timestamp": rfc3339(at), "type": type_, "v": FORMAT})
    return WebhookDeliveryRow(
        # Its time is the one that is told anyway, not when the log was read: that is nobody's business.
        id=new_id("msg", at),
        endpoint_id=endpoint_id,
        event_index=event_index,
        type=type_,
        body=body,
        state=DeliveryState.PENDING.value,
        visible_at=send_at,
        due_at=send_at,
        attempts=0,
        status=None,
        failure=None,
        finished_at=None,
        lease=None,
        lease_until=None,
    )


def _delivery(endpoint_id: str, index: int, announced: Announcement) -> WebhookDeliveryRow:
    return delivery_row(
        endpoint_id,
        type_=announced.type.value,
        at=announced.at,
        send_at=announced.send_at,
        data=announced.data,
        event_index=index,
    )
