"""`kill -9` at any point of a rotation and of a shredding: a key is the old one or the new one, a deed done or not."""

from pathlib import Path

import pytest
from killable import Ended, Killable
from sqlalchemy import select
from test_kill import (
    LaterClock,
    Scene,
    Verify,
    await_the_server,
    check_versions,
    checkpoint,
    few_or_many,
    killable,
    make_scene,
    strike,
    verify,
)

from cleanroom.bootstrap import open_room
from cleanroom.foureyes.deeds import SHRED
from cleanroom.foureyes.queue import queued
from cleanroom.foureyes.types import AskState
from cleanroom.rekeying.shelf import keys_of
from cleanroom.rekeying.types import RotationState, What
from cleanroom.room import Room
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from cleanroom.workspaces.models import WorkspaceRow
from cleanroom.wrapping import RetiredKekRow
from tests.people_rooms import person, quick_hashes

__all__ = ["killable", "quick_hashes", "verify"]


def scene_of(tmp_path: Path, database_url: str) -> Scene:
    return make_scene(
        tmp_path, database_url.replace(str(tmp_path / "room"), str(tmp_path / "home" / "room")), rows=300
    )


@few_or_many((1, 2), (4, 8))
@pytest.mark.parametrize("what", [What.TOKENS, pytest.param(What.WRAPPING, marks=pytest.mark.slow)])
def test_a_rotation_that_is_killed_is_done_by_the_next_worker(
    tmp_path: Path, killable: Killable, verify: Verify, what: What, random_kills: int, targeted_kills: int
) -> None:
    scene = scene_of(tmp_path, f"sqlite:///{tmp_path / 'room.sqlite3'}")
    stage, workspace_id = scene.stage, scene.provider.workspace_id

    def run(**point: float) -> Ended:
        room = open_room(stage.settings)
        with room.db.transaction() as tx:
            asked = room.rekeying.ask(tx, workspace_id, what, by="us_1")
        room.close()
        return killable.run("rekey", stage, rotation_id=asked.id, **point)

    note, kills = checkpoint(stage), 0
    strikes = strike(run, seed="rekey", random_kills=random_kills, targeted_kills=targeted_kills)
    for number, ended in enumerate(strikes, 1):
        kills += ended.killed
        # Whatever a rotation wrote may be old by now, and what was done here after the last kill too.
        room = open_room(stage.settings, clock=LaterClock(2 * number))
        check_versions(room, stage)
        while room.rekeying.work():
            pass
        with room.db.reading() as tx:
            (keys,) = keys_of(tx, scene.provider.organisation_id)
            room.datasets.reader(tx, room.datasets.current(tx, stage.provider_dataset).id)
            assert room.workspaces.secrets(tx, workspace_id)
        assert (keys.under_way, keys.kek_changes) == (None, False)
        assert keys.last is not None
        assert keys.last.state is RotationState.DONE
        check_versions(room, stage)
        with room.db.reading() as tx:
            used = set(tx.session.scalars(select(WorkspaceRow.kek_id)))
            retired = set(tx.session.scalars(select(RetiredKekRow.kek_id)))
        # What was replaced is gone. One that was made and never named wraps nothing; it stays, as whoever destroyed
        # what the database does not know would destroy the keys of a room that was restored from an older backup.
        assert used <= set(room.keys.kek_ids())
        assert not retired & set(room.keys.kek_ids())
        room.close()
        verify(stage, against=note)
    assert kills >= random_kills + targeted_kills - 1


@few_or_many((1, 4), (4, 24))
@pytest.mark.slow_on("postgresql")
def test_a_shredding_that_is_killed_is_confirmed_and_done_or_neither(
    tmp_path: Path,
    database_url: str,
    killable: Killable,
    verify: Verify,
    quick_hashes: None,
    random_kills: int,
    targeted_kills: int,
) -> None:
    scene = scene_of(tmp_path, database_url)
    stage, organisation_id = scene.stage, scene.provider.organisation_id
    room = open_room(stage.settings)
    anna, boris = (
        person(room, organisation_id, "owner", f"{name}@example.org").user.id for name in ("anna", "boris")
    )
    room.close()
    asked: list[tuple[str, str]] = []

    def run(**point: float) -> Ended:
        room = open_room(stage.settings)
        with room.db.transaction() as tx:
            made = room.workspaces.create_workspace(tx, organisation_id=organisation_id, name="w")
        with room.db.transaction() as tx:
            one = room.four_eyes.ask(tx, SHRED, made.id, reason="no use for it", by=anna)
        asked.append((one.id, made.id))
        room.close()
        return killable.run(
            "confirm", stage, ask_id=one.id, organisation_id=organisation_id, by=boris, **point
        )

    def done(room: Room) -> bool:
        ask_id, workspace_id = asked[-1]
        with room.db.reading() as tx:
            one = queued(tx, room.four_eyes, ask_id, organisation_id=organisation_id).ask
            workspace = room.workspaces.workspace(tx, workspace_id)
            assert (one.state is AskState.DONE) is (workspace.destroyed_at is not None)
            assert (one.state is AskState.WAITING) is (workspace.destroyed_at is None)
            # Once the room is open again, no key of a destroyed workspace is left, and every other is there.
            assert (workspace.kek_id in room.keys.kek_ids()) is (workspace.destroyed_at is None)
            try:
                return not room.workspaces.secrets(tx, workspace_id)
            except WorkspaceDestroyedError:
                return True

    note, kills, outcomes = checkpoint(stage), 0, set()
    for ended in strike(run, seed="confirm", random_kills=random_kills, targeted_kills=targeted_kills):
        kills += ended.killed
        await_the_server(stage)
        room = open_room(stage.settings)
        outcomes.add(done(room))
        if not done(room):
            with room.db.transaction() as tx:
                room.four_eyes.confirm(tx, asked[-1][0], organisation_id=organisation_id, by=boris)
            assert done(room)
        check_versions(room, stage)
        room.close()
        verify(stage, against=note)
    assert kills >= random_kills + targeted_kills - 1
    # Some were killed before the commit, and some between it and the end of the key.
    assert outcomes == {True, False}
