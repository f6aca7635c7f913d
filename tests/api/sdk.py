"""A room in this process whose worker works whenever somebody looks, and clients of the SDK for its parties."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from cleanroom import AsyncClient, Client
from cleanroom.access.client_keys import generate_private_key, public_set
from cleanroom.client.remote.profiles import Profile, save_profile
from cleanroom.room import Room
from cleanroom.worker.pieces import Counting, Loading
from tests.api.world import InProcess, World
from tests.market import Market

Wish = Callable[[httpx.Request], None]


def work(room: Room) -> None:
    """Do what a worker would have done by now."""

    def report(event: str, error: Exception) -> None:
        raise AssertionError(event) from error

    counting = Counting(room, report)
    while any(piece() for piece in (Loading(room), counting)):
        pass
    counting.close()


class Worked(httpx.BaseTransport):
    """Lets the worker go first when an answer is looked at; a wish may break off a request before or after it."""

    def __init__(self, world: World, *, before: Wish | None = None, after: Wish | None = None) -> None:
        self._world, self._before, self._after = world, before, after
        self._inner = InProcess(world.app)
        self.seen: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(f"{request.method} {request.url.path}")
        if self._before:
            self._before(request)
        if request.method == "GET" and request.url.path.startswith(("/v1/uploads/", "/v1/analyses/")):
            work(self._world.stage.room)
        answer = self._inner.handle_request(request)
        if self._after:
            self._after(request)
        return answer

    def close(self) -> None:
        self._inner.close()


class WorkedAsync(httpx.AsyncBaseTransport):
    def __init__(self, world: World) -> None:
        self._world, self._inner = world, httpx.ASGITransport(world.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path.startswith(("/v1/uploads/", "/v1/analyses/")):
            work(self._world.stage.room)
        return await self._inner.handle_async_request(request)


@dataclass
class Desk:
    """One machine with the SDK on it, and the room that it calls."""

    world: World
    folder: Path
    market: Market = field(init=False)

    def __post_init__(self) -> None:
        # Assertions and packages carry the time of the machine that makes them.
        self.folder.mkdir(exist_ok=True)
        self.world.stage.clock.instant = datetime.now(UTC)
        self.market = Market(self.world.stage)
        os.environ["CLEANROOM_CONFIG_DIR"] = str(self.folder / "config")
        os.environ["CLEANROOM_STATE_DIR"] = str(self.folder / "state")

    def credential(self, party: str, role: str = "owner") -> tuple[str, Path]:
        """Register a client of a party with a key of its own; returns its id and the key's file."""
        key = generate_private_key()
        room = self.world.stage.room
        with room.db.transaction() as tx:
            made = room.access.clients.register(
                tx,
                organisation_id=self.world.party(party).organisation_id,
                name="sdk",
                role=role,
                key_set=public_set(key),
            )
        path = self.folder / f"{made.client.id}.json"
        path.write_text(json.dumps(key))
        path.chmod(0o600)
        return made.client.id, path

    def logged_in(self, party: str = "advertiser", role: str = "owner") -> None:
        client_id, key = self.credential(party, role)
        room = self.world.stage.room
        save_profile(
            "default",
            Profile(
                room.settings.public_url,
                client_id,
                client_key=str(key),
                verifier_key=room.audit.verifier_key,
            ),
        )

    def client(self, *, before: Wish | None = None, after: Wish | None = None, **options: Any) -> Client:
        return Client(transport=Worked(self.world, before=before, after=after), progress=False, **options)

    def aclient_transport(self) -> httpx.AsyncBaseTransport:
        return WorkedAsync(self.world)

    def aclient(self) -> AsyncClient:
        return AsyncClient(transport=self.aclient_transport(), progress=False)
