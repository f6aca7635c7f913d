"""The witness over HTTP: one call that adds a checkpoint, and one that shows the last."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from cleanroom.errors import CleanroomError
from cleanroom.witness.service import MAX_BODY_BYTES, Reply, Witness

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


def witness_application(witness: Witness) -> Application:
    """Make the ASGI application of a witness.

    `POST /add-checkpoint` is C2SP's tlog-witness; `GET /ORIGIN-HASH/checkpoint`, by the hex SHA-256 of a log's origin,
    is the last checkpoint that was cosigned of it.
    """

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        reply = await _answer(witness, scope, receive)
        data = reply.body.encode()
        headers = [
            (b"content-type", reply.media_type.encode()),
            (b"content-length", str(len(data)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    return application


async def _answer(witness: Witness, scope: dict[str, Any], receive: Receive) -> Reply:
    method, path = scope["method"], scope["path"]
    try:
        if path == "/add-checkpoint":
            if method != "POST":
                return Reply(405, "use POST\n")
            body = await _body(receive)
            if body is None:
                return Reply(413, "the request is too large\n")
            return await asyncio.to_thread(witness.add_checkpoint, body)
        if path.endswith("/checkpoint") and method in ("GET", "HEAD"):
            return await asyncio.to_thread(_shown, witness, path.strip("/").partition("/")[0])
    except CleanroomError:
        return Reply(500, "the witness cannot vouch now: its operator has to look into its home\n")
    return Reply(404, "there is nothing here\n")


def _shown(witness: Witness, wanted: str) -> Reply:
    for log in witness.home.logs().values():
        if hashlib.sha256(log.origin.encode()).hexdigest() == wanted:
            note = witness.cosigned(log)
            return Reply(404, "nothing was cosigned yet\n") if note is None else Reply(200, note)
    return Reply(404, "the log is not known\n")


async def _body(receive: Receive) -> bytes | None:
    """Read a request's body; None when it is too large."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body
