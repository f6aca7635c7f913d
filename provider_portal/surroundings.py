"""What surrounds every page: headers, a log line, limits on size and pace, and a page for whatever fails."""

import math
import time
from collections.abc import MutableMapping
from typing import Any, Protocol

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cleanroom.addresses import subscriber_of
from cleanroom.clock import Clock
from cleanroom.counts import Counts
from cleanroom.ids import new_id
from provider_portal.security import HEADERS

MAX_BODY_BYTES = 64 << 10
MAX_DESCRIPTION_BYTES = 4 << 20
"""A description of a file with thousands of columns; in a form each letter outside ASCII takes six bytes or more."""
# Forms that grow with what they describe: columns, and what a listing offers.
_DESCRIPTIONS, _UPLOADS = ("/datasets/new", "/listings/"), "/uploads/"


class Telemetry(Protocol):
    """Where log lines and counts go; the composing process brings it."""

    def answered(self, scope: MutableMapping[str, Any], *, status: int, seconds: float) -> None:
        """Note that a request was answered."""
        ...

    def failed(self, scope: MutableMapping[str, Any], error: BaseException) -> None:
        """Note a failure by its type and place, without its text."""
        ...


class Surroundings:
    """The outermost: no error passes it, and whatever is answered is noted."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        telemetry: Telemetry,
        clock: Clock,
        https: bool,
        per_minute: int,
        counts: Counts,
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._clock = clock
        self._headers = dict(HEADERS)
        if https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(counts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, whole = time.perf_counter(), 0, False
        scope.setdefault("state", {})["request_id"] = new_id("req", self._clock.now())

        async def sending(message: Message) -> None:
            nonlocal status, whole
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers["Request-Id"] = scope["state"]["request_id"]
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, sending)
            else:
                most = _most(scope["path"])
                await self._app(scope, receive if most is None else _limited(receive, most), sending)
        except Exception as error:  # noqa: BLE001 - the server would write its text, which may hold data, into its log
            self._telemetry.failed(scope, error)
            if status and not whole:
                # Too late for another answer: the connection breaks off, and the browser sees it was cut.
                raise RuntimeError("The answer broke off.") from None
            if not status:
                await PlainTextResponse("Something failed. / Что-то сломалось.", 500)(scope, receive, sending)
        finally:
            self._telemetry.answered(scope, status=status, seconds=time.perf_counter() - began)

    def _refused(self, scope: Scope) -> Response | None:
        length, most = Headers(scope=scope).get("content-length", "0"), _most(scope["path"])
        if not length.isdecimal() or (most is not None and int(length[:12]) > most):
            return PlainTextResponse("The form is too large. / Форма слишком велика.", 413)
        # PostgreSQL takes no text with a zero byte in it, not even to look for.
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return PlainTextResponse("The address cannot be read. / Адрес не читается.", 400)
        if scope["path"].startswith("/static/"):
            return None
        address = Request(scope).client
        who = subscriber_of(address.host if address else "unknown")
        if self._limiter.hit(self._item, "pages", who):
            return None
        reset_at, _ = self._limiter.get_window_stats(self._item, "pages", who)
        wait = max(1, math.ceil(reset_at - time.time()))
        return PlainTextResponse(
            "Too many requests; wait a little. / Слишком много запросов; подождите немного.",
            429,
            headers={"Retry-After": str(wait)},
        )


def _most(path: str) -> int | None:
    # Uploads have a limit of their own, the operator's, and are written to disk piece by piece.
    if path.startswith(_UPLOADS):
        return None
    return MAX_DESCRIPTION_BYTES if path.startswith(_DESCRIPTIONS) else MAX_BODY_BYTES


def _limited(receive: Receive, most: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            # A body that did not say how long it is; the browser sees the connection end.
            return {"type": "http.disconnect"}
        return message

    return limited
