"""Whatever way people are held back, the mirror has it before the answer, and gives it back as it was."""

import shutil
from collections.abc import Callable

import pytest
from sqlalchemy import select

from cleanroom.consent.changes import ChangeState
from cleanroom.consent.mirror import Sheet
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.optout_models import OptOutOutcomeRow, OptOutRow
from cleanroom.consent.optout_types import OptOutAction, OptOutKind
from cleanroom.consent.optouts import OptOuts
from cleanroom.consent.taking import Taking
from cleanroom.consent.types import Change
from cleanroom.datasets.types import DatasetKind
from cleanroom.reconciling import reconcile_room
from cleanroom.rights.types import ErasureReason, ErasureRequest, Identifier
from crypto.package import generate_identity
from tests.backups import Backup
from tests.holding_back import EMAIL, WAYS, changed, digest, hold_back, listed
from tests.integration.backup.conftest import counted
from tests.rooms import (
    DATASET_HEADER,
    DATASET_SCHEMA,
    MakeRoom,
    Stage,
    email,
    people,
)

EVERYBODY = range(2_700)
HELD = [number for number in range(30) if number % 10 != 9]


def folders(stage: Stage) -> dict[str, str]:
    """The batches in the mirror, each with its folder."""
    mirror = stage.room.consents.mirror
    owners = (stage.dataset_id, stage.base_id, stage.provider.organisation_id)
    return {batch_id: owner for owner in owners for batch_id in mirror.batches(owner)}


def unmirrored(stage: Stage) -> list[str]:
    """Epochs that somebody began by naming people, and that the mirror does not know."""
    kept = folders(stage)
    with stage.room.db.reading() as tx:
        given = {
            (row.dataset_id, row.epoch)
            for row in tx.session.scalars(select(OptOutOutcomeRow))
            if row.opt_out_id in kept
        }
        rows = tx.session.scalars(select(ConsentEpochRow).where(ConsentEpochRow.submitted > 0)).all()
        return [row.kind for row in rows if row.id not in kept and (row.dataset_id, row.epoch) not in given]


def test_each_way_is_written_down(make_room: MakeRoom) -> None:
    stage = make_room()
    for position, (name, way) in enumerate(WAYS.items(), start=1):
        way(stage, [HELD[position]])
        assert counted(stage, EVERYBODY) == len(EVERYBODY) - position, name
        assert len(folders(stage)) == position, name
        assert unmirrored(stage) == [], name


def no_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taking, "_keep", lambda *_given: None)


def no_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OptOuts, "_keep", lambda *_given: None)


@pytest.mark.parametrize(
    ("plant", "lost"), [(no_changes, len(WAYS) - 3), (no_lists, 3)], ids=["changes", "lists"]
)
def test_a_way_that_is_left_out_is_noticed(
    make_room: MakeRoom,
    plant: Callable[[pytest.MonkeyPatch], None],
    lost: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    stage = make_room()
    hold_back(stage, HELD[: len(WAYS)])
    assert len(unmirrored(stage)) == lost


def test_a_batch_that_does_not_say_whom_it_holds_back_is_not_taken(
    make_room: MakeRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a new path would do that makes its own records.
    stage = make_room()
    taking = stage.room.consents.taking
    made = taking.prepare(stage.dataset_id, [Change(EMAIL, digest(email(2)), ChangeState.DENIED)])
    forgetful = taking.prepare_rows(stage.dataset_id, lambda *_given: made.submitted)
    with pytest.raises(RuntimeError), stage.room.db.transaction() as tx:
        taking.take(tx, forgetful)
    assert folders(stage) == {}
    assert counted(stage, EVERYBODY) == len(EVERYBODY)


def test_what_lets_people_be_counted_is_not_written_down(make_room: MakeRoom) -> None:
    stage = make_room()
    listed(stage, [1], OptOutKind.RESTRICTION)
    listed(stage, [2], OptOutKind.SUPPRESSION)
    before = folders(stage)
    listed(stage, [1], OptOutKind.RESTRICTION, action=OptOutAction.LIFT)
    changed(stage, [3], ChangeState.GRANTED)
    listed(stage, [2], OptOutKind.SUPPRESSION, action=OptOutAction.LIFT)
    assert folders(stage) == before
    assert counted(stage, EVERYBODY) == len(EVERYBODY)


def erase_from_base(stage: Stage, number: int) -> str:
    request = ErasureRequest(
        (Identifier(EMAIL, digest(email(number))),), ErasureReason.OBJECTION, "", bytes(32)
    )
    return stage.room.rights.erasures.ask(
        stage.base_id,
        request,
        organisation_id=stage.advertiser.organisation_id,
        kind=DatasetKind.BASE,
        by="us_2",
    ).erasure.id


def told(stage: Stage) -> list[object]:
    """What owners see of what they have sent: requests to erase, with their passes, and lists."""
    room, found = stage.room, list[object]()
    with room.db.reading() as tx:
        for dataset_id in (stage.dataset_id, stage.base_id):
            for one in room.rights.erasures.listed(tx, dataset_id, limit=100):
                found.append(
                    (one.id, one.reference, one.commitment, one.asked_at, one.asked_by, one.erase_by)
                )
        lists = select(OptOutRow).where(OptOutRow.kind != OptOutKind.WITHDRAWAL.value)
        for row in tx.session.scalars(lists.order_by(OptOutRow.id)):
            found.append((row.id, row.kind, row.dataset_id, row.reason, row.reference, row.submitted))
    return found


def recorded(stage: Stage) -> list[tuple[object, ...]]:
    """Every record of a change that was submitted, without epochs: they begin anew."""
    room = stage.room
    with room.db.reading() as tx:
        dataset = room.datasets.dataset(tx, stage.dataset_id)
        epochs = range(1, room.consents.epoch(tx, stage.dataset_id) + 1)
        batches = [room.consents.submitted(tx, dataset, epoch) for epoch in epochs]
    found = []
    for batch in batches:
        if batch is None:
            continue
        terms = batch.terms()
        for row in batch.records():
            said = terms[row["detail"]] if row["detail"] < len(terms) else None
            found.append(
                (*(int(row[name]) for name in ("key", "purpose", "until", "at", "hi", "state")), said)
            )
    return sorted(found, key=repr)


def test_everything_comes_back_under_its_own_name_and_as_it_was(make_room: MakeRoom) -> None:
    stage = make_room()
    backup = Backup(stage)
    hold_back(stage, HELD)
    erase_from_base(stage, 1)
    before, records, kept = told(stage), recorded(stage), folders(stage)
    backup.put_back()
    assert counted(stage, EVERYBODY) == len(EVERYBODY)

    done = reconcile_room(stage.room)

    assert (done.batches_replayed, done.to_confirm) == (len(kept), ())
    assert counted(stage, EVERYBODY) == len(EVERYBODY) - len(HELD)
    assert told(stage) == before
    assert recorded(stage) == records
    assert folders(stage) == kept
    assert reconcile_room(stage.room).batches_replayed == 0
    # Lists, and what bound to people, hold over the next load too.
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    assert counted(stage, EVERYBODY) == len(EVERYBODY) - len(HELD)


def test_what_was_lifted_after_the_backup_holds_until_it_is_lifted_again(make_room: MakeRoom) -> None:
    stage = make_room()
    backup = Backup(stage)
    listed(stage, [1], OptOutKind.SUPPRESSION)
    listed(stage, [1], OptOutKind.SUPPRESSION, action=OptOutAction.LIFT)
    changed(stage, [2], ChangeState.DENIED)
    changed(stage, [2], ChangeState.GRANTED)
    assert counted(stage, EVERYBODY) == len(EVERYBODY)
    backup.put_back()
    reconcile_room(stage.room)
    assert counted(stage, EVERYBODY) == len(EVERYBODY) - 2
    listed(stage, [1], OptOutKind.SUPPRESSION, action=OptOutAction.LIFT)
    changed(stage, [2], ChangeState.GRANTED)
    assert counted(stage, EVERYBODY) == len(EVERYBODY)


def test_a_list_that_no_workspace_of_the_backup_can_open_leaves_the_consents_in_doubt(
    make_room: MakeRoom,
) -> None:
    stage = make_room()
    backup = Backup(stage)
    listed(stage, [1], OptOutKind.SUPPRESSION)
    mirror, (batch_id,) = stage.room.consents.mirror, folders(stage)
    owner, (_, stranger) = stage.provider.organisation_id, generate_identity()
    (stage.room.settings.mirror_path / owner / f"{batch_id}.age").unlink()
    mirror.keep(owner, batch_id, Sheet({}, ()), recipients=[stranger])
    backup.put_back()

    done = reconcile_room(stage.room)

    assert (done.batches_replayed, done.to_confirm) == (0, (stage.dataset_id,))


def test_without_a_mirror_a_dataset_without_consents_is_in_doubt_too(make_room: MakeRoom) -> None:
    stage = make_room()
    plain = stage.register("dataset", DATASET_SCHEMA.partition("lawful_basis")[0])
    backup = Backup(stage)
    listed(stage, [1], OptOutKind.SUPPRESSION)
    shutil.rmtree(stage.room.settings.mirror_path)
    backup.put_back()
    assert set(reconcile_room(stage.room).to_confirm) == {stage.dataset_id, plain}
