"""Opening the stores of a room's key-encryption keys; those outside need an extra, loaded when it is needed."""

from functools import partial
from pathlib import Path

from cleanroom.settings import Settings
from cleanroom.settings.key_stores import KmsSettings, Pkcs11Settings
from cleanroom.unsealing import ask_root
from crypto import key_file
from crypto.key_file import LocalKeyFile
from crypto.key_services import KeyServiceMissingError
from crypto.keys import KeyProvider
from crypto.routed_keys import RoutedKeys


def open_key_stores(settings: Settings) -> RoutedKeys:
    """Open every store that a room has settings of; keys are made in the one that the settings name.

    Args:
        settings: the room's.

    Raises:
        KeyFileError, KeyFileExposedError, KeysSealedError: the local file cannot be used.
        KeyServiceMissingError, KeyServiceUnavailableError, KeyServiceRefusedError: another store cannot.
    """
    given, destroyed = settings.key_stores, settings.destroyed_keys_path
    opened: dict[str, tuple[str, KeyProvider]] = {"local": (key_file.PREFIX, open_key_file(settings))}
    if given.pkcs11 is not None:
        opened["pkcs11"] = _pkcs11(given.pkcs11, destroyed)
    if given.kms is not None:
        opened["kms"] = _kms(given.kms, destroyed)
    return RoutedKeys(dict(opened.values()), making=opened[given.kind][0])


def open_key_file(settings: Settings) -> LocalKeyFile:
    """Open the local file; one that is sealed when shares have opened it in a process of the room.

    Raises:
        KeyFileError, KeyFileExposedError, KeysSealedError: it cannot be used.
    """
    keys_dir = settings.keys_dir
    return LocalKeyFile.open(keys_dir / "keyring.json", root_of=partial(ask_root, keys_dir))


def _pkcs11(given: Pkcs11Settings, destroyed: Path) -> tuple[str, KeyProvider]:
    try:
        from crypto.pkcs11_keys import PREFIX, Pkcs11Keys  # noqa: PLC0415 - an extra
        from crypto.pkcs11_module import TokenPlace  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise _not_installed("pkcs11") from None
    place = TokenPlace(given.module, given.token, given.slot)
    return PREFIX, Pkcs11Keys.open(place, given.pin, destroyed=destroyed)


def _kms(given: KmsSettings, destroyed: Path) -> tuple[str, KeyProvider]:
    try:
        from crypto.kms_keys import PREFIX, KmsKeys, KmsPlace  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise _not_installed("kms") from None
    place = KmsPlace(given.region, given.alias, given.endpoint, given.deletion_days)
    return PREFIX, KmsKeys.open(place, destroyed=destroyed)


def _not_installed(extra: str) -> KeyServiceMissingError:
    return KeyServiceMissingError(
        f"What talks to the store of keys is not installed: the extra {extra}.",
        remedy=f"Run: pip install 'cleanroom[server,{extra}]'",
    )
