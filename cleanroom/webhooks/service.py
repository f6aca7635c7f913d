"""The webhooks of a room, put together."""

from dataclasses import dataclass

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.db.database import Database
from cleanroom.webhooks.addresses import Guard, Network
from cleanroom.webhooks.deliveries import Deliveries
from cleanroom.webhooks.endpoints import Endpoints
from cleanroom.webhooks.outbox import Outbox
from cleanroom.webhooks.sealing import Sealing
from cleanroom.webhooks.sending import Sending
from crypto.keys import KeyProvider


@dataclass(frozen=True)
class Webhooks:
    """The services of the slice.

    Attributes:
        endpoints: addresses of organisations.
        deliveries: what is sent to them, and became of it.
        outbox: makes deliveries of the log's events.
        sending: sends them.
    """

    endpoints: Endpoints
    deliveries: Deliveries
    outbox: Outbox
    sending: Sending


def make_webhooks(
    db: Database,
    clock: Clock,
    accounts: Accounts,
    log: AuditLog,
    keys: KeyProvider,
    *,
    networks: tuple[Network, ...] = (),
) -> Webhooks:
    """Put the services together.

    Args:
        db, clock, accounts, log, keys: of the room.
        networks: that may be called besides the public internet.
    """
    sealing, guard = Sealing(keys, log), Guard(networks)
    endpoints = Endpoints(clock, log, accounts, sealing, guard)
    deliveries = Deliveries(clock, endpoints, sealing)
    return Webhooks(
        endpoints=endpoints,
        deliveries=deliveries,
        outbox=Outbox(clock, log, accounts),
        sending=Sending(db, clock, deliveries, guard),
    )
