"""What the operator decides, read once: from CLEANROOM_* variables and a TOML file in the room's home."""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from cleanroom.errors import CleanroomError

# The name becomes part of signed checkpoints: verifier keys are split at "+" and signature lines at spaces.
_ORIGIN = re.compile(r"^[^\s+]{1,255}$")
_FIELDS = (
    "home",
    "database_url",
    "origin",
    "memory_bytes",
    "cache_bytes",
    "witness_dir",
    "public_url",
    "token_minutes",
    "allow_client_secret",
    "rate_per_minute",
    "uploads_dir",
    "upload_max_bytes",
    "upload_days",
    "uploads_open",
    "billing_zone",
    "operator_fee_bp",
    "listing_review",
    "release_tick_ms",
    "webhook_networks",
)
DEFAULT_PUBLIC_URL = "http://127.0.0.1:8000"
DEFAULT_TOKEN_MINUTES = 10
MAX_TOKEN_MINUTES = 60
DEFAULT_RATE_PER_MINUTE = 600
MAX_RATE_PER_MINUTE = 1_000_000
REVIEWS = ("second", "operator", "none")
"""Who lets a listing go live: a second person of its provider (or the operator), the operator alone, or its writer."""

_WHOLE_BP = 10_000
MIN_MEMORY_BYTES = 64 << 20
_MOST = 10_000
DEFAULT_CACHE_BYTES = 1 << 30
DEFAULT_UPLOAD_MAX_BYTES = 64 << 30
DEFAULT_UPLOAD_DAYS = 7
DEFAULT_UPLOADS_OPEN = 20
DEFAULT_RELEASE_TICK_MS = 500
MAX_RELEASE_TICK_MS = 60_000


class SettingsError(CleanroomError):
    """A setting is missing or cannot be used."""

    code = "settings.invalid"


@dataclass(frozen=True)
class Settings:
    """The settings of one room.

    Attributes:
        home: where everything the room stores lies.
        database_url: SQLAlchemy's URL of the SQL store.
        origin: the room's name in signed checkpoints, such as `room.example.org/cleanroom`; fixed for good.
        memory_bytes: how much memory ingestion may use for rows in flight.
        witness_dir: where the room remembers, outside its database, what it did last; `keys` in the home when not
            given. Best on another disk, and never restored from a backup together with the database.
        cache_bytes: how much of the decrypted columns a process keeps between questions; what does not fit is read in
            blocks.
        public_url: how callers reach the room, without a slash at its end; it is the issuer of access tokens.
        token_minutes: how long an access token lives.
        allow_client_secret: whether a client may prove who it is by a shared secret; keys always do.
        rate_per_minute: how many HTTP requests a minute a client may make, and an address that is no client's.
        uploads_dir: where uploads lie until they are loaded, on the disk that has room for them; `uploads` in the home
            when not given. All processes of the room see the same directory.
        upload_max_bytes: the largest package that is taken.
        upload_days: how long an upload may take from its creation on.
        uploads_open: how many uploads an organisation may have that are not loaded yet.
        billing_zone: the IANA name of the time zone whose days and months prices and statements go by. Once there are
            entitlements it stays: free questions and caps are counted by its months.
        operator_fee_bp: the operator's share of what buyers pay, in basis points, for entitlements made from now on.
        listing_review: who lets a listing go live, one of `REVIEWS`.
        release_tick_ms: the smallest step, in milliseconds, after which the answer of a question that a worker counted
            is released; 0 releases it as soon as it is counted, and how long that took then tells about the data.
        webhook_networks: networks that webhooks may be in besides the public internet; with loopback among them plain
            http may be used there.
    """

    home: Path
    database_url: str
    origin: str
    memory_bytes: int
    witness_dir: Path | None = None
    cache_bytes: int = DEFAULT_CACHE_BYTES
    public_url: str = DEFAULT_PUBLIC_URL
    token_minutes: int = DEFAULT_TOKEN_MINUTES
    allow_client_secret: bool = True
    rate_per_minute: int = DEFAULT_RATE_PER_MINUTE
    uploads_dir: Path | None = None
    upload_max_bytes: int = DEFAULT_UPLOAD_MAX_BYTES
    upload_days: int = DEFAULT_UPLOAD_DAYS
    uploads_open: int = DEFAULT_UPLOADS_OPEN
    billing_zone: str = "UTC"
    operator_fee_bp: int = 0
    listing_review: str = "second"
    release_tick_ms: int = DEFAULT_RELEASE_TICK_MS
    webhook_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def uploads_path(self) -> Path:
        """The directory of what is being uploaded, or waits to be loaded."""
        return self.uploads_dir or self.home / "uploads"

    @property
    def heartbeat_path(self) -> Path:
        """A file that a worker touches while it lives."""
        return self.home / "worker.heartbeat"

    @property
    def token_keys_path(self) -> Path:
        """The keys that sign access tokens."""
        return self.keys_dir / "tokens.json"

    @property
    def head_path(self) -> Path:
        """The newest signed head of the log."""
        return (self.witness_dir or self.keys_dir) / "log.head"

    @property
    def allocations_path(self) -> Path:
        """The list of all budget that was ever given out."""
        return (self.witness_dir or self.keys_dir) / "allocations.jsonl"

    @property
    def keys_dir(self) -> Path:
        """The directory of key files, closed to everybody else."""
        return self.home / "keys"

    @property
    def verifier_key_path(self) -> Path:
        """The public text that verifies the room's checkpoints."""
        return self.keys_dir / "verifier.key"

    @property
    def objects_dir(self) -> Path:
        """The directory of sealed files."""
        return self.home / "objects"

    @property
    def receipts_dir(self) -> Path:
        """The directory of receipts."""
        return self.home / "receipts"


def load_settings(environ: Mapping[str, str], *, home: Path | None = None) -> Settings:
    """Read the settings of a room.

    The home given here wins over CLEANROOM_HOME; the environment wins over `cleanroom.toml` in the home.

    Args:
        environ: the process's environment, normally `os.environ`.
        home: the room's home, when a command names it.

    Returns:
        Settings with an absolute home; nothing is created on disk.

    Raises:
        SettingsError: no home is named, or a value cannot be used; the message names the variable.
    """
    place = home or (Path(environ["CLEANROOM_HOME"]) if environ.get("CLEANROOM_HOME") else None)
    if place is None:
        raise SettingsError(
            "The room's home is not set.", remedy="Set CLEANROOM_HOME to a directory, or pass --home."
        )
    place = place.expanduser().resolve()
    values = _read_file(place / "cleanroom.toml")
    for field in _FIELDS:
        given = environ.get(_variable(field))
        if given:
            values[field] = given
    return Settings(
        home=place,
        database_url=_database_url(values.get("database_url"), home=place),
        origin=_origin(values.get("origin", "room.local/cleanroom")),
        memory_bytes=_bytes("memory_bytes", values.get("memory_bytes", 1 << 30), least=MIN_MEMORY_BYTES),
        witness_dir=_directory("witness_dir", values, home=place),
        cache_bytes=_bytes("cache_bytes", values.get("cache_bytes", DEFAULT_CACHE_BYTES), least=0),
        public_url=_public_url(values.get("public_url", DEFAULT_PUBLIC_URL)),
        token_minutes=_count(
            "token_minutes",
            values.get("token_minutes", DEFAULT_TOKEN_MINUTES),
            most=MAX_TOKEN_MINUTES,
            example=DEFAULT_TOKEN_MINUTES,
        ),
        allow_client_secret=_switch("allow_client_secret", values.get("allow_client_secret", True)),
        rate_per_minute=_count(
            "rate_per_minute",
            values.get("rate_per_minute", DEFAULT_RATE_PER_MINUTE),
            most=MAX_RATE_PER_MINUTE,
            example=DEFAULT_RATE_PER_MINUTE,
        ),
        uploads_dir=_directory("uploads_dir", values, home=place),
        upload_max_bytes=_bytes(
            "upload_max_bytes", values.get("upload_max_bytes", DEFAULT_UPLOAD_MAX_BYTES), least=1
        ),
        upload_days=_count(
            "upload_days",
            values.get("upload_days", DEFAULT_UPLOAD_DAYS),
            most=_MOST,
            example=DEFAULT_UPLOAD_DAYS,
        ),
        uploads_open=_count(
            "uploads_open",
            values.get("uploads_open", DEFAULT_UPLOADS_OPEN),
            most=_MOST,
            example=DEFAULT_UPLOADS_OPEN,
        ),
        billing_zone=_one_of("billing_zone", values.get("billing_zone", "UTC"), available_timezones()),
        operator_fee_bp=_basis_points(values.get("operator_fee_bp", 0)),
        listing_review=_one_of("listing_review", values.get("listing_review", "second"), REVIEWS),
        release_tick_ms=_count(
            "release_tick_ms",
            values.get("release_tick_ms", DEFAULT_RELEASE_TICK_MS),
            least=0,
            most=MAX_RELEASE_TICK_MS,
            example=DEFAULT_RELEASE_TICK_MS,
        ),
        webhook_networks=_networks(values.get("webhook_networks", "")),
    )


def _variable(field: str) -> str:
    return f"CLEANROOM_{field.upper()}"


def _read_file(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(
            f"The file cleanroom.toml in the room's home cannot be read ({type(error).__name__}).",
            remedy="Write it as TOML in UTF-8, or remove it.",
        ) from None
    unknown = sorted(set(values) - set(_FIELDS[1:]))
    if unknown:
        raise SettingsError(
            f"The file cleanroom.toml has the unknown setting {unknown[0]}.",
            remedy=f"Known settings: {', '.join(_FIELDS[1:])}.",
        )
    return values


def _database_url(value: object, *, home: Path) -> str:
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


def _origin(value: object) -> str:
    if not isinstance(value, str) or not _ORIGIN.match(value):
        raise SettingsError(
            "CLEANROOM_ORIGIN is empty, longer than 255 characters, or holds a space or a plus sign.",
            remedy="Use a name such as room.example.org/cleanroom.",
        )
    return value


def _directory(field: str, values: Mapping[str, object], *, home: Path) -> Path | None:
    value = values.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or "\0" in value:
        raise SettingsError(
            f"{_variable(field)} is not the path of a directory.",
            remedy="Give it as text, relative to the home or absolute.",
        )
    return (home / value).resolve()


def _one_of(field: str, value: object, known: Collection[str]) -> str:
    if value not in known:
        raise SettingsError(
            f"{_variable(field)} is not known.",
            remedy="Use a name of the IANA time zone database, such as Europe/Moscow."
            if field == "billing_zone"
            else f"Use one of: {', '.join(known)}.",
        )
    return str(value)


def _basis_points(value: object) -> int:
    text = str(value)
    if not text.isascii() or not text.isdecimal() or int(text) > _WHOLE_BP:
        raise SettingsError(
            f"CLEANROOM_OPERATOR_FEE_BP is not a whole number from 0 to {_WHOLE_BP}.",
            remedy="Give basis points: 1000 are ten per cent.",
        )
    return int(text)


def _bytes(field: str, value: object, *, least: int) -> int:
    count = _whole(value)
    if count is None or count < least:
        raise SettingsError(
            f"{_variable(field)} is not a whole number of at least {least}.",
            remedy="Give the bytes as digits, for example 1073741824.",
        )
    return count


def _public_url(value: object) -> str:
    text = str(value).rstrip("/")
    try:
        parts = urlsplit(text)
        host, extra = parts.hostname or "", bool(parts.query or parts.fragment or parts.username)
        loopback = host == "localhost" or _is_loopback(host)
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


def _networks(value: object) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(text) for text in re.split(r"[ ,]+", str(value)) if text)
    except ValueError:
        raise SettingsError(
            "CLEANROOM_WEBHOOK_NETWORKS is not a list of networks.",
            remedy="Write such as 10.1.2.0/24, fd00::/8, with commas between them.",
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _count(field: str, value: object, *, most: int, example: int, least: int = 1) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and least <= int(text[:20]) <= most):
        raise SettingsError(
            f"{_variable(field)} is not a whole number of {least} to {most}.",
            remedy=f"Give it as digits, for example {example}.",
        )
    return int(text)


def _switch(field: str, value: object) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise SettingsError(f"{_variable(field)} is neither true nor false.", remedy="Use true or false.")
    return text == "true"


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
