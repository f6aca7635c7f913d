"""Asking twice does a thing once: what a request was answered with, kept in the transaction of its work."""

import hashlib
import zlib
from datetime import timedelta

from sqlalchemy import bindparam, delete, insert, select, text

from cleanroom.access.errors import (
    IdempotencyBusyError,
    IdempotencyKeyError,
    IdempotencyKeyMissingError,
    IdempotencyMismatchError,
)
from cleanroom.access.models import IdempotencyRow
from cleanroom.access.types import Replay
from cleanroom.clock import Clock
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction

MAX_KEY_LENGTH = 255
KEPT_FOR = timedelta(hours=24)
_TABLE = Base.metadata.tables[IdempotencyRow.__tablename__]
# Made once: every POST runs them, and to put a statement together takes longer than to run it.
_KEPT = select(_TABLE).where(_TABLE.c.client_id == bindparam("client"), _TABLE.c.key == bindparam("used"))
_FORGET = delete(_TABLE).where(_TABLE.c.client_id == bindparam("client"), _TABLE.c.key == bindparam("used"))
_KEEP = insert(_TABLE)
# The body of a large answer is mostly the same words again. No text begins as this does.
_PACKED = b"\0zlib\0"
_PACKED_FROM_BYTES = 1024


class Idempotency:
    """Records of requests by client and key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def replay(self, tx: Transaction, client_id: str, key: str | None, request_hash: str) -> Replay | None:
        """Return what this request was answered with before; None when its work is to be done now."""
        used = require_key(key)
        _claim(tx, client_id, used)
        connection, named = tx.session.connection(), {"client": client_id, "used": used}
        row = connection.execute(_KEPT, named).one_or_none()
        if row is None:
            return None
        if row.expires_at <= self._clock.now():
            connection.execute(_FORGET, named)
            return None
        if row.request_hash != request_hash:
            raise IdempotencyMismatchError(
                "This idempotency key was used with another request.",
                remedy="Use a new key for a new request.",
            )
        return Replay(row.status, _unpacked(row.body))

    def remember(self, tx: Transaction, client_id: str, key: str, request_hash: str, replay: Replay) -> None:
        """Keep what a request is answered with."""
        row = {
            "client_id": client_id,
            "key": key,
            "request_hash": request_hash,
            "status": replay.status,
            "body": _packed(replay.body),
            "expires_at": self._clock.now() + KEPT_FOR,
        }
        tx.session.connection().execute(_KEEP, row)

    def sweep(self, tx: Transaction) -> None:
        """Forget what is too old to count."""
        tx.session.execute(delete(IdempotencyRow).where(IdempotencyRow.expires_at <= self._clock.now()))


def require_key(key: str | None) -> str:
    """Return an idempotency key; raises IdempotencyKeyMissingError or IdempotencyKeyError."""
    if not key:
        raise IdempotencyKeyMissingError(
            "This call makes something and needs an idempotency key.",
            remedy="Send the header Idempotency-Key with a value of your own, such as a UUID.",
        )
    if len(key) > MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        raise IdempotencyKeyError(
            f"An idempotency key has 1 to {MAX_KEY_LENGTH} printable ASCII characters.", remedy="Use a UUID."
        )
    return key


def request_hash(method: str, path: str, body: bytes, *, advertiser_id: str | None = None) -> str:
    """Return what tells one request from another under the same key: 64 hex digits.

    Args:
        method: of HTTP.
        path: with ids in it, without the query.
        body: as it was sent.
        advertiser_id: the advertiser that an agency named.
    """
    digest = hashlib.sha256(b"cleanroom/request/v1\n")
    for part in (method.encode(), path.encode(), (advertiser_id or "").encode(), body):
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()


def _packed(body: bytes) -> bytes:
    small = len(body) < _PACKED_FROM_BYTES and not body.startswith(_PACKED)
    return body if small else _PACKED + zlib.compress(body, 1)


def _unpacked(kept: bytes) -> bytes:
    return zlib.decompress(kept.removeprefix(_PACKED)) if kept.startswith(_PACKED) else kept


def _claim(tx: Transaction, client_id: str, key: str) -> None:
    # SQLite's writers come one after another anyway. Elsewhere the first holds this until it commits: the second is
    # told at once, instead of holding a connection for as long as the first works.
    if tx.session.get_bind().dialect.name != "postgresql":
        return
    named = hashlib.sha256(f"cleanroom/idempotency/v1\n{client_id}\n{key}".encode()).digest()
    lock = int.from_bytes(named[:8], signed=True)
    if not tx.session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock}):
        raise IdempotencyBusyError(
            "The first request with this idempotency key is still running.",
            remedy="Repeat it with the same key in a moment.",
        )
