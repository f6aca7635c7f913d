"""Requests are sent again when the room says so, as late as it says, and only those that do no harm."""

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.credentials import ClientSecret
from cleanroom.client.remote.drivers import AsyncDriver, SyncDriver
from cleanroom.client.remote.problems import RateLimited, RoomUnavailable

ROOM = "https://room.example.org"
Answers = list[tuple[int, dict[str, str]]]


class Plan:
    """Plays a room that answers the API by a list, then well, and gives tokens."""

    def __init__(self, answers: Answers, *, token: Answers | None = None) -> None:
        self._answers, self._token = list(answers), list(token or [])
        self.at: list[float] = []
        self.tokens = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            self.tokens += 1
            status, headers = self._token.pop(0) if self._token else (200, {})
            return httpx.Response(status, headers=headers, json={"access_token": "t", "expires_in": 600})
        self.at.append(time.monotonic())
        status, headers = self._answers.pop(0) if self._answers else (200, {})
        return httpx.Response(status, headers=headers, json={"code": "api.busy", "detail": "Busy."})

    @property
    def pauses(self) -> Iterator[float]:
        return (later - sooner for sooner, later in zip(self.at, self.at[1:], strict=False))


def waiting(plan: Plan) -> None:
    connection = Connection(ROOM, ClientSecret("cl_1", "s"))
    with SyncDriver(ROOM, transport=httpx.MockTransport(plan)) as driver:
        driver.run(connection.get("/v1/me"))


def awaiting(plan: Plan) -> None:
    async def run() -> None:
        driver = AsyncDriver(ROOM, transport=httpx.MockTransport(plan))
        try:
            await driver.run(Connection(ROOM, ClientSecret("cl_1", "s")).get("/v1/me"))
        finally:
            await driver.close()

    asyncio.run(run())


@pytest.fixture(params=[waiting, awaiting], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[[Plan], None]:
    given: Callable[[Plan], None] = request.param
    return given


@pytest.mark.parametrize("status", [429, 503])
def test_a_room_is_given_the_time_that_it_asks_for(call: Callable[[Plan], None], status: int) -> None:
    # Left to itself the first repetition comes after a tenth of a second or so.
    plan = Plan([(status, {"Retry-After": "1"})])
    call(plan)
    (pause,) = plan.pauses
    assert 1.0 <= pause < 5


def test_without_a_time_it_is_asked_again_soon(call: Callable[[Plan], None]) -> None:
    plan = Plan([(502, {})])
    call(plan)
    assert len(plan.at) == 2


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (503, RoomUnavailable)])
def test_nobody_waits_an_hour(call: Callable[[Plan], None], status: int, kind: type[Exception]) -> None:
    plan = Plan([(status, {"Retry-After": "3600"})])
    with pytest.raises(kind) as told:
        call(plan)
    assert told.value.retry_after == 3600  # type: ignore[attr-defined]
    assert len(plan.at) == 1


def test_a_proof_is_not_sent_twice(call: Callable[[Plan], None]) -> None:
    plan = Plan([], token=[(503, {"Retry-After": "0"})])
    with pytest.raises(RoomUnavailable):
        call(plan)
    assert (plan.tokens, plan.at) == (1, [])
