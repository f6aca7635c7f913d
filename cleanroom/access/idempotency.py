"""Asking twice does a thing once: what a request was answered with, kept in the transaction of its work."""

import gzip
import hashlib
import hmac
import zlib
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
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
_PURPOSE = b"cleanroom/request/v2\n"
_KEY_BYTES = 32
_TABLE = Base.metadata.tables[IdempotencyRow.__tablename__]
# Made once: every POST runs them, and to put a statement together takes longer than to run it.
_KEPT = select(_TABLE).where(_TABLE.c.client_id == bindparam("client"), _TABLE.c.key == bindparam("used"))
_FORGET = delete(_TABLE).where(_TABLE.c.client_id == bindparam("client"), _TABLE.c.key == bindparam("used"))
_KEEP = insert(_TABLE)
# The body of a large answer is mostly the same words again. No text begins as this does.
_GZIP = b"\0gzip\0"
# How they were packed by earlier versions; they are kept for a day.
_ZLIB = b"\0zlib\0"
_MARKS = _GZIP, _ZLIB
_PACKED_FROM_BYTES = 1024


class Idempotency:
    """Records of requests by client and key."""

    def __init__(self, clock: Clock, seed: bytes) -> None:
        """Take what the room has.

        Args:
            clock: tells the time.
            seed: a secret of the room that is not in SQL, the same for all its processes.
        """
        self._clock = clock
        key = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(seed)
        # Made once: a copy takes a fraction of the time.
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def request_hash(self, method: str, path: str, body: bytes, *, advertiser_id: str | None = None) -> str:
        """Return what tells one request from another under the same key: 64 hex digits of HMAC-SHA-256.

        A body may name one person, and a plain hash of it would let whoever has the database try all phones.

        Args:
            method: of HTTP.
            path: with ids in it, without the query.
            body: as it was sent.
            advertiser_id: the advertiser that an agency named.
        """
        digest = self._keyed.copy()
        for part in (method.encode(), path.encode(), (advertiser_id or "").encode(), body):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
        return digest.hexdigest()

    def replay(self, tx: Transaction, client_id: str, key: str | None, request_hash: str) -> Replay | None:
        """Return what this request was answered with before; None when its work is to be done now."""
        used = require_key(key)
        _claim(tx, client_id, used)
        connection, named = tx.connection, {"client": client_id, "used": used}
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
        return Replay(row.status, _unpacked(row.body), row.body)

    def remember(self, tx: Transaction, client_id: str, key: str, request_hash: str, replay: Replay) -> None:
        """Keep what a request is answered with."""
        row = {
            "client_id": client_id,
            "key": key,
            "request_hash": request_hash,
            "status": replay.status,
            "body": replay.packed,
            "expires_at": self._clock.now() + KEPT_FOR,
        }
        tx.connection.execute(_KEEP, row)

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


@dataclass(frozen=True)
class Part:
    """A part of a body: as it is sent, and packed.

    Attributes:
        text: as it is sent.
        packed: a member of a gzip file; such members, one after the other, are one as well (RFC 1952, section 2.2).
    """

    text: bytes
    packed: bytes = field(repr=False)


def part_of(text: bytes) -> Part:
    """Pack a part of bodies; one that many of them share is packed once."""
    return Part(text, gzip.compress(text, 1, mtime=0))


def replay_of(status: int, *parts: bytes | Part) -> Replay:
    """Make an answer that can be kept; what takes time is done here, and not when it is kept.

    Args:
        status: of HTTP.
        parts: of the body, in order.
    """
    body = b"".join(part.text if isinstance(part, Part) else part for part in parts)
    if len(body) < _PACKED_FROM_BYTES and not body.startswith(_MARKS):
        return Replay(status, body, body)
    packed = (part if isinstance(part, Part) else part_of(part) for part in parts)
    return Replay(status, body, b"".join([_GZIP, *(part.packed for part in packed)]))


def _unpacked(kept: bytes) -> bytes:
    if kept.startswith(_GZIP):
        return gzip.decompress(kept.removeprefix(_GZIP))
    return zlib.decompress(kept.removeprefix(_ZLIB)) if kept.startswith(_ZLIB) else kept


def _claim(tx: Transaction, client_id: str, key: str) -> None:
    # SQLite's writers come one after another anyway. Elsewhere the first holds this until it commits: the second is
    # told at once, instead of holding a connection for as long as the first works.
    if tx.connection.dialect.name != "postgresql":
        return
    named = hashlib.sha256(f"cleanroom/idempotency/v1\n{client_id}\n{key}".encode()).digest()
    lock = int.from_bytes(named[:8], signed=True)
    if not tx.session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": lock}):
        raise IdempotencyBusyError(
            "The first request with this idempotency key is still running.",
            remedy="Repeat it with the same key in a moment.",
        )
