"""`kill -9` anywhere in a pass over files: each version has its old files or its new ones; the next worker goes on."""

import hashlib
import secrets
from pathlib import Path

import pytest
from killable import Ended, Killable
from sqlalchemy import select
from test_kill import LaterClock, Verify, checkpoint, few_or_many, killable, make_scene, strike, verify

from cleanroom.bootstrap import open_room
from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.datasets.models import SealedFileRow
from cleanroom.datasets.types import DatasetKind, Role
from cleanroom.rights.models import ReplacedFileRow
from cleanroom.rights.types import ErasureReason, ErasureRequest, ErasureState, Identifier, PassState
from cleanroom.room import Room
from tests.rights_rooms import hasten

__all__ = ["killable", "verify"]


def whole(room: Room, dataset_id: str, *, strays: bool) -> int:
    """The persons of the published version; every column has as many, whatever was killed."""
    with room.db.reading() as tx:
        version = room.datasets.current(tx, dataset_id)
        reader = room.datasets.reader(tx, version.id)
        assert reader.read(Role.PERSON_HI, 0, "<u8").size == version.persons
        assert reader.read(Role.CONSENT_STATE, 0, "u1").size == version.persons
        assert room.datasets.report(tx, version.id).persons == version.persons
        view = room.consents.view(
            tx, version.id, purpose="advertising", epoch=room.consents.epoch(tx, dataset_id)
        )
        named = set(tx.session.scalars(select(SealedFileRow.object_key)))
        named |= {key for key in tx.session.scalars(select(ConsentEpochRow.object_key)) if key}
        named |= set(tx.session.scalars(select(ConsentFileRow.object_key)))
        replaced = tx.session.scalars(select(ReplacedFileRow.object_key)).all()
    assert view.mask(room.clock.now()).size == version.persons
    stored = set(room.store.keys())
    assert named <= stored
    if not strays:
        assert (stored, replaced) == (named, [])
    return version.persons


@few_or_many((1, 3), (2, 12))
@pytest.mark.slow
def test_a_pass_that_is_killed_is_ended_by_the_next_worker(
    tmp_path: Path,
    database_url: str,
    killable: Killable,
    verify: Verify,
    random_kills: int,
    targeted_kills: int,
) -> None:
    scene = make_scene(
        tmp_path, database_url.replace(str(tmp_path / "room"), str(tmp_path / "home" / "room")), rows=300
    )
    stage, dataset_id = scene.stage, scene.stage.provider_dataset
    emails = [line.split(",")[2] for line in scene.source.read_text("utf-8").splitlines()[1:]]
    asked: list[str] = []

    def run(**point: float) -> Ended:
        room = open_room(stage.settings)
        email = emails[len(asked)].strip().lower()
        taken = room.rights.erasures.ask(
            dataset_id,
            ErasureRequest(
                (Identifier("email/room", hashlib.sha256(email.encode()).digest()),),
                ErasureReason.OBJECTION,
                "",
                secrets.token_bytes(32),
            ),
            organisation_id=scene.provider.organisation_id,
            kind=DatasetKind.DATASET,
            by="us_1",
        )
        asked.append(taken.erasure.id)
        with room.db.reading() as tx:
            (waiting, *_) = room.rights.compactions.of(tx, dataset_id)
        room.close()
        return killable.run("compact", stage, compaction_id=waiting.id, **point)

    note, kills = checkpoint(stage), 0
    strikes = strike(run, seed="compact", random_kills=random_kills, targeted_kills=targeted_kills)
    for number, ended in enumerate(strikes, 1):
        kills += ended.killed
        room = open_room(stage.settings)
        before = whole(room, dataset_id, strays=True)
        room.close()
        # Whatever the killed one wrote is old by now.
        room = open_room(stage.settings, clock=LaterClock(2 * number))
        with room.db.transaction() as tx:
            hasten(tx, dataset_id, room.clock)
        while room.rights.compactions.work():
            pass
        assert whole(room, dataset_id, strays=False) <= before
        with room.db.reading() as tx:
            assert {one.state for one in room.rights.compactions.of(tx, dataset_id)} == {PassState.DONE}
            erased = room.rights.erasures.listed(tx, dataset_id, limit=100)
            report = room.datasets.report(tx, room.datasets.current(tx, dataset_id).id)
        assert [one.state for one in erased] == [ErasureState.ERASED] * len(asked)
        # Each of them once, however often their pass was begun.
        assert report.erased + report.persons == 300
        room.close()
        verify(stage, against=note)
    assert kills >= random_kills + targeted_kills - 1
