"""Registering endpoints, changing them, and their end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy import delete, func, or_, select

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.webhooks.addresses import Guard
from cleanroom.webhooks.errors import (
    EndpointFormError,
    EndpointStateError,
    TooManyEndpointsError,
    UnknownEndpointError,
)
from cleanroom.webhooks.events import DISABLED
from cleanroom.webhooks.models import WebhookDeliveryRow, WebhookEndpointRow
from cleanroom.webhooks.sealing import Sealing
from cleanroom.webhooks.types import DisabledFor, Endpoint, EndpointState, EventType, NewSecret

MAX_ENDPOINTS = 20
MAX_DESCRIPTION = 200
MAX_OVERLAP = timedelta(days=7)
DEFAULT_OVERLAP = timedelta(days=1)


@dataclass(frozen=True)
class Endpoints:
    """The endpoints of organisations."""

    clock: Clock
    log: AuditLog
    accounts: Accounts
    sealing: Sealing
    guard: Guard

    def create(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        url: str,
        types: Iterable[str],
        description: str = "",
        advertiser_id: str | None = None,
    ) -> NewSecret:
        """Register an endpoint; what happens from now on is announced to it.

        Args:
            tx: the caller's transaction.
            organisation_id: whose.
            url: of https, or what the operator allows besides.
            types: which events, one or more.
            description: up to 200 characters.
            advertiser_id: when the organisation is an agency: the client that it is for; None for all of them.

        Returns:
            The endpoint with its secret.

        Raises:
            AddressError: the room does not call this address.
            EndpointFormError: no type is named or one is unknown, or the description is too long.
            TooManyEndpointsError: the organisation has as many as it may have.
            OrganisationOffboardedError: it has left the room.
        """
        checked, wanted, text = self.guard.check(url), _types(types), _description(description)
        now = self.clock.now()
        # Held, so that it neither leaves meanwhile nor registers two last ones at once.
        self.accounts.lock(tx, organisation_id)
        self.accounts.require_present(tx, organisation_id)
        own = select(func.count()).where(WebhookEndpointRow.organisation_id == organisation_id)
        if (tx.session.scalar(own) or 0) >= MAX_ENDPOINTS:
            raise TooManyEndpointsError(
                f"An organisation has at most {MAX_ENDPOINTS} webhooks.",
                remedy="Delete one that is not needed.",
            )
        endpoint_id = new_id("wh", now)
        shown, sealed = self.sealing.fresh(tx, endpoint_id, 1)
        row = WebhookEndpointRow(
            id=endpoint_id,
            organisation_id=organisation_id,
            advertiser_id=advertiser_id,
            url=checked,
            types=wanted,
            description=text,
            state=EndpointState.ACTIVE.value,
            disabled_for=None,
            failing_since=None,
            since_index=self.log.size(tx),
            secret_version=1,
            secret=sealed,
            old_secret=None,
            old_secret_until=None,
            created_at=now,
        )
        tx.session.add(row)
        tx.session.flush()
        _log(tx, row, "created", **_facts(row))
        return NewSecret(endpoint_of(row), shown)

    def endpoint(
        self, tx: Transaction, endpoint_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> Endpoint:
        """Return an endpoint of an organisation, and for this client if an agency names one.

        Raises UnknownEndpointError.
        """
        return endpoint_of(self.row(tx, endpoint_id, organisation_id, advertiser_id))

    def endpoints(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        after: str = "",
        limit: int = 50,
    ) -> tuple[Endpoint, ...]:
        """Return the endpoints of an organisation, the oldest first, after an id; for one client if it is named."""
        rows = select(WebhookEndpointRow).where(
            WebhookEndpointRow.organisation_id == organisation_id, WebhookEndpointRow.id > after
        )
        if advertiser_id is not None:
            rows = rows.where(WebhookEndpointRow.advertiser_id == advertiser_id)
        found = tx.session.scalars(rows.order_by(WebhookEndpointRow.id).limit(limit))
        return tuple(endpoint_of(row) for row in found)

    def change(
        self,
        tx: Transaction,
        endpoint_id: str,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        url: str | None = None,
        types: Iterable[str] | None = None,
        description: str | None = None,
        active: bool | None = None,
    ) -> Endpoint:
        """Change what is given of an endpoint, pause it, or let it go on.

        What waits for an endpoint that is paused or disabled is sent when it goes on, if that is within a week. Nothing
        that happens while it is disabled is announced to it.

        Args:
            tx: the caller's transaction.
            endpoint_id: which.
            organisation_id: whose it has to be.
            advertiser_id: for which client it has to be, if an agency names one.
            url, types, description: as for `create`; None to leave them.
            active: False to pause it, True to go on, None to leave it.

        Raises:
            UnknownEndpointError: the organisation has no such endpoint.
            EndpointStateError: one that is disabled is to be paused.
            AddressError, EndpointFormError: as `create`.
        """
        row = self.row(tx, endpoint_id, organisation_id, advertiser_id, hold=True)
        before = row.url, row.types, row.description, row.state
        if url is not None:
            row.url = self.guard.check(url)
        if types is not None:
            row.types = _types(types)
        if description is not None:
            row.description = _description(description)
        if active:
            row.state, row.disabled_for, row.failing_since = EndpointState.ACTIVE.value, None, None
        elif active is False:
            if row.state == EndpointState.DISABLED:
                raise EndpointStateError(
                    "The webhook is disabled.", remedy="Make it active first, or delete it."
                )
            row.state = EndpointState.PAUSED.value
        tx.session.flush()
        if (row.url, row.types, row.description, row.state) != before:
            _log(tx, row, "changed", **_facts(row), url_changed=row.url != before[0])
        return endpoint_of(row)

    def rotate(
        self,
        tx: Transaction,
        endpoint_id: str,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        overlap: timedelta = DEFAULT_OVERLAP,
    ) -> NewSecret:
        """Replace an endpoint's secret; the one before signs too for a time.

        Args:
            tx: the caller's transaction.
            endpoint_id: which.
            organisation_id: whose it has to be.
            advertiser_id: for which client it has to be, if an agency names one.
            overlap: how long both sign; zero when the old one is known to others.

        Raises:
            UnknownEndpointError: the organisation has no such endpoint.
            EndpointFormError: the overlap is negative, or longer than a week.
        """
        if not timedelta(0) <= overlap <= MAX_OVERLAP:
            raise EndpointFormError(
                f"Two secrets sign together for 0 to {MAX_OVERLAP.days} days.",
                remedy="Choose a shorter time.",
            )
        # Before the endpoint, as a rotation of the key that seals secrets: no deadlock.
        self.sealing.begin(tx)
        row = self.row(tx, endpoint_id, organisation_id, advertiser_id, hold=True)
        version = row.secret_version + 1
        shown, sealed = self.sealing.fresh(tx, row.id, version)
        until = self.clock.now() + overlap
        row.old_secret, row.old_secret_until = (row.secret, until) if overlap else (None, None)
        row.secret, row.secret_version = sealed, version
        tx.session.flush()
        _log(tx, row, "secret_rotated", version=version, old_until=rfc3339(until))
        return NewSecret(endpoint_of(row), shown)

    def delete(
        self, tx: Transaction, endpoint_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> None:
        """Remove an endpoint with all that waits for it; raises UnknownEndpointError."""
        self._remove(tx, self.row(tx, endpoint_id, organisation_id, advertiser_id, hold=True))

    def end_all(self, tx: Transaction, organisation_id: str) -> tuple[str, ...]:
        """Remove the endpoints of an organisation that leaves, and those at which agencies listen for it.

        Returns:
            Their ids.
        """
        concerned = or_(
            WebhookEndpointRow.organisation_id == organisation_id,
            WebhookEndpointRow.advertiser_id == organisation_id,
        )
        rows = select(WebhookEndpointRow).where(concerned).order_by(WebhookEndpointRow.id).with_for_update()
        found = tx.session.scalars(rows).all()
        for row in found:
            self._remove(tx, row)
        return tuple(row.id for row in found)

    def row(
        self,
        tx: Transaction,
        endpoint_id: str,
        organisation_id: str,
        advertiser_id: str | None,
        *,
        hold: bool = False,
    ) -> WebhookEndpointRow:
        """Return the row of an organisation's endpoint, kept from others with `hold`; raises UnknownEndpointError."""
        row = tx.session.get(
            WebhookEndpointRow, endpoint_id, with_for_update=hold or None, populate_existing=hold
        )
        if (
            row is None
            or row.organisation_id != organisation_id
            or advertiser_id not in (None, row.advertiser_id)
        ):
            raise UnknownEndpointError("There is no webhook with this id.", remedy="List your webhooks.")
        return row

    def _remove(self, tx: Transaction, row: WebhookEndpointRow) -> None:
        tx.session.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.endpoint_id == row.id))
        tx.session.delete(row)
        tx.session.flush()
        _log(tx, row, "deleted")


def disable(tx: Transaction, row: WebhookEndpointRow, why: DisabledFor) -> None:
    """Send an endpoint nothing any more until its owner makes it active again."""
    if row.state == EndpointState.DISABLED:
        return
    row.state, row.disabled_for = EndpointState.DISABLED.value, why.value
    tx.session.flush()
    tx.audit(DISABLED, subject_id=row.id, organisation_id=row.organisation_id, body={"why": why.value})


def endpoint_of(row: WebhookEndpointRow) -> Endpoint:
    """Return a row as a value."""
    return Endpoint(
        id=row.id,
        organisation_id=row.organisation_id,
        advertiser_id=row.advertiser_id,
        url=row.url,
        types=tuple(EventType(one) for one in row.types),
        description=row.description,
        state=EndpointState(row.state),
        disabled_for=None if row.disabled_for is None else DisabledFor(row.disabled_for),
        failing_since=row.failing_since,
        old_secret_until=row.old_secret_until,
        created_at=row.created_at,
    )


def _types(given: Iterable[str]) -> list[str]:
    types = sorted(set(given))
    known = [one.value for one in EventType]
    if not types or not set(types) <= set(known):
        raise EndpointFormError(
            "A webhook names one or more types of events that the room knows.",
            remedy=f"Known: {', '.join(known)}.",
        )
    return types


def _description(given: str) -> str:
    text = given.strip()
    if len(text) > MAX_DESCRIPTION:
        raise EndpointFormError(
            f"A description has at most {MAX_DESCRIPTION} characters.", remedy="Shorten it."
        )
    return text


def _facts(row: WebhookEndpointRow) -> dict[str, object]:
    """What the log keeps of an endpoint: of its address the host alone, as the rest may be a secret."""
    return {
        "advertiser_id": row.advertiser_id,
        "host": urlsplit(row.url).hostname,
        "types": list(row.types),
        "state": row.state,
    }


def _log(tx: Transaction, row: WebhookEndpointRow, what: str, **facts: object) -> None:
    tx.audit(f"webhooks.{what}", subject_id=row.id, organisation_id=row.organisation_id, body=facts)
