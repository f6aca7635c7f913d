"""Settings of stores of keys: what is taken, what is refused by name, and that no PIN is shown."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cleanroom.key_stores import open_key_stores
from cleanroom.settings import SettingsError, load_settings
from cleanroom.settings.key_stores import KmsSettings
from crypto.key_file import LocalKeyFile
from crypto.key_services import KeyServiceMissingError

TOKEN = {
    "CLEANROOM_KEYS": "pkcs11",
    "CLEANROOM_PKCS11_MODULE": "/usr/lib/hsm.so",
    "CLEANROOM_PKCS11_TOKEN": "room",
    "CLEANROOM_PKCS11_PIN": "the-pin",
}
KMS = {
    "CLEANROOM_KEYS": "kms",
    "CLEANROOM_KMS_REGION": "eu-central-1",
    "CLEANROOM_KMS_ALIAS": "cleanroom/room-1",
}


def test_keys_are_in_the_local_file_until_another_store_is_named(tmp_path: Path) -> None:
    made = load_settings({}, home=tmp_path).key_stores
    assert (made.kind, made.pkcs11, made.kms) == ("local", None, None)


def test_a_token_is_named_by_label_or_slot_and_its_pin_is_not_shown(tmp_path: Path) -> None:
    given = load_settings(TOKEN, home=tmp_path)
    token = given.key_stores.pkcs11
    assert token is not None
    assert (token.module, token.token, token.slot, token.pin) == (
        Path("/usr/lib/hsm.so"),
        "room",
        None,
        "the-pin",
    )
    assert "the-pin" not in repr(given)
    slot = load_settings(TOKEN | {"CLEANROOM_PKCS11_TOKEN": "", "CLEANROOM_PKCS11_SLOT": "0"}, home=tmp_path)
    assert slot.key_stores.pkcs11 is not None
    assert (slot.key_stores.pkcs11.token, slot.key_stores.pkcs11.slot) == (None, 0)
    file = tmp_path / "pin"
    file.write_text("of-the-file\n")
    file.chmod(0o600)
    read = load_settings(
        TOKEN | {"CLEANROOM_PKCS11_PIN": "", "CLEANROOM_PKCS11_PIN_FILE": "pin"}, home=tmp_path
    )
    assert read.key_stores.pkcs11 is not None
    assert read.key_stores.pkcs11.pin == "of-the-file"
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_settings(TOKEN | {"CLEANROOM_PKCS11_PIN": "", "CLEANROOM_PKCS11_PIN_FILE": "pin"}, home=tmp_path)


def test_a_region_has_an_alias_of_the_room(tmp_path: Path) -> None:
    assert load_settings(KMS, home=tmp_path).key_stores.kms == KmsSettings(
        "eu-central-1", "cleanroom/room-1", None, 7
    )
    changed = {"CLEANROOM_KMS_ENDPOINT": "http://127.0.0.1:4566", "CLEANROOM_KMS_DELETION_DAYS": "30"}
    assert load_settings(KMS | changed, home=tmp_path).key_stores.kms == KmsSettings(
        "eu-central-1", "cleanroom/room-1", "http://127.0.0.1:4566", 30
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"CLEANROOM_KEYS": "vault"}, "CLEANROOM_KEYS"),
        ({"CLEANROOM_KEYS": "pkcs11"}, "CLEANROOM_PKCS11_MODULE"),
        ({"CLEANROOM_KEYS": "kms"}, "CLEANROOM_KMS_REGION"),
        ({"CLEANROOM_PKCS11_TOKEN": "room"}, "CLEANROOM_PKCS11_TOKEN"),
        ({"CLEANROOM_KMS_ALIAS": "a"}, "CLEANROOM_KMS_ALIAS"),
        (TOKEN | {"CLEANROOM_PKCS11_TOKEN": ""}, "neither"),
        (TOKEN | {"CLEANROOM_PKCS11_TOKEN": "x" * 33}, "CLEANROOM_PKCS11_TOKEN"),
        (TOKEN | {"CLEANROOM_PKCS11_SLOT": "one"}, "CLEANROOM_PKCS11_SLOT"),
        (TOKEN | {"CLEANROOM_PKCS11_PIN": ""}, "PIN"),
        (KMS | {"CLEANROOM_KMS_REGION": "Frankfurt"}, "CLEANROOM_KMS_REGION"),
        (KMS | {"CLEANROOM_KMS_ALIAS": ""}, "CLEANROOM_KMS_ALIAS"),
        (KMS | {"CLEANROOM_KMS_ALIAS": "aws/room"}, "CLEANROOM_KMS_ALIAS"),
        (KMS | {"CLEANROOM_KMS_ALIAS": "room/*"}, "CLEANROOM_KMS_ALIAS"),
        (KMS | {"CLEANROOM_KMS_ENDPOINT": "http://kms.example.org"}, "CLEANROOM_KMS_ENDPOINT"),
        (KMS | {"CLEANROOM_KMS_DELETION_DAYS": "6"}, "7 to 30"),
        (KMS | {"CLEANROOM_KMS_DELETION_DAYS": "31"}, "7 to 30"),
    ],
)
def test_what_would_not_work_is_refused_by_name(tmp_path: Path, given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(given, home=tmp_path)


@pytest.mark.parametrize(("given", "package"), [(TOKEN, "pkcs11"), (KMS, "boto3")])
def test_without_its_extra_a_store_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], package: str
) -> None:
    for module in ("crypto.pkcs11_keys", "crypto.pkcs11_module", "crypto.kms_keys"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    settings = load_settings(given, home=tmp_path)
    LocalKeyFile.create(settings.keys_dir / "keyring.json")
    with pytest.raises(KeyServiceMissingError, match=rf"cleanroom\[server,{given['CLEANROOM_KEYS']}\]"):
        open_key_stores(settings)
    # The local file alone needs no extra.
    assert (
        open_key_stores(replace(settings, key_stores=load_settings({}, home=tmp_path).key_stores)).kek_ids()
        == ()
    )
