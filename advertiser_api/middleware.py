"""What surrounds every request: its id, its log line, headers that protect, and limits on size and on strangers."""

import time
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from advertiser_api.errors import BodyTooLargeError, RateLimitedError, UnavailableError
from advertiser_api.limiting import RateLimiter
from advertiser_api.problems import problem, unexpected
from advertiser_api.public import PROBES, is_public
from advertiser_api.telemetry import Telemetry
from cleanroom.clock import Clock
from cleanroom.ids import new_id

MAX_BODY_BYTES = 1 << 20
REQUEST_ID = "Request-Id"
_STREAMED = "/v1/uploads/"
_BUSY = (OperationalError, InterfaceError, PoolTimeoutError)
_UNAVAILABLE = UnavailableError("The room's database does not answer.", remedy="Try again shortly.")

PROTECTING: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Surroundings:
    """The outermost: no error passes it, and whatever is answered is noted."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry, clock: Clock, https: bool) -> None:
        self._app = app
        self._telemetry = telemetry
        self._clock = clock
        self._headers = dict(PROTECTING)
        if https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        state = scope.setdefault("state", {})
        state["request_id"] = new_id("req", self._clock.now())

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), state)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - the server would write its text, which may hold data, into its log
            self._telemetry.failed(scope, error)
            if status:
                # Too late for another answer: the connection breaks off, and the caller sees it was cut.
                raise RuntimeError("The answer broke off.") from None
            answer = self._answer(Request(scope), error)
            await answer(scope, receive, sending)
        finally:
            self._telemetry.answered(scope, status=status, seconds=time.perf_counter() - began)

    def _add_headers(self, headers: MutableHeaders, state: dict[str, Any]) -> None:
        headers[REQUEST_ID] = state["request_id"]
        for name, value in self._headers.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        if rate := state.get("rate"):
            for name, value in rate.headers().items():
                headers[name] = value

    def _answer(self, request: Request, error: Exception) -> Response:
        return problem(request, _UNAVAILABLE) if isinstance(error, _BUSY) else unexpected(request)


class StrangerLimit:
    """Counts requests without an access token, and those to what is public, by their address, before they are served.

    One with a token is counted when it is known whose it is.
    """

    def __init__(self, app: ASGIApp, *, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            request = Request(scope)
            bearer = request.headers.get("authorization", "").lower().startswith("bearer ")
            if is_public(scope["path"]) or not bearer:
                try:
                    self._limiter.stranger(request.state, address_of(request))
                except RateLimitedError as error:
                    await problem(request, error)(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses bodies that are too large, announced or not; the pieces of uploads have a limit of their own."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or _is_piece(scope):
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced[:20]) > self._max_bytes:
            error = BodyTooLargeError(
                f"The body is larger than {self._max_bytes} bytes.", remedy="Send less, or upload a file."
            )
            await problem(Request(scope), error)(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)


def address_of(request: Request) -> str:
    """Return where a request came from."""
    return request.client.host if request.client else "unknown"


def _is_piece(scope: Scope) -> bool:
    return scope["method"] == "PATCH" and str(scope["path"]).startswith(_STREAMED)
