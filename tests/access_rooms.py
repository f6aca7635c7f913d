"""Small rooms for tests of who may call: parties, clients, assertions, and an app with nothing but the OAuth routes."""

import asyncio
import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import select

from advertiser_api.oauth.router import ASSERTION_TYPE, oauth_router
from cleanroom.access.client_keys import REGISTRY
from cleanroom.access.types import Client, Principal
from cleanroom.accounts.types import Organisation
from cleanroom.audit.models import AuditEvent
from cleanroom.bootstrap import init_room
from cleanroom.counts import Counts
from cleanroom.room import Room
from cleanroom.settings import load_settings
from tests.ready_databases import ReadyDatabases
from tests.rooms import MovableClock

URL = "https://room.example.org"
Key = ECKey | OKPKey | RSAKey
ALGORITHM_OF = {"EC": "ES256", "OKP": "EdDSA", "RSA": "PS256"}


def key_set(*keys: Key) -> dict[str, Any]:
    return {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint()} for key in keys]}


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A JWT without a signature, as `alg: none` has it."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


@dataclass
class AccessRoom:
    room: Room
    clock: MovableClock
    parties: dict[str, Organisation] = field(default_factory=dict)

    def party(self, kind: str = "advertiser", name: str = "") -> Organisation:
        called = name or kind
        if called not in self.parties:
            with self.room.db.transaction() as tx:
                self.parties[called] = self.room.accounts.create_organisation(tx, name=called, kind=kind)
        return self.parties[called]

    def key_client(
        self, *keys: Key, party: Organisation | None = None, role: str = "owner", **changed: Any
    ) -> Client:
        with self.room.db.transaction() as tx:
            return self.room.access.clients.register(
                tx,
                organisation_id=(party or self.party()).id,
                name="program",
                **({"role": role} | changed),
                key_set=key_set(*keys),
            ).client

    def secret_client(self, *, party: Organisation | None = None, role: str = "owner") -> tuple[Client, str]:
        with self.room.db.transaction() as tx:
            made = self.room.access.clients.register(
                tx, organisation_id=(party or self.party()).id, name="program", role=role
            )
        assert made.secret is not None
        return made.client, made.secret

    def principal(self, client: Client) -> Principal:
        return self.room.access.authenticate(self.room.access.issue_token(client).value)

    def claims(self, client: Client, **changed: Any) -> dict[str, Any]:
        """What an assertion says; a value of None leaves a claim out."""
        now = self.clock.now().timestamp()
        plain = {
            "iss": client.id,
            "sub": client.id,
            "aud": f"{URL}/oauth/token",
            "jti": os.urandom(8).hex(),
            "iat": int(now),
            "exp": int(now) + 60,
        }
        return {name: value for name, value in (plain | changed).items() if value is not None}

    def assertion(
        self, client: Client, key: Key, *, header: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        alg = ALGORITHM_OF[key.key_type]
        head = {"alg": alg, "kid": key.thumbprint()} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, self.claims(client, **changed), key, registry=REGISTRY)

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = select(AuditEvent.record).where(AuditEvent.kind == kind).order_by(AuditEvent.index)
        with self.room.db.reading() as tx:
            return [json.loads(record) for record in tx.session.scalars(rows)]


MakeAccessRoom = Callable[..., AccessRoom]


@pytest.fixture
def make_access_room(tmp_path: Path, ready_databases: ReadyDatabases) -> Iterator[MakeAccessRoom]:
    """A factory of empty rooms, on SQLite or on the database named, with the settings given."""
    made: list[AccessRoom] = []

    def make(**settings: str) -> AccessRoom:
        home = tmp_path / f"access{len(made)}"
        environ = {
            f"CLEANROOM_{name.upper()}": value for name, value in ({"public_url": URL} | settings).items()
        }
        given, clock = load_settings(environ, home=home), MovableClock()
        ready_databases.migrated(given.database_url)
        made.append(AccessRoom(init_room(given, clock=clock), clock))
        return made[-1]

    yield make
    for one in made:
        one.room.close()


@pytest.fixture
def access_room(make_access_room: MakeAccessRoom) -> AccessRoom:
    """An empty room on SQLite."""
    return make_access_room()


class Web:
    """Calls an app over HTTP, without a socket."""

    def __init__(self, app: FastAPI, *, address: str = "127.0.0.1") -> None:
        self.app = app
        self._address = address

    def get(self, url: str, **given: Any) -> Response:
        return self.request("GET", url, **given)

    def post(self, url: str, **given: Any) -> Response:
        return self.request("POST", url, **given)

    def request(self, method: str, url: str, **given: Any) -> Response:
        async def call() -> Response:
            transport = ASGITransport(self.app, client=(self._address, 50_000))
            async with AsyncClient(transport=transport, base_url=URL) as client:
                return await client.request(method, url, **given)

        return asyncio.run(call())


def web(one: AccessRoom) -> Web:
    """An app that has nothing but the OAuth routes."""
    app = FastAPI()
    app.include_router(oauth_router(one.room, Counts()))
    return Web(app)


def asking(assertion: str, **changed: str) -> dict[str, str]:
    """The form of a request for a token."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    } | changed
