"""What the operator decides, read once: from CLEANROOM_* variables and a TOML file in the room's home."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from cleanroom.settings import alarms, key_stores, mail, witnesses
from cleanroom.settings.alarms import USUAL as USUAL_ALARMS
from cleanroom.settings.alarms import AlarmSettings, alarm_settings
from cleanroom.settings.key_stores import LOCAL_KEYS, KeyStoreSettings, key_store_settings
from cleanroom.settings.mail import MailSettings, mail_settings
from cleanroom.settings.single_sign_on import ProviderSettings, provider_settings
from cleanroom.settings.values import (
    SettingsError,
    basis_points,
    byte_count,
    count,
    database_url,
    directory,
    networks,
    one_of,
    origin,
    public_url,
    switch,
    time_zone,
    variable,
)
from cleanroom.settings.witnesses import UNWITNESSED, PublishingSettings, publishing_settings

__all__ = ["Settings", "SettingsError", "load_settings"]

_FIELDS = (
    "home",
    "database_url",
    "origin",
    "memory_bytes",
    "cache_bytes",
    "witness_dir",
    "mirror_dir",
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
    "require_second_factor",
    "erasure_hours",
    *key_stores.FIELDS,
    *mail.FIELDS,
    *alarms.FIELDS,
    *witnesses.FIELDS,
)
_TABLES = ("sso",)
"""What the file alone may hold."""
DEFAULT_PUBLIC_URL = "http://127.0.0.1:8000"
DEFAULT_TOKEN_MINUTES = 10
MAX_TOKEN_MINUTES = 60
DEFAULT_RATE_PER_MINUTE = 600
MAX_RATE_PER_MINUTE = 1_000_000
REVIEWS = ("second", "operator", "none")
"""Who lets a listing go live: a second person of its provider (or the operator), the operator alone, or its writer."""

MIN_MEMORY_BYTES = 64 << 20
_MOST = 10_000
DEFAULT_CACHE_BYTES = 1 << 30
DEFAULT_UPLOAD_MAX_BYTES = 64 << 30
DEFAULT_UPLOAD_DAYS = 7
DEFAULT_UPLOADS_OPEN = 20
DEFAULT_RELEASE_TICK_MS = 500
MAX_RELEASE_TICK_MS = 60_000
DEFAULT_ERASURE_HOURS = 24
MAX_ERASURE_HOURS = 240


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
        require_second_factor: whether everybody needs a second factor; each organisation may require it by itself.
        erasure_hours: how long requests to erase are gathered before a dataset's files are written anew; whom they name
            is not counted from the first moment on.
        key_stores: where key-encryption keys live.
        mail: the relay that takes mail; None when the room sends none.
        sso: identity providers that people may sign in with.
        alarms: when detectors raise an alarm.
        publishing: how the log's heads are published, and who vouches for them.
    """

    home: Path
    database_url: str
    origin: str
    memory_bytes: int
    witness_dir: Path | None = None
    mirror_dir: Path | None = None
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
    require_second_factor: bool = False
    erasure_hours: int = DEFAULT_ERASURE_HOURS
    key_stores: KeyStoreSettings = LOCAL_KEYS
    mail: MailSettings | None = None
    sso: tuple[ProviderSettings, ...] = ()
    alarms: AlarmSettings = USUAL_ALARMS
    publishing: PublishingSettings = UNWITNESSED

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
    def mirror_path(self) -> Path:
        """Where what holds people back is written down, sealed; beside the newest head when not elsewhere."""
        return self.mirror_dir or self.head_path.with_name("withdrawals")

    @property
    def restored_path(self) -> Path:
        """A file that stands there from a restore until the room is reconciled."""
        return self.home / "restored"

    @property
    def keys_dir(self) -> Path:
        """The directory of key files, closed to everybody else."""
        return self.home / "keys"

    @property
    def destroyed_keys_path(self) -> Path:
        """The ids of keys that were destroyed in stores outside."""
        return self.keys_dir / "destroyed"

    @property
    def verifier_key_path(self) -> Path:
        """The public text that verifies the room's checkpoints."""
        return self.keys_dir / "verifier.key"

    @property
    def objects_dir(self) -> Path:
        """The directory of sealed files."""
        return self.home / "objects"

    @property
    def evidence_dir(self) -> Path:
        """The directory of bundles of evidence that were asked for."""
        return self.home / "evidence"

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
        given = environ.get(variable(field))
        if given:
            values[field] = given
    zone = time_zone("billing_zone", values.get("billing_zone", "UTC"))
    return Settings(
        home=place,
        database_url=database_url(values.get("database_url"), home=place),
        origin=origin(values.get("origin", "room.local/cleanroom")),
        memory_bytes=byte_count("memory_bytes", values.get("memory_bytes", 1 << 30), least=MIN_MEMORY_BYTES),
        witness_dir=directory("witness_dir", values, home=place),
        mirror_dir=directory("mirror_dir", values, home=place),
        cache_bytes=byte_count("cache_bytes", values.get("cache_bytes", DEFAULT_CACHE_BYTES), least=0),
        public_url=public_url(values.get("public_url", DEFAULT_PUBLIC_URL)),
        token_minutes=count(
            "token_minutes",
            values.get("token_minutes", DEFAULT_TOKEN_MINUTES),
            most=MAX_TOKEN_MINUTES,
            example=DEFAULT_TOKEN_MINUTES,
        ),
        allow_client_secret=switch("allow_client_secret", values.get("allow_client_secret", True)),
        rate_per_minute=count(
            "rate_per_minute",
            values.get("rate_per_minute", DEFAULT_RATE_PER_MINUTE),
            most=MAX_RATE_PER_MINUTE,
            example=DEFAULT_RATE_PER_MINUTE,
        ),
        uploads_dir=directory("uploads_dir", values, home=place),
        upload_max_bytes=byte_count(
            "upload_max_bytes", values.get("upload_max_bytes", DEFAULT_UPLOAD_MAX_BYTES), least=1
        ),
        upload_days=count(
            "upload_days",
            values.get("upload_days", DEFAULT_UPLOAD_DAYS),
            most=_MOST,
            example=DEFAULT_UPLOAD_DAYS,
        ),
        uploads_open=count(
            "uploads_open",
            values.get("uploads_open", DEFAULT_UPLOADS_OPEN),
            most=_MOST,
            example=DEFAULT_UPLOADS_OPEN,
        ),
        billing_zone=zone,
        operator_fee_bp=basis_points(values.get("operator_fee_bp", 0)),
        listing_review=one_of("listing_review", values.get("listing_review", "second"), REVIEWS),
        release_tick_ms=count(
            "release_tick_ms",
            values.get("release_tick_ms", DEFAULT_RELEASE_TICK_MS),
            least=0,
            most=MAX_RELEASE_TICK_MS,
            example=DEFAULT_RELEASE_TICK_MS,
        ),
        webhook_networks=networks(values.get("webhook_networks", "")),
        require_second_factor=switch("require_second_factor", values.get("require_second_factor", False)),
        erasure_hours=count(
            "erasure_hours",
            values.get("erasure_hours", DEFAULT_ERASURE_HOURS),
            least=0,
            most=MAX_ERASURE_HOURS,
            example=DEFAULT_ERASURE_HOURS,
        ),
        key_stores=key_store_settings(values, environ, home=place),
        mail=mail_settings(values, environ, home=place),
        sso=provider_settings(values.get("sso"), environ, home=place),
        alarms=alarm_settings(values, zone=zone),
        publishing=publishing_settings(values),
    )


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
    unknown = sorted(set(values) - set(_FIELDS[1:]) - set(_TABLES))
    if unknown:
        raise SettingsError(
            f"The file cleanroom.toml has the unknown setting {unknown[0]}.",
            remedy=f"Known settings: {', '.join((*_FIELDS[1:], *_TABLES))}.",
        )
    return values
