"""Short ways for tests to people a room: somebody who can sign in, with or without a second factor."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from argon2 import PasswordHasher

from cleanroom.access.types import User
from cleanroom.clock import Clock
from cleanroom.room import Room
from cleanroom.signin import passwords
from cleanroom.signin.totp import code_at, step_of
from cleanroom.signin.types import Entered, Member, Refused, SecondStep

PASSWORD = "seven quiet herons wade"
ADDRESS, AGENT = "192.0.2.7", "Firefox, Linux"


@dataclass
class Person:
    """Somebody who can sign in."""

    room: Room
    user: User
    secret: bytes = b""
    codes: tuple[str, ...] = ()
    password: str = field(default=PASSWORD, repr=False)

    def sign_in(
        self, password: str | None = None, *, address: str = ADDRESS
    ) -> Entered | SecondStep | Refused:
        return self.room.signin.sign_in(
            self.user.email, password or self.password, address=address, agent=AGENT
        )

    def enter(self) -> Entered:
        entered = self.sign_in()
        if isinstance(entered, SecondStep):
            let_in = self.room.signin.second_step(entered.token, self.code(), address=ADDRESS)
            assert isinstance(let_in, Entered)
            return let_in
        assert isinstance(entered, Entered), entered
        return entered

    def member(self) -> Member:
        member = self.room.signin.member(self.enter().token)
        assert member is not None
        return member

    def code(self, clock: Clock | None = None, *, steps: int = 0) -> str:
        return code_at(self.secret, step_of((clock or self.room.clock).now()) + steps)

    def enrol(self) -> None:
        factors = self.room.signin.second_factors
        with self.room.db.transaction() as tx:
            text = factors.begin(tx, self.user.id).secret
            self.secret = base64.b32decode(text + "=" * (-len(text) % 8))
        with self.room.db.transaction() as tx:
            self.codes = factors.confirm(tx, self.user.id, self.code())


def invite(room: Room, organisation_id: str, role: str, email: str) -> tuple[User, str]:
    with room.db.transaction() as tx:
        made = room.access.users.invite(tx, organisation_id=organisation_id, email=email, role=role)
    return made.user, made.invitation


def person(room: Room, organisation_id: str, role: str = "owner", email: str = "anna@example.org") -> Person:
    user, invitation = invite(room, organisation_id, role, email)
    room.signin.accept(invitation, PASSWORD, agent=AGENT)
    return Person(room, user)


@pytest.fixture(scope="module")
def quick_hashes() -> Iterator[None]:
    """Hashes that cost next to nothing; what the real ones cost is tested on its own."""
    real = passwords._HASHER
    passwords._nobodys.cache_clear()
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield
    passwords._HASHER = real
    passwords._nobodys.cache_clear()
