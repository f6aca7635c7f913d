"""A room behind its API, with every kind of party and a client for each of their roles."""

import io
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from httpx import Response

from advertiser_api.app import create_app
from cleanroom.access.scopes import ROLES
from cleanroom.access.types import Client
from cleanroom.accounts.types import OrganisationKind
from cleanroom.bootstrap import open_room
from tests.rooms import Party, Stage

KINDS = {
    "provider": OrganisationKind.PROVIDER,
    "advertiser": OrganisationKind.ADVERTISER,
    "agency": OrganisationKind.AGENCY,
    "operator": OrganisationKind.OPERATOR,
    "rival_provider": OrganisationKind.PROVIDER,
    "rival_advertiser": OrganisationKind.ADVERTISER,
    "rival_agency": OrganisationKind.AGENCY,
}
"""Parties by kind; a rival may do as much as the party of its kind, with what is its own."""


class Pieces(httpx.AsyncByteStream):
    """A request's body as it was given: in one piece, or in several of unknown length."""

    def __init__(self, stream: object) -> None:
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._stream:
            yield piece


class InProcess(httpx.BaseTransport):
    """Calls an application without a socket, from code that does not await; what escapes it, is raised here."""

    def __init__(self, app: FastAPI) -> None:
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._transport = httpx.ASGITransport(app, client=("198.51.100.7", 4711))

    def handle_request(self, request: httpx.Request) -> Response:
        return self._portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> Response:
        asked = httpx.Request(
            request.method, request.url, headers=request.headers, stream=Pieces(request.stream)
        )
        answer = await self._transport.handle_async_request(asked)
        return Response(answer.status_code, headers=answer.headers, content=await answer.aread())

    def close(self) -> None:
        self._stack.close()


def in_process(app: FastAPI) -> httpx.Client:
    return httpx.Client(transport=InProcess(app), base_url="http://127.0.0.1:8000")


@dataclass
class World:
    """An application in this process; short names for what tests do most."""

    stage: Stage
    app: FastAPI
    http: httpx.Client
    log: io.StringIO
    clients: dict[str, Client] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    made: dict[str, Any] = field(default_factory=dict, repr=False)
    """What tests of a shared world made once for all."""
    known: dict[str, str] = field(default_factory=dict)

    def party(self, name: str) -> Party:
        return self.stage.parties[name]

    def token(self, who: str) -> str:
        """An access token of `party.role`."""
        if who not in self.tokens:
            self.tokens[who] = self.stage.room.access.issue_token(self.clients[who]).value
        return self.tokens[who]

    def call(
        self,
        who: str | None,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Call as `party.role`, or as nobody; a POST has a key of its own, an agency names its advertiser."""
        sent: dict[str, str] = {}
        if who is not None:
            sent["Authorization"] = f"Bearer {self.token(who)}"
            if who.partition(".")[0].endswith("agency"):
                sent["Cleanroom-Advertiser"] = self.party("advertiser").organisation_id
        if method == "POST":
            sent["Idempotency-Key"] = key or str(uuid.uuid4())
        content: dict[str, Any] = {} if body is None else {"json": body}
        return self.http.request(method, path, headers={**sent, **(headers or {})}, **content)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@dataclass(frozen=True)
class Template:
    """A populated room, closed; copied for each world."""

    stage: Stage
    clients: dict[str, Client]


def populate(stage: Stage) -> dict[str, Client]:
    """Register the other parties, a mandate of the agency, and a client for each role of each party."""
    clients: dict[str, Client] = {}
    for name, kind in KINDS.items():
        party = stage.parties.get(name) or stage.party(name, kind)
        with stage.room.db.transaction() as tx:
            for role in ROLES[kind]:
                made = stage.room.access.clients.register(
                    tx, organisation_id=party.organisation_id, name=f"{name} {role}", role=role
                )
                clients[f"{name}.{role}"] = made.client
    with stage.room.db.transaction() as tx:
        stage.room.accounts.grant_mandate(
            tx,
            agency_id=stage.parties["agency"].organisation_id,
            advertiser_id=stage.advertiser.organisation_id,
        )
    return clients


def world_of(stage: Stage, clients: dict[str, Client], **settings: Any) -> World:
    """Put a stage behind its API; settings are changed for it."""
    stage.room.close()
    changed = replace(stage.room.settings, **{"rate_per_minute": 100_000, **settings})
    stage.room = open_room(changed, clock=stage.clock)
    log = io.StringIO()
    app = create_app(stage.room, log=log)
    return World(stage, app, in_process(app), log, dict(clients))
