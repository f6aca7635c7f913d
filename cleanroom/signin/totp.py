"""Time-based one-time codes: six digits, 30 seconds, HMAC-SHA-1, as every authenticator app has them."""

import base64
import hmac
import secrets
import struct
from datetime import datetime
from urllib.parse import quote

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
# A clock half a minute off, and the seconds it takes to type.
_DRIFT_STEPS = 1


def new_secret() -> bytes:
    """Make a secret of 160 random bits, the length of the hash (RFC 4226, section 4)."""
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step.

    Args:
        secret: of the authenticator.
        step: whole half minutes since 1970.

    Source: RFC 6238, section 4, and RFC 4226, section 5.3.
    """
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(instant: datetime) -> int:
    """Return the time step that an instant falls in."""
    return int(instant.timestamp()) // STEP_SECONDS


def matching_step(secret: bytes, code: str, *, now: datetime, after: int) -> int | None:
    """Return the time step whose code this is.

    Args:
        secret: of the authenticator.
        code: as typed; spaces in it are overlooked.
        now: the instant; a step either side of it is good too.
        after: the newest step that was used; neither it nor an older one is good again.

    Returns:
        The step; None when the code is of none, or of one that was used.
    """
    typed = "".join(code.split())
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdecimal()):
        return None
    current = step_of(now)
    found = None
    for step in range(current - _DRIFT_STEPS, current + _DRIFT_STEPS + 1):
        # Every step is computed, so that the time taken does not tell which one fits.
        if hmac.compare_digest(code_at(secret, step), typed) and step > after:
            found = step
    return found


def as_text(secret: bytes) -> str:
    """Write a secret in base32, as authenticator apps take it when it is typed."""
    return base64.b32encode(secret).decode().rstrip("=")


def enrolment_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """Write a secret as the address that authenticator apps scan.

    Args:
        secret: of the authenticator.
        account: who, shown in the app.
        issuer: the room's name, shown in the app.

    Source: Key URI Format of Google Authenticator's documentation.
    """
    label = quote(f"{issuer}:{account}", safe="@")
    return f"otpauth://totp/{label}?secret={as_text(secret)}&issuer={quote(issuer, safe='')}"
