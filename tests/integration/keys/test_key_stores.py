"""Keys in a PKCS#11 token: a room works with them, moves into it while it answers, and is shredded for good."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pkcs11 import Attribute

from cleanroom.bootstrap import init_room, open_room
from cleanroom.cli.main import EXIT_KNOWN_ERROR, main
from cleanroom.datasets.types import Role
from cleanroom.room import Room
from cleanroom.settings import Settings
from cleanroom.settings.key_stores import KeyStoreSettings, Pkcs11Settings
from cleanroom.signin.models import SignInSecretRow
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from cleanroom.workspaces.models import WorkspaceRow
from crypto.errors import KeyDestroyedError, UnknownKeyError
from crypto.pkcs11_keys import PREFIX
from crypto.pkcs11_module import Sessions, TokenPlace
from crypto.routed_keys import RoutedKeys
from crypto.sealed_format import SealedKeyError
from tests.integration.keys.test_wrapping import hooked, signing
from tests.people_rooms import person
from tests.rooms import MakeRoom, MovableClock, Stage
from tests.softhsm import PIN


def in_token(settings: Settings, token: TokenPlace, kind: str = "pkcs11") -> Settings:
    given = Pkcs11Settings(token.module, token.label, None, PIN)
    return replace(settings, key_stores=KeyStoreSettings(kind, given))


def listed(token: TokenPlace) -> set[str]:
    """The ids of all keys in a token, read from the token itself."""
    found: set[str] = Sessions.begin(token, PIN).run(
        lambda session: {bytes(key[Attribute.ID]).decode() for key in session.get_objects({})}
    )
    return found


def reopened(stage: Stage, settings: Settings) -> Room:
    stage.room.close()
    stage.room = open_room(settings, clock=stage.clock)
    return stage.room


@pytest.fixture
def stage(make_room: MakeRoom, quick_hashes: None) -> Stage:
    return make_room()


@pytest.fixture
def run(
    stage: Stage, token: TokenPlace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The command, with both stores in its environment."""
    for name, value in {
        "CLEANROOM_KEYS": "pkcs11",
        "CLEANROOM_PKCS11_MODULE": str(token.module),
        "CLEANROOM_PKCS11_TOKEN": str(token.label),
        "CLEANROOM_PKCS11_PIN": PIN,
    }.items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(stage.home)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return call


def test_a_room_moves_into_a_token_while_it_answers(stage: Stage, token: TokenPlace, run: Any) -> None:
    person(stage.room, stage.provider.organisation_id).enrol()
    endpoint_id, signs = hooked(stage)
    grant = stage.grant()
    before = set(stage.room.keys.kek_ids())
    # As a server that was told of both stores, and makes no keys itself.
    answering = reopened(stage, in_token(stage.room.settings, token, "local"))
    failures: list[BaseException] = []
    answered, ending = 0, Event()

    def ask() -> None:
        nonlocal answered
        try:
            while not ending.is_set():
                # Never the same again, whose answer would be at hand.
                young = {"attribute": "age", "op": "<", "value": 19 + answered % 60}
                assert stage.ask(grant, segments={"s": young}, precision="rough").figures, answered
                answered += 1
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            failures.append(error)

    asking = Thread(target=ask)
    asking.start()
    try:
        code, text = run("keys", "migrate", "--to", "pkcs11")
        moved_at = answered
        while answered < moved_at + 3 and not failures:
            ending.wait(0.05)
    finally:
        ending.set()
        asking.join()
    assert failures == []
    assert moved_at > 0
    assert code == 0, text
    workspaces = {party.workspace_id for party in stage.parties.values()}
    assert {f"MOVED {name}" for name in (*workspaces, "sign_ins", "webhooks")} < set(text.splitlines())
    assert text.splitlines()[-1] == "ALL keys in use are in the store pkcs11"
    assert set(answering.keys.kek_ids()) == listed(token)
    assert len(listed(token)) == 4
    assert not before & set(answering.keys.kek_ids())
    assert signing(answering, endpoint_id) == signs
    again = json.loads(run("keys", "migrate", "--to", "pkcs11", "--json")[1])
    assert again == {"store": "pkcs11", "workspaces": [], "waiting": [], "secrets": [], "unused": []}


def test_a_move_that_was_cut_short_is_finished_by_the_next_one(
    stage: Stage, token: TokenPlace, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrap, calls = RoutedKeys.rewrap, 0

    def cut(self: RoutedKeys, old: str, new: str, wrapped: bytes, *, context: bytes) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise KeyboardInterrupt
        return rewrap(self, old, new, wrapped, context=context)

    with monkeypatch.context() as patch:
        patch.setattr(RoutedKeys, "rewrap", cut)
        assert run("keys", "migrate", "--to", "pkcs11")[0] != 0
    assert listed(token)
    code, text = run("keys", "migrate", "--to", "pkcs11")
    assert code == 0, text
    room = reopened(stage, in_token(stage.room.settings, token))
    assert set(room.keys.kek_ids()) == listed(token)
    assert stage.ask(stage.grant()).figures


def test_keys_move_only_where_new_ones_are_made(stage: Stage, run: Any) -> None:
    code, text = run("keys", "migrate", "--to", "local")
    assert code == EXIT_KNOWN_ERROR
    assert "CLEANROOM_KEYS=local" in text


def test_a_shredded_workspace_is_gone_from_the_token_and_from_every_copy(
    tmp_path: Path, token: TokenPlace, stage: Stage, run: Any
) -> None:
    assert run("keys", "migrate", "--to", "pkcs11")[0] == 0
    settings = in_token(stage.room.settings, token)
    room = reopened(stage, settings)
    workspace_id = stage.provider.workspace_id
    with room.db.reading() as tx:
        kek_id = tx.session.get_one(WorkspaceRow, workspace_id).kek_id
        assert room.workspaces.secrets(tx, workspace_id)
    assert kek_id in listed(token)
    room.close()
    copy = tmp_path / "copy"
    shutil.copytree(stage.home, copy)
    room = reopened(stage, settings)
    with room.db.transaction() as tx:
        room.workspaces.destroy(tx, workspace_id)
    assert kek_id not in listed(token)
    assert kek_id.startswith(PREFIX)
    with room.db.reading() as tx, pytest.raises(WorkspaceDestroyedError):
        room.workspaces.secrets(tx, workspace_id)
    # Everything that lay on the disk before, keys included, and the token as it is now.
    before = replace(settings, home=copy, database_url=f"sqlite:///{copy / 'room.sqlite3'}")
    old = open_room(before, clock=stage.clock)
    try:
        with old.db.reading() as tx:
            assert tx.session.get_one(WorkspaceRow, workspace_id).destroyed_at is None
            with pytest.raises((KeyDestroyedError, UnknownKeyError)):
                old.workspaces.secrets(tx, workspace_id)
            reader = old.datasets.reader(tx, old.datasets.current(tx, stage.dataset_id).id)
            with pytest.raises((KeyDestroyedError, SealedKeyError)):
                reader.read(Role.PERSON_HI, 0, "<u8")
            # The other side's is not touched.
            assert old.workspaces.secrets(tx, stage.advertiser.workspace_id)
    finally:
        old.close()


def test_a_room_can_begin_in_a_token(tmp_path: Path, token: TokenPlace, make_room: MakeRoom) -> None:
    home = tmp_path / "home"
    settings = in_token(
        Settings(home, f"sqlite:///{home / 'room.sqlite3'}", "room.example/cleanroom", 1 << 28), token
    )
    clock = MovableClock()
    stage = Stage(home, init_room(settings, clock=clock), clock)
    stage.party("provider", "provider")
    anna = person(stage.room, stage.provider.organisation_id)
    anna.enrol()
    with stage.room.db.reading() as tx:
        kek_id = tx.session.get_one(SignInSecretRow, 1).kek_id
    assert kek_id in listed(token)
    assert all(one.startswith(PREFIX) for one in stage.room.keys.kek_ids())
    assert len(listed(token)) == 2
    stage.room.close()
    # Told of the local file alone it says that something is missing, and takes nothing for destroyed.
    alone = open_room(replace(settings, key_stores=KeyStoreSettings()), clock=clock)
    with alone.db.reading() as tx, pytest.raises(UnknownKeyError, match="not told of"):
        alone.workspaces.secrets(tx, stage.provider.workspace_id)
    alone.close()
