"""Bodies of megabytes are sent whole, with their length, and are not kept by who keeps the request."""

import asyncio

import httpx

from cleanroom.client.remote.drivers import AsyncDriver, SyncDriver
from cleanroom.client.remote.effects import Call, Flow, Reply

URL = "http://room.test"
BODY = bytes(range(256)) * 5000


def sending(content: bytes) -> Flow[Reply]:
    return (yield Call("PATCH", "/v1/uploads/up_1", content=content))


class Receiving(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Fails the first time, after the body was read."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, dict[str, str]]] = []
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer(request, b"".join(request.stream))  # type: ignore[arg-type]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer(request, b"".join([piece async for piece in request.stream]))  # type: ignore[union-attr]

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        self.received.append((body, dict(request.headers)))
        self.requests.append(request)
        return httpx.Response(503 if len(self.received) == 1 else 204)


def check(transport: Receiving) -> None:
    assert [body for body, _ in transport.received] == [BODY, BODY]
    for _, headers in transport.received:
        assert headers["content-length"] == str(len(BODY))
        assert "transfer-encoding" not in headers
    assert all(not hasattr(request, "_content") for request in transport.requests)


def test_a_large_body_is_sent_whole_each_time() -> None:
    transport = Receiving()
    with SyncDriver(URL, transport=transport) as driver:
        assert driver.run(sending(BODY)).status == 204
    check(transport)


def test_whoever_awaits_sends_the_same() -> None:
    async def run() -> Receiving:
        transport = Receiving()
        driver = AsyncDriver(URL, transport=transport)
        assert (await driver.run(sending(BODY))).status == 204
        await driver.close()
        return transport

    check(asyncio.run(run()))
