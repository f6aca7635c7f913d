"""Where key-encryption keys live: in the local file, in a PKCS#11 token, or in AWS KMS."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cleanroom.settings.secret_files import secret
from cleanroom.settings.values import SettingsError, count, is_loopback, one_of, variable

FIELDS = (
    "keys",
    "pkcs11_module",
    "pkcs11_token",
    "pkcs11_slot",
    "pkcs11_pin_file",
    "kms_region",
    "kms_alias",
    "kms_endpoint",
    "kms_deletion_days",
)
KINDS = ("local", "pkcs11", "kms")
MIN_DELETION_DAYS, MAX_DELETION_DAYS = 7, 30
_MAX_SLOT = (1 << 64) - 1
_TOKEN_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,32}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}")
_ALIAS = re.compile(r"(?!aws/)[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_MAX_ALIAS = 180


@dataclass(frozen=True)
class Pkcs11Settings:
    """A token.

    Attributes:
        module: path of the module, a shared library.
        token: the token's label; None for whichever is in the slot.
        slot: the slot's id; None for any that holds a token of this label.
        pin: of the token's user.
    """

    module: Path
    token: str | None
    slot: int | None
    pin: str = field(repr=False)


@dataclass(frozen=True)
class KmsSettings:
    """A region of AWS KMS, or what speaks its protocol; AWS's own variables say who the room is there.

    Attributes:
        region: of AWS.
        alias: what the aliases of the room's keys begin with, after `alias/`.
        endpoint: an address to call instead of the region's own; None for that.
        deletion_days: how long AWS keeps a destroyed key, during which whoever may can bring it back.
    """

    region: str
    alias: str
    endpoint: str | None
    deletion_days: int


@dataclass(frozen=True)
class KeyStoreSettings:
    """Which stores there are, and in which of them new keys are made.

    Attributes:
        kind: where new keys are made, one of `KINDS`; those of the other stores are still used where they are.
        pkcs11: a token; None for none.
        kms: a region; None for none.
    """

    kind: str = "local"
    pkcs11: Pkcs11Settings | None = None
    kms: KmsSettings | None = None


LOCAL_KEYS = KeyStoreSettings()
"""The local file alone."""


def key_store_settings(
    values: Mapping[str, object], environ: Mapping[str, str], *, home: Path
) -> KeyStoreSettings:
    """Read where keys live.

    Args:
        values: by field.
        environ: may hold the PIN, as CLEANROOM_PKCS11_PIN.
        home: the room's.

    Raises:
        SettingsError: a value cannot be used, or one is missing.
    """
    kind = one_of("keys", values.get("keys", "local"), KINDS)
    token, kms = _pkcs11(values, environ, home=home), _kms(values)
    if kind == "pkcs11" and token is None:
        raise _missing("pkcs11_module", kind)
    if kind == "kms" and kms is None:
        raise _missing("kms_region", kind)
    return KeyStoreSettings(kind, token, kms)


def _pkcs11(values: Mapping[str, object], environ: Mapping[str, str], *, home: Path) -> Pkcs11Settings | None:
    module = values.get("pkcs11_module")
    if not module:
        _alone(values, "pkcs11_module", "pkcs11_token", "pkcs11_slot", "pkcs11_pin_file")
        return None
    label = str(values["pkcs11_token"]) if values.get("pkcs11_token") else None
    if label is not None and not _TOKEN_LABEL.fullmatch(label):
        raise SettingsError(
            "CLEANROOM_PKCS11_TOKEN is no label of a token.", remedy="It has 1 to 32 characters."
        )
    slot = values.get("pkcs11_slot")
    if label is None and slot in (None, ""):
        raise SettingsError(
            "CLEANROOM_PKCS11_MODULE is set, and neither CLEANROOM_PKCS11_TOKEN nor CLEANROOM_PKCS11_SLOT.",
            remedy="Name the token by its label.",
        )
    pin = secret(environ, "CLEANROOM_PKCS11_PIN", values.get("pkcs11_pin_file"), home=home)
    if pin is None:
        raise SettingsError(
            "The PIN of the PKCS#11 token is not given.",
            remedy="Write it into a file that only its owner can read, and name that in CLEANROOM_PKCS11_PIN_FILE; "
            "or set CLEANROOM_PKCS11_PIN.",
        )
    number = None if slot in (None, "") else count("pkcs11_slot", slot, least=0, most=_MAX_SLOT, example=0)
    return Pkcs11Settings((home / str(module)).resolve(), label, number, pin)


def _kms(values: Mapping[str, object]) -> KmsSettings | None:
    region = str(values.get("kms_region") or "")
    if not region:
        _alone(values, "kms_region", "kms_alias", "kms_endpoint", "kms_deletion_days")
        return None
    if not _REGION.fullmatch(region):
        raise SettingsError("CLEANROOM_KMS_REGION is no region.", remedy="Write such as eu-central-1.")
    alias = str(values.get("kms_alias") or "")
    if len(alias) > _MAX_ALIAS or not _ALIAS.fullmatch(alias):
        raise SettingsError(
            "CLEANROOM_KMS_ALIAS is missing, or no beginning of an alias.",
            remedy="Give this room one of its own, such as cleanroom/room-example-org.",
        )
    days = count(
        "kms_deletion_days",
        values.get("kms_deletion_days", MIN_DELETION_DAYS),
        least=MIN_DELETION_DAYS,
        most=MAX_DELETION_DAYS,
        example=MIN_DELETION_DAYS,
    )
    return KmsSettings(region, alias, _endpoint(values.get("kms_endpoint")), days)


def _endpoint(value: object) -> str | None:
    if value in (None, ""):
        return None
    text = str(value)
    parts = urlsplit(text)
    host = parts.hostname or ""
    local = parts.scheme == "http" and (host == "localhost" or is_loopback(host))
    # Keys would cross a network in the open.
    if not host or not (parts.scheme == "https" or local):
        raise SettingsError(
            "CLEANROOM_KMS_ENDPOINT is no https address.", remedy="Leave it out for the region's own."
        )
    return text


def _alone(values: Mapping[str, object], first: str, *others: str) -> None:
    given = next((name for name in others if values.get(name)), None)
    if given is not None:
        raise SettingsError(
            f"{variable(given)} is set, and {variable(first)} is not.", remedy="Set both, or neither."
        )


def _missing(field_name: str, kind: str) -> SettingsError:
    return SettingsError(
        f"CLEANROOM_KEYS is {kind}, and {variable(field_name)} is not set.",
        remedy="See the reference of settings for what it needs.",
    )
