"""Requests as this room wants them, and its answers: built and read here, for every route and both drivers."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit

from cleanroom.client.remote.credentials import Credential
from cleanroom.client.remote.effects import Call, Flow, Reply
from cleanroom.client.remote.problems import (
    ConfigurationError,
    NotAuthenticated,
    NotFound,
    UnexpectedAnswer,
    error_of,
)

ADVERTISER = "Cleanroom-Advertiser"
EARLY_SECONDS = 30.0
"""A token is given up so long before it ends: requests take time, and clocks differ."""
PAGE = 100
_FORM = "application/x-www-form-urlencoded"


def require_address(url: str) -> str:
    """Return a room's address without a slash at its end.

    Raises:
        ConfigurationError: it is no address, or tokens would cross a network in the open.
    """
    parts = urlsplit(url.strip().rstrip("/"))
    odd = parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or not parts.hostname or odd:
        raise ConfigurationError(
            "The room's address is not understood.", remedy="Write it like https://room.example.org."
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            "Without TLS tokens would cross the network in the open.",
            remedy="Use the room's https address; http is for 127.0.0.1 and localhost only.",
        )
    return parts.geturl()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class _Token:
    value: str = field(default="", repr=False)
    ends_at: float = 0.0


class Connection:
    """One client at one room; keeps the access token in memory, and nowhere else."""

    def __init__(
        self,
        url: str,
        credential: Credential,
        *,
        advertiser: str | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take who calls whom.

        Args:
            url: the room's public address, exactly: proofs are made out to it.
            credential: proves who the client is.
            advertiser: whom an agency acts for.
            seconds: tells the time that passes.

        Raises:
            ConfigurationError: see `require_address`.
        """
        self.url = require_address(url)
        self.credential = credential
        self.advertiser = advertiser
        self._seconds = seconds
        self._token = _Token()

    def get(self, path: str, **query: str | int | tuple[str, ...] | None) -> Flow[dict[str, Any]]:
        """Read something; raises an ApiError."""
        plain: dict[str, Any] = yield from self._json(Call("GET", path, query=query))
        return plain

    def get_bytes(self, path: str, **query: str | int | tuple[str, ...] | None) -> Flow[bytes]:
        """Read a file; raises an ApiError."""
        reply: Reply = yield from self.send(Call("GET", path, query=query))
        return reply.content

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> Flow[dict[str, Any]]:
        """Make something, once however often it is sent; raises an ApiError.

        Args:
            path: where.
            body: what; None for no body.
            key: the idempotency key; a new one when not given.
        """
        plain: dict[str, Any] = yield from self._json(self._with_body("POST", path, body, key=key))
        return plain

    def put(self, path: str, body: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        """Put something in place; raises an ApiError."""
        plain: dict[str, Any] = yield from self._json(self._with_body("PUT", path, body))
        return plain

    def patch(self, path: str, body: Mapping[str, Any]) -> Flow[dict[str, Any]]:
        """Change parts of something to what they are to be; raises an ApiError."""
        plain: dict[str, Any] = yield from self._json(self._with_body("PATCH", path, body))
        return plain

    def delete(self, path: str) -> Flow[None]:
        """Remove something; raises an ApiError."""
        yield from self.send(Call("DELETE", path))

    def pages(self, path: str, **query: str | int | tuple[str, ...] | None) -> Flow[list[dict[str, Any]]]:
        """Read a list to its end; raises an ApiError."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = yield from self.get(path, **query, limit=PAGE, cursor=cursor)
            found += _field(page, "items")
            cursor = page.get("next_cursor")
            if cursor is None:
                return found

    def send(self, call: Call, *, accepted: tuple[int, ...] = ()) -> Flow[Reply]:
        """Send a request under a token; one that ended meanwhile is replaced, once.

        Args:
            call: the request.
            accepted: statuses that are answers, besides success.

        Raises:
            ApiError: the room's answer is a problem.
            Unreachable: no answer came.
        """
        fresh = not self._holds_token()
        reply = yield from self._authorised(call)
        if reply.status == 401 and not fresh:
            self._token = _Token()
            reply = yield from self._authorised(call)
        if 200 <= reply.status < 300 or reply.status in accepted:
            return reply
        error = error_of(reply)
        if error.code == "api.not_found":
            # To a room no id of another form exists; its remedy is for whoever writes programs.
            raise NotFound(
                f"The room has nothing at {call.path}.",
                remedy="Check the id; `cleanroom --version` tells whether both sides are of one version.",
                code=error.code,
                status=error.status,
                request_id=error.request_id,
            )
        raise error

    def _authorised(self, call: Call) -> Flow[Reply]:
        if not self._holds_token():
            yield from self._fetch_token()
        headers = {**call.headers, "Authorization": f"Bearer {self._token.value}"}
        if self.advertiser is not None:
            headers[ADVERTISER] = self.advertiser
        reply: Reply = yield Call(
            call.method,
            call.path,
            query=call.query,
            headers=headers,
            content=call.content,
            repeatable=call.repeatable,
        )
        return reply

    def _holds_token(self) -> bool:
        return self._seconds() < self._token.ends_at

    def _fetch_token(self) -> Flow[None]:
        fields, headers = self.credential.prove(self.url)
        asked_at = self._seconds()
        # An assertion is used up by the first try, so it is not sent again.
        reply: Reply = yield Call(
            "POST",
            "/oauth/token",
            headers={**headers, "Content-Type": _FORM},
            content=urlencode({"grant_type": "client_credentials", **fields}).encode(),
            repeatable=False,
        )
        if reply.status in (400, 401):
            plain = reply.json()
            reason = plain.get("error_description", "") if isinstance(plain, dict) else ""
            raise NotAuthenticated(
                f"The room does not accept the client's credentials ({reason or reply.status}).",
                remedy=f"Check the client's id, its key or secret, this machine's clock, and that {self.url} is the "
                "room's public address; or `cleanroom login` again.",
                code="access.invalid_client",
                status=reply.status,
            )
        if reply.status != 200:
            raise error_of(reply)
        value = _field(reply.json(), "access_token")
        lifetime = float(_field(reply.json(), "expires_in"))
        self._token = _Token(value, asked_at + max(lifetime - EARLY_SECONDS, lifetime / 2))

    def _with_body(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, key: str | None = None
    ) -> Call:
        headers = {} if method != "POST" else {"Idempotency-Key": key or str(uuid.uuid4())}
        if body is None:
            return Call(method, path, headers=headers)
        headers["Content-Type"] = "application/json"
        return Call(method, path, headers=headers, content=json.dumps(body, ensure_ascii=False).encode())

    def _json(self, call: Call) -> Flow[Any]:
        reply = yield from self.send(call)
        if not reply.content:
            return None
        plain = reply.json()
        if plain is None:
            raise UnexpectedAnswer("The answer is no JSON.", remedy="Check that the address is a room's.")
        return plain


def _field(plain: Any, name: str) -> Any:
    if not isinstance(plain, dict) or name not in plain:
        raise UnexpectedAnswer(
            f"The answer lacks `{name}`.", remedy="Check the address, and that both sides are up to date."
        )
    return plain[name]
