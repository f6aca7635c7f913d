"""A workspace with its keys in a PKCS#11 token, shredded by two people: no copy opens, and an act says so."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pkcs11 import Attribute

from cleanroom.bootstrap import open_room
from cleanroom.datasets.types import Role
from cleanroom.foureyes.deeds import SHRED
from cleanroom.rekeying.types import What
from cleanroom.rights.types import ActKind
from cleanroom.settings.key_stores import KeyStoreSettings, Pkcs11Settings
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from cleanroom.workspaces.models import WorkspaceRow
from crypto.errors import KeyDestroyedError, UnknownKeyError
from crypto.pkcs11_module import Sessions, TokenPlace
from crypto.sealed_format import SealedKeyError
from tests.people_rooms import person, quick_hashes
from tests.rights_rooms import compact, erase, problems
from tests.rooms import MakeRoom
from tests.softhsm import PIN

__all__ = ["quick_hashes"]


def in_token(token: TokenPlace) -> set[str]:
    """The ids of all keys in the token, asked of the token itself."""
    found: set[str] = Sessions.begin(token, PIN).run(
        lambda session: {bytes(key[Attribute.ID]).decode() for key in session.get_objects({})}
    )
    return found


@pytest.mark.slow
def test_the_token_refuses_no_backup_opens_and_an_act_is_made(
    make_room: MakeRoom, tmp_path: Path, token: TokenPlace, quick_hashes: None
) -> None:
    stage = make_room()
    owner, workspace_id = stage.provider.organisation_id, stage.provider.workspace_id
    anna, boris = (
        person(stage.room, owner, "owner", f"{name}@example.org").user.id for name in ("anna", "boris")
    )
    stage.room.close()
    given = KeyStoreSettings("pkcs11", Pkcs11Settings(token.module, token.label, None, PIN))
    settings = replace(stage.room.settings, key_stores=given)
    stage.room = room = open_room(settings, clock=stage.clock)
    # A new key-encryption key is made where new keys are made now, and everything is wrapped by it.
    with room.db.transaction() as tx:
        rotation = room.rekeying.ask(tx, workspace_id, What.WRAPPING, by=anna)
    room.rekeying.run(rotation.id)
    with room.db.reading() as tx:
        kek_id = tx.session.get_one(WorkspaceRow, workspace_id).kek_id
    assert kek_id in in_token(token)
    # Files are written anew with a key in the token as with one in a file.
    erase(stage, 3)
    compact(stage)
    room.close()
    backup = tmp_path / "backup"
    shutil.copytree(stage.home, backup)
    stage.room = room = open_room(settings, clock=stage.clock)
    stage.clock.move(days=1)
    with room.db.transaction() as tx:
        asked = room.four_eyes.ask(tx, SHRED, workspace_id, reason="the contract ended", by=anna)
    with room.db.transaction() as tx:
        room.four_eyes.confirm(tx, asked.id, organisation_id=owner, by=boris)

    assert kek_id not in in_token(token)
    with room.db.reading() as tx, pytest.raises(WorkspaceDestroyedError):
        room.workspaces.secrets(tx, workspace_id)
    with pytest.raises((KeyDestroyedError, UnknownKeyError)):
        room.keys.unwrap(kek_id, b"whatever was wrapped by it", context=b"")
    room.rights.acts.catch_up()
    with room.db.reading() as tx:
        acts = room.rights.acts.listed(tx, owner, limit=10)
    (act,) = (one for one in acts if one.kind is ActKind.WORKSPACE_SHREDDED)
    assert kek_id in act.document["checked"]["kek_ids"]
    assert [one["email"] for one in act.document["responsible"]] == ["anna@example.org", "boris@example.org"]
    assert problems(stage) == []

    # The whole home as it was before, database, files and key file, with the token as it is now.
    before = replace(settings, home=backup, database_url=f"sqlite:///{backup / 'room.sqlite3'}")
    old = open_room(before, clock=stage.clock)
    try:
        with old.db.reading() as tx:
            assert tx.session.get_one(WorkspaceRow, workspace_id).destroyed_at is None
            with pytest.raises((KeyDestroyedError, UnknownKeyError)):
                old.workspaces.secrets(tx, workspace_id)
            version = old.datasets.current(tx, stage.dataset_id)
            reader = old.datasets.reader(tx, version.id)
            for file in old.datasets.files(tx, version.id):
                with pytest.raises((KeyDestroyedError, UnknownKeyError, SealedKeyError)):
                    reader.read_bytes(file.role, file.column)
            assert reader.has(Role.PERSON_HI)
            # The other side's is not touched.
            assert old.workspaces.secrets(tx, stage.advertiser.workspace_id)
    finally:
        old.close()
