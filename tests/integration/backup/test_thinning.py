"""A mirror loses what every kept backup has, and nothing else: whatever is put back, nobody held back is counted."""

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from cleanroom import thinning
from cleanroom.consent.errors import MirrorError
from cleanroom.consent.mirror import Mirror, Sheet
from cleanroom.reconciling import reconcile_room
from cleanroom.thinning import OtherHistoryError, Thinned, thin_mirror
from tests.holding_back import WAYS, hold_back
from tests.integration.backup.conftest import Shelf, counted
from tests.rooms import DATASET_HEADER, people

EVERYBODY = range(2_700)
HELD = [number for number in range(40) if number % 10 != 9]
FIRST, LATER = HELD[: len(WAYS)], HELD[len(WAYS) : 2 * len(WAYS)]
pytestmark = pytest.mark.slow_on("postgresql")


def names(shelf: Shelf) -> set[str]:
    return {name for _, name in shelf.stage.room.consents.mirror.files()}


def kept(shelf: Shelf) -> Path:
    """A copy of the mirror that outlives the room."""
    return shutil.copytree(
        shelf.stage.room.settings.mirror_path, shelf.directory.parent / "mirror", dirs_exist_ok=True
    )


def test_what_every_backup_has_goes_and_nobody_held_back_is_counted_after_a_restore(shelf: Shelf) -> None:
    stage = shelf.stage
    hold_back(stage, FIRST)
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    before = names(shelf)
    oldest = shelf.make()
    hold_back(stage, LATER)
    later = names(shelf) - before
    newest = shelf.make()

    done = thin_mirror(stage.room, [newest.log_head, oldest.log_head])

    assert names(shelf) == later
    assert (done.files, done.left) == (len(before), len(later))
    assert done.bytes > 0
    assert thin_mirror(stage.room, [newest.log_head, oldest.log_head]) == Thinned(0, 0, len(later))
    mirror = kept(shelf)
    stage = shelf.put_back(oldest.id)
    again = reconcile_room(stage.room, mirror=mirror)
    assert (again.batches_replayed, again.to_confirm) == (len(later), ())
    assert counted(stage, EVERYBODY) == len(EVERYBODY) - len(FIRST) - len(LATER)


def test_a_backup_that_lacks_what_was_removed_counts_nobody_until_the_owner_has_confirmed(
    shelf: Shelf,
) -> None:
    stage = shelf.stage
    elsewhere = shelf.make()
    hold_back(stage, FIRST)
    thin_mirror(stage.room, [shelf.make().log_head])
    mirror = kept(shelf)
    stage = shelf.put_back(elsewhere.id)
    with pytest.raises(MirrorError):
        reconcile_room(stage.room, mirror=mirror)
    done = reconcile_room(stage.room)
    assert (done.batches_replayed, done.to_confirm) == (0, (stage.dataset_id,))


def test_the_rooms_own_mirror_is_not_trusted_either_for_such_a_backup(shelf: Shelf) -> None:
    stage = shelf.stage
    elsewhere = shelf.make()
    hold_back(stage, FIRST)
    thin_mirror(stage.room, [shelf.make().log_head])
    stage = shelf.put_back(elsewhere.id, keep=("keys", "objects"))
    done = reconcile_room(stage.room)
    assert (done.batches_replayed, done.to_confirm) == (0, (stage.dataset_id,))


@pytest.mark.slow
def test_the_head_decides_and_not_the_clock(shelf: Shelf) -> None:
    """With the note of a time alone, a clock that went back would let such a backup pass."""
    stage = shelf.stage
    elsewhere = shelf.make()
    stage.clock.move(hours=-3)
    hold_back(stage, FIRST)
    thin_mirror(stage.room, [shelf.make().log_head])
    mirror = kept(shelf)
    stage = shelf.put_back(elsewhere.id)
    with pytest.raises(MirrorError):
        reconcile_room(stage.room, mirror=mirror)


def test_what_a_crash_left_without_an_event_stays(shelf: Shelf) -> None:
    stage = shelf.stage
    stage.withdraw(1)
    left = f"ce_{1:032x}"
    with stage.room.db.reading() as tx:
        recipient = stage.room.workspaces.recipient(tx, stage.provider.workspace_id)
    stage.room.consents.mirror.keep(stage.dataset_id, left, Sheet({}, ()), recipients=[recipient])
    assert thin_mirror(stage.room, [shelf.make().log_head]).files > 0
    assert names(shelf) == {f"{left}.age"}


def test_without_a_backup_nothing_goes(shelf: Shelf) -> None:
    shelf.stage.withdraw(1, 2)
    before = names(shelf)
    assert thin_mirror(shelf.stage.room, []).files == 0
    assert names(shelf) == before
    assert shelf.stage.room.consents.mirror.thinned() is None


def test_whoever_is_killed_before_anything_goes_has_noted_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = shelf.stage
    stage.withdraw(1, 2)
    head = shelf.make().log_head

    def killed(*_given: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            thin_mirror(stage.room, [head])
    assert stage.room.consents.mirror.thinned() == head
    assert thin_mirror(stage.room, [head]).left == 0


@pytest.mark.slow
def test_another_repository_does_not_set_the_note_back(shelf: Shelf) -> None:
    stage = shelf.stage
    old = shelf.make()
    stage.withdraw(1, 2)
    new = shelf.make()
    thin_mirror(stage.room, [new.log_head])
    thin_mirror(stage.room, [old.log_head])
    mirror = stage.room.consents.mirror
    assert mirror.thinned() == new.log_head
    # A version of the room that knows of no heads here reads a time.
    assert mirror.since() == datetime.fromisoformat(stage.events()[new.log_size - 1]["at"])
    assert json.loads((stage.room.settings.mirror_path / "mirror.json").read_bytes())["v"] == 1


@pytest.mark.slow
def test_backups_from_before_a_restore_are_no_measure(shelf: Shelf) -> None:
    stage = shelf.stage
    old = shelf.make()
    hold_back(stage, FIRST)
    lost = shelf.make()
    stage = shelf.put_back(old.id, keep=("keys", "objects"))
    reconcile_room(stage.room)
    # In the log of now these stand at other places than in the backup that was lost on the way.
    hold_back(stage, LATER)
    before = names(shelf)
    for heads in ([lost.log_head], [lost.log_head, old.log_head]):
        with pytest.raises(OtherHistoryError):
            thin_mirror(stage.room, heads)
    assert names(shelf) == before
    assert thin_mirror(stage.room, [old.log_head]).left >= len(LATER)


def no_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.reconciling.whole_for", lambda *_given: True)


def no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mirror, "note_thinned", lambda *_given: None)


def all_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "_entered", lambda _room, ids, _size: frozenset(ids))


Check = Callable[[Shelf], None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "check"),
    [
        (no_note, test_a_backup_that_lacks_what_was_removed_counts_nobody_until_the_owner_has_confirmed),
        (no_note, test_the_rooms_own_mirror_is_not_trusted_either_for_such_a_backup),
        (no_head, test_the_head_decides_and_not_the_clock),
        (all_go, test_what_every_backup_has_goes_and_nobody_held_back_is_counted_after_a_restore),
        (all_go, test_what_a_crash_left_without_an_event_stays),
    ],
)
def test_what_is_planted_is_found(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None], check: Check
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(shelf)
