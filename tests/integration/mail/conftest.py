"""A room that sends mail to a relay on loopback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cleanroom.access.types import User
from cleanroom.bootstrap import open_room
from cleanroom.mail.models import MailMessageRow
from cleanroom.room import Room
from cleanroom.settings.mail import MailSettings
from tests.access_rooms import AccessRoom, access_room, make_access_room
from tests.integration.mail.relay import Relay, relaying
from tests.people_rooms import Person, person, quick_hashes

__all__ = ["access_room", "make_access_room", "quick_hashes"]


@dataclass
class Post:
    """A room, its relay, and one person."""

    access: AccessRoom
    relay: Relay
    anna: Person

    @property
    def room(self) -> Room:
        return self.access.room

    def reopen(self, **changed: Any) -> None:
        usual = {
            "host": "127.0.0.1",
            "port": self.relay.port,
            "security": "none",
            "user": None,
            "password": None,
            "sender": "room@room.example.org",
        }
        self.room.close()
        settings = replace(self.room.settings, mail=MailSettings(**usual | changed))
        self.access.room = open_room(settings, clock=self.access.clock)
        self.anna.room = self.room

    def invite(self, email: str = "vera@example.org", language: str = "en") -> tuple[User, str]:
        with self.room.db.transaction() as tx:
            made = self.room.access.users.invite(
                tx, organisation_id=self.access.party("provider").id, email=email, role="viewer"
            )
            assert self.room.mail.invitation(tx, made.user, made.invitation, language=language)
        return made.user, made.invitation

    def send(self) -> bool:
        return self.room.mail.sending.send_due()

    def rows(self) -> list[MailMessageRow]:
        with self.room.db.reading() as tx:
            found = list(tx.session.query(MailMessageRow).order_by(MailMessageRow.id))
            tx.session.expunge_all()
            return found


@pytest.fixture
def relay() -> Iterator[Relay]:
    with relaying() as one:
        yield one


@pytest.fixture
def posting(access_room: AccessRoom, quick_hashes: None) -> Callable[[Relay], Post]:
    def make(relay: Relay, **changed: Any) -> Post:
        anna = person(access_room.room, access_room.party("provider").id)
        made = Post(access_room, relay, anna)
        made.reopen(**changed)
        return made

    return make


@pytest.fixture
def post(posting: Callable[[Relay], Post], relay: Relay) -> Post:
    return posting(relay)
