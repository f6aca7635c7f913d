"""A room is made once, opened often, and never opened with keys that are gone, damaged or exposed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from cleanroom.bootstrap import RoomExistsError, RoomMissingError, init_room, open_room
from cleanroom.clock import Clock
from cleanroom.db.migrate import differences, downgrade, upgrade
from cleanroom.grants.types import Grant, GrantStatus
from cleanroom.room import METADATA
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.settings import Settings, load_settings
from crypto.keys import KeyFileError, KeyFileExposedError
from policies.codec import load_preset

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SCHEMA = "match_keys: {email: {column: email}}\nlawful_basis: consent\n"


class FixedClock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def settings_of(tmp_path: Path, database_url: str | None = None) -> Settings:
    environ = {"CLEANROOM_DATABASE_URL": database_url} if database_url else {}
    return load_settings(environ, home=tmp_path / "home")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = settings_of(tmp_path)
    init_room(made).close()
    return made


def test_a_closed_room_leaves_no_columns_in_memory(settings: Settings) -> None:
    room = open_room(settings)
    kept = np.ones(10, np.uint8)
    with room.matching.cache.scope() as scope:
        assert scope.get(("file", "whole"), kept.nbytes, lambda: (kept,)) is not None
    room.close()
    assert not kept.any()


def test_the_migration_makes_what_the_models_say_and_takes_it_away(tmp_path: Path, database_url: str) -> None:
    room = init_room(settings_of(tmp_path, database_url))
    try:
        assert differences(room.db.engine, METADATA) == []
        downgrade(room.db.engine)
        assert len(differences(room.db.engine, METADATA)) > 20
        upgrade(room.db.engine)
        assert differences(room.db.engine, METADATA) == []
    finally:
        room.close()


def test_a_room_is_made_once(settings: Settings) -> None:
    with pytest.raises(RoomExistsError, match="choose an empty directory"):
        init_room(settings)


def test_what_a_room_keeps_is_its_owners_alone(settings: Settings) -> None:
    for path in [settings.home, *settings.home.rglob("*")]:
        if path.name != "verifier.key":
            assert path.stat().st_mode & 0o077 == 0, path.name


def test_making_a_room_again_after_a_crash_keeps_its_keys(settings: Settings) -> None:
    seed = (settings.keys_dir / "log.key").read_bytes()
    (settings.keys_dir / "room").unlink()

    room = init_room(settings)

    with room.db.reading() as tx:
        assert room.audit.size(tx) == 1
    room.close()
    assert (settings.keys_dir / "log.key").read_bytes() == seed


def test_a_room_whose_making_crashed_before_its_head_was_kept_does_not_look_restored(
    settings: Settings,
) -> None:
    (settings.keys_dir / "room").unlink()
    settings.head_path.unlink()

    room = init_room(settings)

    with room.db.transaction() as tx:
        assert room.audit.restored(tx) is None
    room.close()


def test_making_a_room_again_does_not_heal_one_that_was_used_and_restored(settings: Settings) -> None:
    room = open_room(settings)
    with room.db.transaction() as tx:
        room.accounts.create_organisation(tx, name="Shop", kind="advertiser")
    room.close()
    (settings.keys_dir / "room").unlink()
    settings.head_path.unlink()

    room = init_room(settings)

    with room.db.transaction() as tx:
        assert room.audit.restored(tx) is not None
    room.close()


def test_the_witness_can_lie_outside_the_home(tmp_path: Path) -> None:
    environ = {"CLEANROOM_WITNESS_DIR": str(tmp_path / "other")}
    settings = load_settings(environ, home=tmp_path / "home")
    room = init_room(settings)
    room.close()
    assert settings.head_path.parent == tmp_path / "other"
    assert settings.head_path.exists()
    assert not (settings.keys_dir / "log.head").exists()
    room = open_room(settings)
    with room.db.transaction() as tx:
        assert room.audit.restored(tx) is None
    room.close()


@pytest.mark.parametrize("name", ["room", "keyring.json", "log.key"])
def test_a_room_without_its_keys_is_not_opened_with_new_ones(settings: Settings, name: str) -> None:
    (settings.keys_dir / name).unlink()

    with pytest.raises(RoomMissingError, match=f"{name} is missing.*restore the home from a backup"):
        open_room(settings)
    assert not (settings.keys_dir / name).exists()


@pytest.mark.parametrize("name", ["keyring.json", "log.key"])
def test_keys_that_others_can_read_are_refused(settings: Settings, name: str) -> None:
    (settings.keys_dir / name).chmod(0o640)

    with pytest.raises(KeyFileExposedError, match="chmod 600"):
        open_room(settings)


def test_a_damaged_log_key_is_named(settings: Settings) -> None:
    (settings.keys_dir / "log.key").write_bytes(b"short")

    with pytest.raises(KeyFileError, match=r"log.key is damaged.*backup"):
        open_room(settings)


def test_a_stray_file_does_not_stop_the_room_and_stays(settings: Settings) -> None:
    settings.objects_dir.mkdir(exist_ok=True)
    stray = settings.objects_dir / "notes"
    stray.write_text("not ours")

    open_room(settings).close()

    assert stray.read_text() == "not ours"


def test_opening_a_room_returns_what_ended_grants_left(tmp_path: Path) -> None:
    clock: Clock = FixedClock(NOW)
    settings = settings_of(tmp_path)
    room = init_room(settings, clock=clock)
    with room.db.transaction() as tx:
        owner = room.accounts.create_organisation(tx, name="Telecom", kind="provider")
        buyer = room.accounts.create_organisation(tx, name="Shop", kind="advertiser")
        workspace = room.workspaces.create_workspace(tx, organisation_id=owner.id, name="customers")
        dataset = room.datasets.register(
            tx, workspace_id=workspace.id, kind="dataset", name="people", schema=schema_from_yaml(SCHEMA)
        )
        grant = room.grants.issue_grant(
            tx,
            dataset_id=dataset.id,
            advertiser_id=buyer.id,
            size="M",
            purposes=["advertising"],
            expires_at=NOW + timedelta(days=1),
            documents=[load_preset("standard", purposes=["advertising"])],
        )
    assert isinstance(grant, Grant)
    room.close()

    room = open_room(settings, clock=FixedClock(NOW + timedelta(days=2)))

    with room.db.reading() as tx:
        assert room.grants.status(tx, grant.id).status is GrantStatus.EXPIRED
        accounts = room.grants.accounts(tx, workspace.population_id)
    assert {account.allocated_micro for account in accounts} == {0}
    room.close()
