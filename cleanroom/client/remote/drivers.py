"""The two that run conversations: one waits, one awaits. Sending, repeating and sleeping happen here only."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import stamina

from cleanroom.client.remote.effects import Aside, Call, Effect, Flow, Pause, Reply
from cleanroom.client.remote.problems import Unreachable, retry_after

Result = TypeVar("Result")

TIMEOUT = httpx.Timeout(60.0, connect=10.0)
ATTEMPTS = 6
RETRY_SECONDS = 120.0
"""How long one request is repeated in all, Retry-After included."""
MOST_WAIT = 60.0
_LARGE_BYTES = 1 << 18
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


class _Again(Exception):  # noqa: N818 - no error, unless the last attempt ends with it
    """An answer that may be another one when the request is sent again."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


def _wait(error: Exception) -> bool | float:
    """Tell whether to repeat, and after how many seconds if the room names them."""
    if isinstance(error, _Again):
        asked = retry_after(error.reply)
        return True if asked is None else asked <= MOST_WAIT and max(asked, 0.01)
    return isinstance(error, httpx.TransportError)


def _is_busy(reply: Reply) -> bool:
    """Tell whether the room is still at the same request, whose first answer was lost."""
    plain = reply.json() if reply.status == 409 else None
    return isinstance(plain, dict) and plain.get("code") == "access.idempotency_busy"


def _length(call: Call) -> dict[str, str]:
    """Return what goes with a body that is handed over bit by bit: its length, so that it is not sent in chunks."""
    return {"content-length": str(len(call.content))} if _is_large(call) else {}


def _is_large(call: Call) -> bool:
    return len(call.content) > _LARGE_BYTES


def _slices(content: bytes) -> Iterator[bytes]:
    """Hand a body over; whoever keeps the request keeps this, and nothing of the body once it was sent.

    A response of httpx and its stream refer to each other and to the request, so bodies of megabytes would pile up
    until the garbage collector comes.
    """
    for start in range(0, len(content), _LARGE_BYTES):
        yield content[start : start + _LARGE_BYTES]


async def _aslices(content: bytes) -> AsyncIterator[bytes]:
    for piece in _slices(content):
        yield piece


class _Driver:
    def __init__(self, url: str) -> None:
        self._url = url

    def _request(self, call: Call) -> dict[str, Any]:
        query = {name: value for name, value in call.query.items() if value is not None}
        return {
            "method": call.method,
            "url": self._url + call.path,
            "params": query or None,
            "headers": {**call.headers, **_length(call)},
            "content": call.content,
        }

    def _reply(self, response: httpx.Response, call: Call) -> Reply:
        # The names of headers are in lower case already.
        reply = Reply(response.status_code, dict(response.headers), response.content)
        if call.repeatable and (reply.status in _AGAIN or _is_busy(reply)):
            raise _Again(reply)
        return reply

    def _retrying(self, call: Call) -> Any:
        return stamina.retry_context(
            on=_wait, attempts=ATTEMPTS if call.repeatable else 1, timeout=RETRY_SECONDS, wait_max=MOST_WAIT
        )

    def _lost(self, error: Exception) -> Unreachable:
        # The text of a transport's error names hosts and files, not tokens; still only its kind is told.
        return Unreachable(
            f"The room at {urlsplit(self._url).netloc} does not answer ({type(error).__name__}).",
            remedy="Check the address and the network; what was sent may be sent again.",
        )


class SyncDriver(_Driver):
    """Runs conversations in the caller's thread."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """Connect when needed; certificates are verified.

        Args:
            url: the room's address.
            transport: instead of the network.
        """
        super().__init__(url)
        self._http = httpx.Client(timeout=TIMEOUT, transport=transport, follow_redirects=False)

    def run(self, flow: Flow[Result]) -> Result:
        """Run a conversation to its end."""
        try:
            effect = next(flow)
            while True:
                try:
                    result = self._do(effect)
                except Exception as error:  # noqa: BLE001 - it belongs to the conversation
                    effect = flow.throw(error)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            done: Result = end.value
            return done

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Pause):
            return time.sleep(effect.seconds)
        if isinstance(effect, Aside):
            return effect.work()
        return self._send(effect)

    def _send(self, call: Call) -> Reply:
        try:
            for attempt in self._retrying(call):
                with attempt:
                    asked = self._request(call)
                    if _is_large(call):
                        asked["content"] = _slices(call.content)
                    return self._reply(self._http.request(**asked), call)
        except _Again as last:
            return last.reply
        except httpx.TransportError as error:
            raise self._lost(error) from None
        raise AssertionError("stamina gives at least one attempt")


class AsyncDriver(_Driver):
    """Runs conversations in an event loop."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Connect when needed; certificates are verified.

        Args:
            url: the room's address.
            transport: instead of the network.
        """
        super().__init__(url)
        self._http = httpx.AsyncClient(timeout=TIMEOUT, transport=transport, follow_redirects=False)

    async def run(self, flow: Flow[Result]) -> Result:
        """Run a conversation to its end."""
        try:
            effect = next(flow)
            while True:
                try:
                    result = await self._do(effect)
                except Exception as error:  # noqa: BLE001 - it belongs to the conversation
                    effect = flow.throw(error)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            done: Result = end.value
            return done

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _do(self, effect: Effect) -> Any:
        if isinstance(effect, Pause):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, Aside):
            return await asyncio.to_thread(effect.work)
        return await self._send(effect)

    async def _send(self, call: Call) -> Reply:
        try:
            async for attempt in self._retrying(call):
                with attempt:
                    asked = self._request(call)
                    if _is_large(call):
                        asked["content"] = _aslices(call.content)
                    return self._reply(await self._http.request(**asked), call)
        except _Again as last:
            return last.reply
        except httpx.TransportError as error:
            raise self._lost(error) from None
        raise AssertionError("stamina gives at least one attempt")
