"""Who calls which room: from arguments, the environment, or a profile in a file that only its owner reads."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from cleanroom.client.remote.credentials import ClientKey, ClientSecret, Credential, read_jwk
from cleanroom.client.remote.problems import ConfigurationError
from crypto.durable import write_private

FILE = "profiles.toml"
DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OTHERS = 0o077


@dataclass(frozen=True)
class Profile:
    """What a client needs to know.

    Attributes:
        url: the room's public address.
        client_id: `cl_...`.
        client_secret: never shown; empty when there is a key.
        client_key: the path of a private JWK; empty when there is a secret.
        advertiser: whom an agency acts for; empty for nobody.
        verifier_key: the key that receipts are proven with, as it was at the login; empty when not known.
    """

    url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    client_key: str = ""
    advertiser: str = ""
    verifier_key: str = ""

    def credential(self) -> Credential:
        """Return what proves who the client is.

        Raises:
            ConfigurationError: something is missing, or the key's file cannot be read.
        """
        if not self.client_id or bool(self.client_secret) == bool(self.client_key):
            raise ConfigurationError(
                "The client's id and either its key or its secret are needed.",
                remedy="Run `cleanroom login URL`, or set CLEANROOM_CLIENT_ID and CLEANROOM_CLIENT_KEY.",
            )
        if self.client_secret:
            return ClientSecret(self.client_id, self.client_secret)
        return ClientKey(self.client_id, read_jwk(_private_text(Path(self.client_key))))


_FIELDS = tuple(one.name for one in fields(Profile))


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where profiles are kept: CLEANROOM_CONFIG_DIR, or the user's place for it."""
    return Path(environ.get("CLEANROOM_CONFIG_DIR") or platformdirs.user_config_dir("cleanroom"))


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where signing keys and unfinished uploads are kept: CLEANROOM_STATE_DIR, or the user's place for it."""
    return Path(environ.get("CLEANROOM_STATE_DIR") or platformdirs.user_state_dir("cleanroom"))


def load_profile(
    name: str | None = None, *, environ: Mapping[str, str] = os.environ, **given: str | None
) -> Profile:
    """Put together who calls: arguments win over the environment, the environment over the profile.

    Args:
        name: of the profile; CLEANROOM_PROFILE or `default` when not given.
        environ: CLEANROOM_URL, _CLIENT_ID, _CLIENT_SECRET, _CLIENT_KEY, _ADVERTISER, _VERIFIER_KEY.
        given: fields of `Profile`; None for not given.

    Raises:
        ConfigurationError: the named profile does not exist, its file is open to others, or no room is named.
    """
    wanted = name or environ.get("CLEANROOM_PROFILE") or ""
    saved = read_profiles(environ)
    if wanted and wanted not in saved:
        raise ConfigurationError(
            f"There is no profile {wanted[:80]!r}.", remedy="Run `cleanroom login URL --profile NAME`."
        )
    profile = saved.get(wanted or DEFAULT, Profile())
    found = {one: environ.get(f"CLEANROOM_{one.upper()}") for one in _FIELDS}
    profile = _overlaid(_overlaid(profile, found), given)
    if not profile.url:
        raise ConfigurationError(
            "No room is named.", remedy="Run `cleanroom login URL`, or set CLEANROOM_URL and a credential."
        )
    return profile


def read_profiles(environ: Mapping[str, str] = os.environ) -> dict[str, Profile]:
    """Read all profiles; raises ConfigurationError when others may read the file, or it is malformed."""
    path = config_dir(environ) / FILE
    if not path.exists():
        return {}
    try:
        plain = tomllib.loads(_private_text(path))
        profiles = {name: Profile(**values) for name, values in plain.items()}
        good = all(isinstance(value, str) for one in profiles.values() for value in asdict(one).values())
    except (tomllib.TOMLDecodeError, TypeError):
        good = False
    if not good:
        raise ConfigurationError(
            f"The file {FILE} is malformed.", remedy="Correct it, or remove it and log in again."
        )
    return profiles


def save_profile(name: str, profile: Profile, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Keep a profile in a file that only its owner reads; returns its path.

    Raises:
        ConfigurationError: the name is not fit for one.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "A profile's name has letters, digits, dots, dashes and underscores.", remedy="Choose another."
        )
    import tomli_w  # noqa: PLC0415 - only logging in writes

    plain: dict[str, Any] = {one: asdict(kept) for one, kept in read_profiles(environ).items()}
    plain[name] = {one: value for one, value in asdict(profile).items() if value}
    folder = private_folder(config_dir(environ))
    write_private(folder / FILE, tomli_w.dumps(plain).encode(), replace=True)
    return folder / FILE


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner enters."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "posix" and path.stat().st_mode & _OTHERS:
        path.chmod(0o700)
    return path


def _overlaid(profile: Profile, values: Mapping[str, str | None]) -> Profile:
    changed = {name: value for name, value in values.items() if value}
    # A credential replaces the one below it, of whichever kind that is.
    if {"client_secret", "client_key"} & changed.keys():
        profile = replace(profile, client_secret="", client_key="")
    # A key proves one room's receipts.
    if "url" in changed and changed["url"].rstrip("/") != profile.url:
        profile = replace(profile, verifier_key="")
    return replace(profile, **changed)


def _private_text(path: Path) -> str:
    try:
        if os.name == "posix" and path.stat().st_mode & _OTHERS:
            raise ConfigurationError(
                f"Others may read the file {path.name}, which holds a secret.",
                remedy=f"chmod 600 {path.name}",
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"The file {path.name} cannot be read.", remedy="Check the path and its permissions."
        ) from None
