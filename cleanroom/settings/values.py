"""What settings may be: each value read and checked, with an error that names its variable and an example."""

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cleanroom.errors import CleanroomError

# The name becomes part of signed checkpoints: verifier keys are split at "+" and signature lines at spaces.
_ORIGIN = re.compile(r"^[^\s+]{1,255}$")
_WHOLE_BP = 10_000


class SettingsError(CleanroomError):
    """A setting is missing or cannot be used."""

    code = "settings.invalid"


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return f"CLEANROOM_{field.upper()}"


def database_url(value: object, *, home: Path) -> str:
    """Return SQLAlchemy's URL of the SQL store; SQLite in the home when none is given."""
    if value is None:
        return f"sqlite:///{home / 'room.sqlite3'}"
    # A plain `postgresql://` would make SQLAlchemy look for another driver than the one that is installed.
    text = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", str(value))
    if not text.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError(
            "CLEANROOM_DATABASE_URL names a database that is not supported.",
            remedy="Use sqlite:////path/room.sqlite3 or postgresql://user@host/name.",
        )
    return text


def origin(value: object) -> str:
    """Return the room's name in signed checkpoints."""
    if not isinstance(value, str) or not _ORIGIN.match(value):
        raise SettingsError(
            "CLEANROOM_ORIGIN is empty, longer than 255 characters, or holds a space or a plus sign.",
            remedy="Use a name such as room.example.org/cleanroom.",
        )
    return value


def directory(field: str, values: Mapping[str, object], *, home: Path) -> Path | None:
    """Return a directory, relative to the home or absolute; None when none is given."""
    value = values.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise SettingsError(
            f"{variable(field)} is not the path of a directory.",
            remedy="Give it as text, relative to the home or absolute.",
        )
    return (home / value).resolve()


def one_of(field: str, value: object, known: Collection[str]) -> str:
    """Return a value that must be one of those known."""
    if value not in known:
        raise SettingsError(f"{variable(field)} is not known.", remedy=f"Use one of: {', '.join(known)}.")
    return str(value)


def time_zone(field: str, value: object) -> str:
    """Return the name of a time zone whose data are here."""
    try:
        # One is looked up, as a list of all would be read from the whole of its directory.
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"{variable(field)} is not known.",
            remedy="Use a name of the IANA time zone database, such as Europe/Moscow.",
        ) from None


def basis_points(value: object) -> int:
    """Return a share in basis points, 0 to 10000."""
    text = str(value)
    if not text.isascii() or not text.isdecimal() or int(text) > _WHOLE_BP:
        raise SettingsError(
            f"CLEANROOM_OPERATOR_FEE_BP is not a whole number from 0 to {_WHOLE_BP}.",
            remedy="Give basis points: 1000 are ten per cent.",
        )
    return int(text)


def byte_count(field: str, value: object, *, least: int) -> int:
    """Return a number of bytes."""
    count = _whole(value)
    if count is None or count < least:
        raise SettingsError(
            f"{variable(field)} is not a whole number of at least {least}.",
            remedy="Give the bytes as digits, for example 1073741824.",
        )
    return count


def public_url(value: object) -> str:
    """Return an https address without a slash at its end; http only on loopback."""
    text = str(value).rstrip("/")
    try:
        parts = urlsplit(text)
        host, extra = parts.hostname or "", bool(parts.query or parts.fragment or parts.username)
        loopback = host == "localhost" or is_loopback(host)
        usable = parts.port != 0 and not extra and text.isascii() and " " not in text
    except ValueError:
        host, loopback, usable, parts = "", False, False, urlsplit("")
    # Tokens and secrets would cross a network in the open.
    if not usable or not host or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise SettingsError(
            "CLEANROOM_PUBLIC_URL is not the https address of the room.",
            remedy="Use such as https://room.example.org; http only for 127.0.0.1 and localhost.",
        )
    return text


def networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return networks written with commas or spaces between them."""
    try:
        return tuple(ip_network(text) for text in re.split(r"[ ,]+", str(value)) if text)
    except ValueError:
        raise SettingsError(
            "CLEANROOM_WEBHOOK_NETWORKS is not a list of networks.",
            remedy="Write such as 10.1.2.0/24, fd00::/8, with commas between them.",
        ) from None


def is_loopback(host: str) -> bool:
    """Tell whether a host is an address of this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def count(field: str, value: object, *, most: int, example: int, least: int = 1) -> int:
    """Return a whole number within limits, both included."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and least <= int(text[:20]) <= most):
        raise SettingsError(
            f"{variable(field)} is not a whole number of {least} to {most}.",
            remedy=f"Give it as digits, for example {example}.",
        )
    return int(text)


def switch(field: str, value: object) -> bool:
    """Return what is either true or false."""
    text = str(value).lower()
    if text not in ("true", "false"):
        raise SettingsError(f"{variable(field)} is neither true nor false.", remedy="Use true or false.")
    return text == "true"


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
