"""Workspaces have keys of their own, which can be replaced and destroyed, also across crashes."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from cleanroom.accounts.service import Accounts
from cleanroom.audit.log import AuditLog
from cleanroom.clock import SystemClock
from cleanroom.db.database import Database
from cleanroom.workspaces.errors import (
    NoRotationError,
    UnknownPopulationError,
    UnknownSecretError,
    UnknownWorkspaceError,
    WorkspaceDestroyedError,
    WorkspaceNameError,
)
from cleanroom.workspaces.models import WorkspaceSecretRow
from cleanroom.workspaces.service import Workspaces
from crypto.key_file import LocalKeyFile
from crypto.keys import KeyDestroyedError, UnwrapError


class CrashError(Exception):
    pass


class Room:
    def __init__(self, engine: Engine, directory: Path) -> None:
        clock = SystemClock()
        self.keys = LocalKeyFile.create(directory / "keys" / "room.json")
        self.db = Database(engine, AuditLog(origin="test/log", seed=bytes(32), clock=clock))
        self.workspaces = Workspaces(self.keys, clock)
        with self.db.transaction() as tx:
            accounts = Accounts(clock)
            self.owner = accounts.create_organisation(tx, name="Telecom", kind="provider").id
            self.other = accounts.create_organisation(tx, name="Bank", kind="advertiser").id

    def make(self, name: str = "crm") -> str:
        with self.db.transaction() as tx:
            return self.workspaces.create_workspace(tx, organisation_id=self.owner, name=name).id


@pytest.fixture
def room(sqlite_engine: Engine, tmp_path: Path) -> Room:
    return Room(sqlite_engine, tmp_path)


def test_a_workspace_opens_with_keys_of_its_own(room: Room) -> None:
    first, second = room.make(), room.make()
    with room.db.reading() as tx:
        workspace = room.workspaces.workspace(tx, first)
        mine, theirs = room.workspaces.secrets(tx, first), room.workspaces.secrets(tx, second)
        assert room.workspaces.recipient(tx, first) == workspace.recipient
        assert room.workspaces.token_secret(tx, first, 1) == mine.token_secret
    assert workspace.recipient.startswith("age1")
    assert mine.age_identity.startswith("AGE-SECRET-KEY-1")
    assert mine.token_version == 1
    assert len(mine.token_secret) == len(mine.fingerprint_key) == 32
    assert mine.token_secret != mine.fingerprint_key
    assert mine.token_secret != theirs.token_secret
    wrapped = mine.kek.wrap(b"k" * 32, context=b"c")
    with pytest.raises(UnwrapError):
        theirs.kek.unwrap(wrapped, context=b"c")


def test_keys_do_not_show_in_a_representation(room: Room) -> None:
    with room.db.transaction() as tx:
        keys = room.workspaces.secrets(
            tx, room.workspaces.create_workspace(tx, organisation_id=room.owner, name="x").id
        )
    assert keys.age_identity not in repr(keys)
    assert repr(keys.token_secret) not in repr(keys)


@pytest.mark.unlogged("whoever owns the database")
def test_a_wrapped_secret_cannot_take_the_place_of_another(room: Room) -> None:
    workspace_id = room.make()
    with room.db.transaction() as tx:
        rows = {row.purpose: row for row in tx.session.query(WorkspaceSecretRow).all()}
        rows["token"].wrapped = rows["fingerprint"].wrapped
        tx.session.flush()
        with pytest.raises(UnwrapError):
            room.workspaces.secrets(tx, workspace_id)


def test_a_rolled_back_workspace_leaves_no_key(room: Room) -> None:
    with pytest.raises(CrashError), room.db.transaction() as tx:  # noqa: PT012 - the block is the transaction
        room.workspaces.create_workspace(tx, organisation_id=room.owner, name="x")
        raise CrashError
    assert room.keys.kek_ids() == ()


def test_workspaces_share_a_population_only_when_told(room: Room) -> None:
    with room.db.transaction() as tx:
        made = room.workspaces.create_population(tx, organisation_id=room.owner, name="subscribers")
        a = room.workspaces.create_workspace(tx, organisation_id=room.owner, name="a", population_id=made.id)
        b = room.workspaces.create_workspace(tx, organisation_id=room.owner, name="b")
        assert a.population_id == made.id != b.population_id
        assert room.workspaces.population(tx, made.id) == made
        for population_id in (made.id, "pop_none"):
            with pytest.raises(UnknownPopulationError):
                room.workspaces.create_workspace(
                    tx, organisation_id=room.other, name="c", population_id=population_id
                )


@pytest.mark.parametrize("name", ["", " ", "x" * 201])
def test_a_name_has_1_to_200_characters(room: Room, name: str) -> None:
    with pytest.raises(WorkspaceNameError, match=r"1 to 200 characters\. Give it"):
        room.make(name)


def test_an_unknown_workspace_is_refused(room: Room) -> None:
    with room.db.reading() as tx, pytest.raises(UnknownWorkspaceError):
        room.workspaces.secrets(tx, "ws_none")


def test_a_key_rotation_keeps_secrets_and_files_readable_and_destroys_the_old_key(room: Room) -> None:
    workspace_id = room.make()
    with room.db.reading() as tx:
        before = room.workspaces.secrets(tx, workspace_id)
    old_file = before.kek.wrap(b"f" * 32, context=b"file")
    with room.db.transaction() as tx:
        rotation = room.workspaces.begin_kek_rotation(tx, workspace_id)
    with room.db.transaction() as tx:
        assert room.workspaces.begin_kek_rotation(tx, workspace_id) == rotation
        during = room.workspaces.secrets(tx, workspace_id)
    new_file = during.kek.wrap(b"n" * 32, context=b"file")
    assert during.kek.unwrap(old_file, context=b"file") == b"f" * 32
    assert during.kek.unwrap(new_file, context=b"file") == b"n" * 32
    moved = room.keys.rewrap(rotation.old_kek_id, rotation.new_kek_id, old_file, context=b"file")
    with room.db.transaction() as tx:
        room.workspaces.finish_kek_rotation(tx, workspace_id)
        assert set(room.keys.kek_ids()) == {rotation.old_kek_id, rotation.new_kek_id}
    with room.db.reading() as tx:
        after = room.workspaces.secrets(tx, workspace_id)
        assert room.workspaces.workspace(tx, workspace_id).kek_id == rotation.new_kek_id
    assert (after.token_secret, after.age_identity) == (before.token_secret, before.age_identity)
    assert after.kek.unwrap(moved, context=b"file") == b"f" * 32
    assert after.kek.unwrap(new_file, context=b"file") == b"n" * 32
    assert room.keys.kek_ids() == (rotation.new_kek_id,)
    with pytest.raises(KeyDestroyedError):
        before.kek.unwrap(old_file, context=b"file")


def test_a_rotation_that_is_rolled_back_at_its_end_keeps_the_old_key(room: Room) -> None:
    workspace_id = room.make()
    with room.db.transaction() as tx:
        rotation = room.workspaces.begin_kek_rotation(tx, workspace_id)
    with pytest.raises(CrashError), room.db.transaction() as tx:  # noqa: PT012 - the block is the transaction
        room.workspaces.finish_kek_rotation(tx, workspace_id)
        raise CrashError
    assert set(room.keys.kek_ids()) == {rotation.old_kek_id, rotation.new_kek_id}
    with room.db.reading() as tx:
        room.workspaces.secrets(tx, workspace_id)


def test_no_rotation_is_finished_that_was_not_begun(room: Room) -> None:
    workspace_id = room.make()
    with room.db.transaction() as tx, pytest.raises(NoRotationError):
        room.workspaces.finish_kek_rotation(tx, workspace_id)


def test_a_token_secret_is_replaced_once_switched(room: Room) -> None:
    workspace_id = room.make()
    with room.db.transaction() as tx:
        old = room.workspaces.secrets(tx, workspace_id)
        assert room.workspaces.add_token_secret(tx, workspace_id) == 2
        assert room.workspaces.secrets(tx, workspace_id).token_secret == old.token_secret
        fresh = room.workspaces.token_secret(tx, workspace_id, 2)
        room.workspaces.switch_token_secret(tx, workspace_id, 2)
        room.workspaces.switch_token_secret(tx, workspace_id, 2)
        new = room.workspaces.secrets(tx, workspace_id)
        assert (new.token_secret, new.token_version) == (fresh, 2)
        assert fresh != old.token_secret
        with pytest.raises(UnknownSecretError, match="version 1"):
            room.workspaces.token_secret(tx, workspace_id, 1)
        with pytest.raises(UnknownSecretError, match="version 3"):
            room.workspaces.switch_token_secret(tx, workspace_id, 3)
        assert room.workspaces.add_token_secret(tx, workspace_id) == 3


def test_destroying_shreds_every_key_after_the_commit(room: Room) -> None:
    workspace_id, kept = room.make(), room.make()
    with room.db.transaction() as tx:
        room.workspaces.begin_kek_rotation(tx, workspace_id)
        kek = room.workspaces.secrets(tx, workspace_id).kek
    sealed = kek.wrap(b"k" * 32, context=b"c")
    with room.db.transaction() as tx:
        room.workspaces.destroy(tx, workspace_id)
        assert len(room.keys.kek_ids()) == 3
    with room.db.reading() as tx:
        assert room.keys.kek_ids() == (room.workspaces.workspace(tx, kept).kek_id,)
        assert all(
            row.wrapped == b""
            for row in tx.session.query(WorkspaceSecretRow).filter_by(workspace_id=workspace_id)
        )
        with pytest.raises(WorkspaceDestroyedError, match="destroyed"):
            room.workspaces.secrets(tx, workspace_id)
    with pytest.raises(KeyDestroyedError):
        kek.unwrap(sealed, context=b"c")


def test_a_crash_between_commit_and_destruction_is_made_good(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace_id, kept = room.make(), room.make()

    def power_cut(_kek_id: str) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(room.keys, "destroy", power_cut)
        with pytest.raises(CrashError), room.db.transaction() as tx:
            room.workspaces.destroy(tx, workspace_id)
    assert len(room.keys.kek_ids()) == 2
    with room.db.transaction() as tx:
        assert len(room.workspaces.recover(tx)) == 1
        assert room.workspaces.recover(tx) == ()
        assert room.keys.kek_ids() == (room.workspaces.workspace(tx, kept).kek_id,)
