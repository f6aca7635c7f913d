"""Short names for what tests of webhooks do most."""

import json
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from cleanroom.bootstrap import open_room
from cleanroom.client.webhooks import verify
from cleanroom.room import Room
from cleanroom.webhooks.types import Delivery, Endpoint, EventType, NewSecret
from cleanroom.worker.pieces import Announcing, Chores
from tests.integration.webhooks.receiver import Message, Receiver
from tests.rooms import Party, Stage

LOOPBACK = (ip_network("127.0.0.0/8"),)
EVERYTHING = tuple(EventType)


class KilledError(BaseException):
    """The worker is no more."""


def killed(*_arguments: Any) -> None:
    raise KilledError


def announcing(room: Room) -> Announcing:
    """A worker's piece that fails of what nobody foresaw."""
    return Announcing(room, unforeseen)


def unforeseen(_event: str, error: Exception) -> None:
    raise error


@dataclass
class Scene:
    stage: Stage
    receiver: Receiver
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage.room.close()
        settings = replace(self.stage.room.settings, webhook_networks=LOOPBACK)
        self.stage.room = open_room(settings, clock=self.stage.clock)

    @property
    def room(self) -> Room:
        return self.stage.room

    @property
    def advertiser(self) -> str:
        return self.stage.advertiser.organisation_id

    def register(self, party: Party | None = None, **changed: Any) -> Endpoint:
        given = {
            "organisation_id": (party or self.stage.advertiser).organisation_id,
            "url": self.receiver.url,
            "types": EVERYTHING,
        } | changed
        with self.room.db.transaction() as tx:
            made: NewSecret = self.room.webhooks.endpoints.create(tx, **given)
        self.secrets[made.endpoint.id] = made.secret
        return made.endpoint

    def look(self, endpoint: Endpoint) -> Endpoint:
        with self.room.db.reading() as tx:
            return self.room.webhooks.endpoints.endpoint(
                tx, endpoint.id, organisation_id=endpoint.organisation_id
            )

    def change(self, endpoint: Endpoint, **changed: Any) -> Endpoint:
        with self.room.db.transaction() as tx:
            return self.room.webhooks.endpoints.change(
                tx, endpoint.id, organisation_id=endpoint.organisation_id, **changed
            )

    def ping(self, endpoint: Endpoint) -> Delivery:
        with self.room.db.transaction() as tx:
            return self.room.webhooks.deliveries.ping(
                tx, endpoint.id, organisation_id=endpoint.organisation_id
            )

    def deliveries(self, endpoint: Endpoint) -> list[Delivery]:
        """The oldest first."""
        with self.room.db.reading() as tx:
            found = self.room.webhooks.deliveries.deliveries(
                tx, endpoint.id, organisation_id=endpoint.organisation_id
            )
        return list(reversed(found))

    def work(self) -> None:
        """Do what a worker does by now: read the log, send what is due."""
        Chores(self.room)()
        while self.send():
            pass

    def send(self) -> bool:
        """Send what is due; what nobody foresaw fails the test."""
        return announcing(self.room)()

    def types(self) -> list[str]:
        """Of the messages that came, in order."""
        return [json.loads(message.body)["type"] for message in self.receiver.messages]

    def verified(self, message: Message, endpoint: Endpoint) -> dict[str, Any]:
        now = self.stage.clock.now().timestamp()
        event = verify(self.secrets[endpoint.id], message.headers, message.body, now=now)
        return dict(event.data)
