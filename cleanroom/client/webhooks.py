"""Signatures of webhooks: made by the room, checked by whoever receives them.

Source: Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), symmetric signatures.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cleanroom.errors import CleanroomError

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_SECONDS = 300
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
_VERSION = "v1,"
_MOST_SIGNATURES = 16


class WebhookSignatureError(CleanroomError):
    """A message is not from the room, is altered, or is too old to be believed."""

    code = "client.webhook_signature"


@dataclass(frozen=True)
class WebhookEvent:
    """A message that the room has sent.

    Attributes:
        id: of the message: the same whenever it is sent again, so that it can be dealt with once.
        type: what has happened, such as `analysis.answered`.
        timestamp: when, RFC 3339.
        data: ids of what it is about.
    """

    id: str
    type: str
    timestamp: str
    data: Mapping[str, Any]


def write_secret(key: bytes) -> str:
    """Return a key as its owner is shown it: `whsec_` and base64."""
    return PREFIX + base64.b64encode(key).decode("ascii")


def read_secret(secret: str) -> bytes:
    """Return the key that a secret stands for; raises WebhookSignatureError when it is none."""
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise WebhookSignatureError(
            "The webhook's secret is not whsec_ and base64 of 24 to 64 bytes.",
            remedy="Copy it as it was shown when the webhook was made.",
        )
    return key


def sign(keys: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a message.

    Args:
        keys: one, or the newest and the one before it.
        message_id: `webhook-id`; it holds no full stop.
        timestamp: of this attempt, in seconds since 1970.
        body: as it is sent.

    Returns:
        The value of `webhook-signature`: a signature for each key, with a space between them.

    Source: Standard Webhooks 1.0.0, "Signature scheme".
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        _VERSION + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii") for key in keys
    )


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> WebhookEvent:
    """Check a message that came to a webhook, and read it. Deal with each id once: a message may come again.

    Args:
        secret: the webhook's, or several while one is replaced by another.
        headers: of the request, whatever the case of their names.
        body: of the request, the very bytes that came: read and written again they do not verify.
        tolerance: by how many seconds the message's instant may differ from now.
        now: in seconds since 1970; the machine's time when not given.

    Returns:
        What has happened.

    Raises:
        WebhookSignatureError: it is not to be believed, for whichever reason.

    Source: Standard Webhooks 1.0.0, "Verifying signatures".
    """
    keys = [read_secret(each) for each in ([secret] if isinstance(secret, str) else secret)]
    given = {name.lower(): value for name, value in headers.items()}
    message_id, at, signatures = (given.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    readable = f"{message_id}{at}{signatures}".isascii() and at.isdecimal() and len(at) < 16
    if not (readable and message_id and signatures):
        raise WebhookSignatureError(
            f"The headers {ID}, {TIMESTAMP} and {SIGNATURE} are not all there.",
            remedy="Answer 400: it is not from the room.",
        )
    if abs((time.time() if now is None else now) - int(at)) > tolerance:
        raise WebhookSignatureError(
            f"The message's instant is more than {tolerance:g} seconds from now.",
            remedy="Check this machine's clock; the room sends it again with a new instant.",
        )
    found = [part.encode() for part in signatures.split(" ")[:_MOST_SIGNATURES] if part.startswith(_VERSION)]
    expected = [sign([key], message_id=message_id, timestamp=int(at), body=body).encode() for key in keys]
    # Every pair is compared, each in constant time.
    matches = [hmac.compare_digest(one, other) for one in expected for other in found]
    if not any(matches):
        raise WebhookSignatureError(
            "The signature does not verify.",
            remedy="Check the secret, and that the body's bytes are as they came.",
        )
    return _read(message_id, body)


def _read(message_id: str, body: bytes) -> WebhookEvent:
    try:
        plain = json.loads(body)
        return WebhookEvent(message_id, str(plain["type"]), str(plain["timestamp"]), dict(plain["data"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WebhookSignatureError(
            "The message is signed, but not one of this room's form.", remedy="Update this library."
        ) from None
