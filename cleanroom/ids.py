"""Identifiers: a prefix that names the kind, and a UUIDv7 whose first 48 bits are the time (RFC 9562)."""

import os
import re
from datetime import datetime
from uuid import UUID

from cleanroom.errors import CleanroomError

_PATTERN = re.compile(r"^[a-z]{2,4}_[0-9a-f]{32}$")


class MalformedIdError(CleanroomError):
    """A text is not an identifier of the expected kind."""

    code = "ids.malformed"


def new_id(prefix: str, now: datetime) -> str:
    """Make an identifier such as `ds_0190...`.

    Args:
        prefix: two to four lower-case letters naming the kind.
        now: the instant that orders the identifier; its milliseconds are kept.

    Returns:
        The prefix, an underscore and 32 lower-case hex digits of a UUIDv7 with 74 random bits.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = int(now.timestamp() * 1000)
    random_bits = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{prefix}_{value:032x}"


def uuid_of(identifier: str) -> UUID:
    """Return the UUID inside an identifier; raises MalformedIdError when it has none."""
    if not _PATTERN.match(identifier):
        raise MalformedIdError("The identifier is not a prefix, an underscore and 32 hex digits.")
    return UUID(hex=identifier.rpartition("_")[2])
