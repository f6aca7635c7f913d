"""Keys in a PKCS#11 token: they stay inside, what is wrong is said clearly, and a PIN is tried once."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute
from pkcs11.constants import TokenFlag

from crypto.key_services import (
    KeyServiceMissingError,
    KeyServiceRefusedError,
    KeyServiceUnavailableError,
)
from crypto.keys import KeyDestroyedError
from crypto.pkcs11_keys import Pkcs11Keys
from crypto.pkcs11_module import Module, Sessions, TokenPlace
from tests.softhsm import PIN, SoftHsm


@pytest.fixture
def destroyed(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder / "destroyed"


@pytest.fixture
def keys(token: TokenPlace, destroyed: Path) -> Pkcs11Keys:
    return Pkcs11Keys.open(token, PIN, destroyed=destroyed)


def listed(place: TokenPlace) -> list[str]:
    """List the labels of all that lies in a token."""
    found: list[str] = Sessions.begin(place, PIN).run(
        lambda session: [key[Attribute.LABEL] for key in session.get_objects({})]
    )
    return found


def test_a_key_cannot_be_taken_out_of_the_token_nor_be_made_to_serve_otherwise(
    keys: Pkcs11Keys, token: TokenPlace
) -> None:
    kek_id = keys.create_kek("ws_1")

    def attempts(session: pkcs11.Session) -> None:
        (kek,) = session.get_objects({Attribute.ID: kek_id.encode()})
        assert kek[Attribute.LABEL] == "cleanroom/ws_1"
        with pytest.raises(pkcs11.AttributeSensitive):
            kek[Attribute.VALUE]
        for attribute, value in ((Attribute.EXTRACTABLE, True), (Attribute.SENSITIVE, False)):
            with pytest.raises(pkcs11.PKCS11Error):
                kek[attribute] = value
        other = session.generate_key(pkcs11.KeyType.AES, 256, store=False)
        with pytest.raises(pkcs11.PKCS11Error):
            other.wrap_key(kek)
        with pytest.raises((pkcs11.PKCS11Error, AttributeError)):
            kek.wrap_key(other)

    with Module.load(token.module).lock:
        Sessions.begin(token, PIN).run(attempts)


def test_a_token_that_does_not_keep_its_keys_is_not_used(
    keys: Pkcs11Keys, token: TokenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules["crypto.pkcs11_keys"]._MAY, Attribute.EXTRACTABLE, True)
    with pytest.raises(KeyServiceUnavailableError, match="keep its keys"):
        keys.create_kek("ws_1")
    assert listed(token) == []


def test_what_is_destroyed_is_gone_from_the_token(keys: Pkcs11Keys, token: TokenPlace) -> None:
    first, second = keys.create_kek("ws_1"), keys.create_kek("ws_2")
    assert sorted(listed(token)) == ["cleanroom/ws_1", "cleanroom/ws_2"]
    keys.destroy(first)
    assert listed(token) == ["cleanroom/ws_2"]
    assert keys.kek_ids() == (second,)


def test_a_destruction_that_a_crash_cut_short_is_finished(
    keys: Pkcs11Keys, token: TokenPlace, destroyed: Path
) -> None:
    kek_id = keys.create_kek("ws_1")
    destroyed.write_text(f"{kek_id}\n")
    assert keys.kek_ids() == (kek_id,)
    keys.destroy(kek_id)
    assert listed(token) == []
    with pytest.raises(KeyDestroyedError):
        keys.wrap(kek_id, b"k", context=b"")


def test_a_wrong_pin_is_said_and_never_tried_again(
    token: TokenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, wrong = Sessions(token, "not-the-pin"), 0
    opened = Sessions._open

    def counted(self: Sessions, found: pkcs11.Token) -> pkcs11.Session:
        nonlocal wrong
        wrong += 1
        return opened(self, found)

    monkeypatch.setattr(Sessions, "_open", counted)
    for _ in range(3):
        with pytest.raises(KeyServiceRefusedError, match="PinIncorrect") as caught:
            sessions.run(lambda _session: None)
    assert wrong == 1
    assert "not-the-pin" not in f"{caught.value}{sessions!r}{caught.value.__context__}"
    assert Sessions.begin(token, PIN)


@pytest.mark.parametrize("flag", [TokenFlag.USER_PIN_FINAL_TRY, TokenFlag.USER_PIN_LOCKED])
def test_the_last_try_of_a_pin_is_left_to_a_person(token: TokenPlace, flag: TokenFlag) -> None:
    class Worn:
        flags = flag

        def open(self, **_: object) -> None:
            raise AssertionError("the last try was taken")

    with pytest.raises(KeyServiceRefusedError, match="at most one try"):
        Sessions(token, PIN)._open(Worn())  # type: ignore[arg-type]


def test_a_missing_module_a_missing_token_and_two_of_one_name_are_told_apart(
    softhsm: SoftHsm, token: TokenPlace, destroyed: Path, tmp_path: Path
) -> None:
    nothing = tmp_path / "libnothing.so"
    with pytest.raises(KeyServiceMissingError, match=r"libnothing\.so"):
        Pkcs11Keys.open(replace(token, module=nothing), PIN, destroyed=destroyed)
    nothing.write_bytes(b"no library")
    with pytest.raises(KeyServiceMissingError, match=r"libnothing\.so"):
        Pkcs11Keys.open(replace(token, module=nothing), PIN, destroyed=destroyed)
    with pytest.raises(KeyServiceUnavailableError, match="0 tokens"):
        Pkcs11Keys.open(replace(token, label="absent"), PIN, destroyed=destroyed)
    assert token.label is not None
    softhsm.token(token.label)
    Module.load(token.module).restart()
    with pytest.raises(KeyServiceUnavailableError, match="2 tokens"):
        Pkcs11Keys.open(token, PIN, destroyed=destroyed)
    slots = [slot.slot_id for slot in pkcs11.lib(str(token.module.resolve())).get_slots(token_present=True)]
    mine = [slot for slot in slots if _opens(TokenPlace(token.module, token.label, slot))]
    assert len(mine) == 2
    assert Pkcs11Keys.open(TokenPlace(token.module, None, mine[0]), PIN, destroyed=destroyed).kek_ids() == ()


def _opens(place: TokenPlace) -> bool:
    try:
        Module.load(place.module).token(place)
    except KeyServiceUnavailableError:
        return False
    return True


# The binding tells on standard error of a search in a session that is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_session_is_opened_again_and_a_lost_token_is_said_until_it_is_back(
    softhsm: SoftHsm, keys: Pkcs11Keys, token: TokenPlace, tmp_path: Path
) -> None:
    kek_id = keys.create_kek("ws_1")
    wrapped = keys.wrap(kek_id, b"secret", context=b"")
    with Module.load(token.module).lock:
        pkcs11.lib(str(token.module.resolve())).reinitialize()
    assert keys.unwrap(kek_id, wrapped, context=b"") == b"secret"
    before = {folder: tmp_path / folder.name for folder in softhsm.tokens.iterdir()}
    for folder, away in before.items():
        shutil.move(folder, away)
    Module.load(token.module).restart()
    for attempt in (
        keys.check,
        lambda: keys.unwrap(kek_id, wrapped, context=b""),
        lambda: keys.destroy(kek_id),
        keys.kek_ids,
    ):
        with pytest.raises(KeyServiceUnavailableError):
            attempt()
    for folder, away in before.items():
        shutil.move(away, folder)
    assert keys.unwrap(kek_id, wrapped, context=b"") == b"secret"
    keys.check()


def test_a_module_that_is_behind_other_processes_starts_anew(
    keys: Pkcs11Keys, token: TokenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    kek_id, module = keys.create_kek("ws_1"), Module.load(token.module)
    wrapped, behind = keys.wrap(kek_id, b"secret", context=b""), module.generation

    def objects(session: pkcs11.Session, kek_id: str) -> list[Any]:
        return known(session, kek_id) if module.generation > behind else []

    known = sys.modules["crypto.pkcs11_keys"]._objects
    monkeypatch.setattr("crypto.pkcs11_keys._objects", objects)
    assert keys.unwrap(kek_id, wrapped, context=b"") == b"secret"
    # A list would lack the key without an error, and an act of destruction would believe it.
    behind = module.generation
    assert keys.kek_ids() == (kek_id,)
    assert module.generation > behind
    # One that does not see even the token, as while another process writes to it.
    fitting, seen = Module._fitting, list[int]()

    def late(self: Module, place: TokenPlace) -> list[pkcs11.Token]:
        seen.append(len(seen))
        return fitting(self, place) if len(seen) > 2 else []

    monkeypatch.setattr(Module, "_fitting", late)
    module.restart()
    assert keys.unwrap(kek_id, wrapped, context=b"") == b"secret"
    assert len(seen) == 3


def test_without_the_extra_the_rest_works_and_this_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['pkcs11'] = None\n"
        "import crypto.keys\n"
        "try:\n import crypto.pkcs11_keys\nexcept ModuleNotFoundError as error:\n assert error.name == 'pkcs11'\n"
        "else:\n raise SystemExit(1)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
