"""Sending a package in pieces, and going on where it broke off, in this run or another.

Source: tus resumable upload protocol 1.0.0, https://tus.io/protocols/resumable-upload
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Aside, Call, Flow, Pause, Reply
from cleanroom.client.remote.problems import ApiError, NotFound, UnexpectedAnswer, Unreachable
from cleanroom.client.remote.store import Parcel, Store

PIECE_BYTES = 8 << 20
"""What is held in memory, checked and confirmed at a time."""
FAILURES = 8
"""In a row, with no byte confirmed between them, before giving up; the next run goes on."""
_VERSION = {"Tus-Resumable": "1.0.0"}
_MOST_PAUSE = 30.0
_PASSING = (408, 409, 423, 425, 429, 460, 500, 502, 503, 504)

Sent = Callable[[int, int], None]
"""Called with the bytes confirmed and the bytes in all."""


def send_parcel(
    connection: Connection,
    store: Store,
    parcel: Parcel,
    *,
    publish: bool,
    sent: Sent,
    piece_bytes: int = PIECE_BYTES,
) -> Flow[str]:
    """Send a package, from wherever the room has it.

    Args:
        connection: to the room.
        store: keeps where the upload is, for a later run.
        parcel: the package.
        publish: whether the room publishes the version at once when nothing waits for the junk list.
        sent: told how far it is.
        piece_bytes: sent at a time.

    Returns:
        The path of the upload in the room.

    Raises:
        ApiError: the room refuses it; NotFound when it has given it up.
        Unreachable: no answer, `FAILURES` times in a row.
    """
    location = parcel.location
    if not location:
        location = yield from _announce(connection, parcel, publish=publish)
        parcel = yield Aside(lambda: store.mark_parcel(parcel, location=location))
    total = parcel.payload.stat().st_size
    offset = yield from _offset(connection, location)
    failures = 0
    while offset is not None and offset < total:
        sent(offset, total)
        try:
            offset = yield from _send_piece(connection, location, parcel, offset, piece_bytes)
            failures = 0
        except (ApiError, Unreachable) as error:
            failures += 1
            if failures >= FAILURES or (isinstance(error, ApiError) and error.status not in _PASSING):
                raise
            yield Pause(_pause(error, failures))
            before = offset
            offset = yield from _offset(connection, location)
            if offset is None or offset > before:
                failures = 0
    sent(total, total)
    return location


def state_of(connection: Connection, location: str) -> Flow[dict[str, Any]]:
    """Ask what became of an upload; raises NotFound."""
    return (yield from connection.get(location))


def _announce(connection: Connection, parcel: Parcel, *, publish: bool) -> Flow[str]:
    manifest = parcel.manifest
    metadata = {"manifest": manifest, "publish": b"auto" if publish else b"manual"}
    listed = ",".join(f"{name} {base64.b64encode(value).decode()}" for name, value in metadata.items())
    reply = yield from connection.send(
        Call(
            "POST",
            "/v1/uploads",
            headers={
                **_VERSION,
                "Upload-Length": str(parcel.payload.stat().st_size),
                "Upload-Metadata": listed,
                # An answer that is lost is asked for again, in a later run too.
                "Idempotency-Key": hashlib.sha256(manifest).hexdigest(),
            },
        )
    )
    location = urlsplit(reply.headers.get("location", "")).path
    if not location.startswith("/"):
        raise UnexpectedAnswer("The room did not say where to send the file.", remedy="Check the address.")
    return location


def _offset(connection: Connection, location: str) -> Flow[int | None]:
    """Ask where to go on; None when all bytes are there and the room is at work on them."""
    reply: Reply = yield from connection.send(
        Call("HEAD", location, headers=_VERSION), accepted=(404, 409, 410)
    )
    if reply.status == 409:
        return None
    if reply.status in (404, 410):
        raise NotFound(
            "The room has given the upload up.",
            remedy="Upload again.",
            code="uploads.gone",
            status=reply.status,
        )
    offset = reply.headers.get("upload-offset", "")
    if not offset.isdigit():
        raise UnexpectedAnswer("The room did not say where the upload stands.", remedy="Check the address.")
    return int(offset)


def _send_piece(
    connection: Connection, location: str, parcel: Parcel, offset: int, piece_bytes: int
) -> Flow[int]:
    piece = yield Aside(lambda: _read(parcel, offset, piece_bytes))
    digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
    reply = yield from connection.send(
        Call(
            "PATCH",
            location,
            headers={
                **_VERSION,
                "Content-Type": "application/offset+octet-stream",
                "Upload-Offset": str(offset),
                "Upload-Checksum": f"sha256 {digest}",
            },
            content=piece,
            repeatable=False,
        )
    )
    return int(reply.headers.get("upload-offset") or offset + len(piece))


def _read(parcel: Parcel, offset: int, size: int) -> bytes:
    with parcel.payload.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _pause(error: Exception, failures: int) -> float:
    asked = getattr(error, "retry_after", None)
    return float(min(asked if asked is not None else 0.25 * 2**failures, _MOST_PAUSE))
