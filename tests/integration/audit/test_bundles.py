"""Bundles are asked for, made by whoever works, downloaded and removed; everybody's take two people of the operator."""

import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from cleanroom.access.scopes import EVENTS_READ, OPERATE
from cleanroom.accounts.types import OrganisationKind
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.datasets.models import DatasetRow
from cleanroom.evidence.errors import BundlesWaitError, SecondPersonError, UnknownBundleError
from cleanroom.evidence.service import MAX_QUEUED
from cleanroom.evidence.types import BundleState, Wanted
from cleanroom.foureyes.errors import AskFormError, NotEntitledError
from cleanroom.foureyes.evidence import EVERYBODY, EVIDENCE_EXPORT, EvidenceExport, ask_alone
from tests.people_rooms import person, quick_hashes
from tests.rooms import BASE_SCHEMA, DATASET_SCHEMA, MovableClock, Stage

__all__ = ["quick_hashes"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    from cleanroom.bootstrap import init_room
    from cleanroom.settings import load_settings

    clock = MovableClock()
    home = tmp_path / "room"
    made = Stage(home, init_room(load_settings({}, home=home), clock=clock), clock)
    made.party("provider", "provider")
    made.party("advertiser")
    return made


def ask(stage: Stage, **narrow: str) -> str:
    whose = stage.provider.organisation_id
    with stage.room.db.transaction() as tx:
        wanted = Wanted(organisation_id=whose, **narrow)  # type: ignore[arg-type]
        made = ask_alone(
            tx, stage.room.accounts, stage.room.bundles, wanted, organisation_id=whose, by="us_1"
        )
    return made.id


def test_a_bundle_is_made_downloaded_and_removed(stage: Stage) -> None:
    bundles, whose = stage.room.bundles, stage.provider.organisation_id
    made = ask(stage)
    with stage.room.db.reading() as tx, pytest.raises(UnknownBundleError):
        bundles.file(tx, made, organisation_id=whose)
    assert bundles.make_next()
    assert not bundles.make_next()
    with stage.room.db.reading() as tx:
        found = bundles.bundle(tx, made, organisation_id=whose)
        path = bundles.file(tx, made, organisation_id=whose)
        assert [one.id for one in bundles.list(tx, organisation_id=whose)] == [made]
        for reading in (bundles.bundle, bundles.file):
            with pytest.raises(UnknownBundleError):
                reading(tx, made, organisation_id=stage.advertiser.organisation_id)
    assert found.state is BundleState.READY
    assert (found.bytes, found.events) == (path.stat().st_size, found.progress)
    assert path.stat().st_mode & 0o077 == 0
    assert zipfile.ZipFile(path).testzip() is None
    assert [event["kind"] for event in stage.events()][-3:] == [
        "evidence.bundle_asked",
        "evidence.bundle_made",
        "evidence.bundle_ready",
    ]
    stage.clock.move(days=31)
    bundles.sweep()
    assert not path.exists()
    assert stage.events()[-1]["kind"] == "evidence.bundle_removed"
    with stage.room.db.reading() as tx, pytest.raises(UnknownBundleError):
        bundles.file(tx, made, organisation_id=whose)


def test_what_a_killed_worker_has_left_is_made_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ask(stage)
    with monkeypatch.context() as patched:
        patched.setattr("cleanroom.evidence.writing._proof", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            stage.room.bundles.make_next()
    (stage.room.settings.evidence_dir / f".{made}.zip.1.partial").touch()
    assert stage.room.bundles.make_next()
    assert [path.name for path in stage.room.settings.evidence_dir.iterdir()] == [f"{made}.zip"]


def test_a_full_disk_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ask(stage)

    def full(*_: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("cleanroom.evidence.writing._write_log", full)
    assert stage.room.bundles.make_next()
    with stage.room.db.reading() as tx:
        found = stage.room.bundles.bundle(tx, made, organisation_id=stage.provider.organisation_id)
    assert (found.state, found.failure) == (BundleState.FAILED, "OSError")
    assert stage.events()[-1]["kind"] == "evidence.bundle_failed"


def test_not_too_many_wait(stage: Stage) -> None:
    for _ in range(MAX_QUEUED):
        ask(stage)
    with pytest.raises(BundlesWaitError):
        ask(stage)


@pytest.mark.parametrize("whose", [None, "the advertiser"])
def test_others_events_take_a_second_person(stage: Stage, whose: str | None) -> None:
    wanted = Wanted(organisation_id=whose and stage.advertiser.organisation_id)
    with stage.room.db.transaction() as tx, pytest.raises(SecondPersonError):
        ask_alone(
            tx,
            stage.room.accounts,
            stage.room.bundles,
            wanted,
            organisation_id=stage.provider.organisation_id,
            by="us_1",
        )


def test_two_people_of_the_operator_export_everybodys_events(stage: Stage, quick_hashes: None) -> None:
    room = stage.room
    with room.db.transaction() as tx:
        operator = room.accounts.create_organisation(tx, name="room", kind=OrganisationKind.OPERATOR)
    people = {
        role: person(room, operator.id, role, f"{role}@example.org").user.id
        for role in ("operator", "officer")
    }
    stage.clock.move(days=1)
    with room.db.transaction() as tx:
        with pytest.raises(NotEntitledError):
            room.four_eyes.ask(tx, EVIDENCE_EXPORT, EVERYBODY, reason="because", by=people["officer"])
        asked = room.four_eyes.ask(tx, EVIDENCE_EXPORT, EVERYBODY, reason="because", by=people["operator"])
    with room.db.transaction() as tx:
        room.four_eyes.confirm(tx, asked.id, organisation_id=operator.id, by=people["officer"])
    assert room.bundles.make_next()
    with room.db.reading() as tx:
        (found,) = room.bundles.list(tx, organisation_id=operator.id)
    assert (found.state, found.wanted) == (BundleState.READY, Wanted())
    made = stage.events("evidence.bundle_made")[-1]
    assert made["body"]["confirmed"] == asked.id
    # Others' events have come along, which is what two people were asked for.
    assert found.events == made["body"]["size"]


def test_the_deed_is_the_operators_and_of_whom_it_says(stage: Stage) -> None:
    deed = EvidenceExport(stage.room.accounts, stage.room.bundles)
    assert (deed.asks, deed.confirms) == (OPERATE, EVENTS_READ)
    with stage.room.db.transaction() as tx:
        operator = stage.room.accounts.create_organisation(tx, name="o", kind=OrganisationKind.OPERATOR)

        def prepare(organisation_id: str, subject_id: str, wanted: Wanted) -> None:
            deed.prepare(
                tx,
                organisation_id=organisation_id,
                subject_id=subject_id,
                details={"wanted": wanted.as_data()},
                reason="because",
            )

        with pytest.raises(AskFormError, match="alone"):
            prepare(stage.provider.organisation_id, EVERYBODY, Wanted())
        with pytest.raises(AskFormError, match="whom"):
            prepare(operator.id, EVERYBODY, Wanted(organisation_id=stage.provider.organisation_id))
        with pytest.raises(AskFormError, match="whom"):
            prepare(operator.id, stage.provider.organisation_id, Wanted())
        prepare(
            operator.id,
            stage.provider.organisation_id,
            Wanted(organisation_id=stage.provider.organisation_id),
        )
        assert deed.names(tx, [operator.id]) == {operator.id: "o"}


def test_a_bundle_is_narrowed_by_known_fields_and_instants() -> None:
    from cleanroom.evidence.errors import BundleFormError
    from cleanroom.evidence.types import wanted_from_data

    now = MovableClock().instant
    wanted = Wanted("org_1", "ds_1", now, now + timedelta(days=1))
    assert wanted_from_data(wanted.as_data()) == wanted
    for wrong in ({"who": "me"}, {"since": "yesterday"}, {"until": "2026-11-01T00:00:00"}, {"dataset_id": 7}):
        with pytest.raises(BundleFormError):
            wanted_from_data(wrong)
    with pytest.raises(BundleFormError):
        Wanted(since=now, until=now)


@pytest.mark.parametrize("whose", ["the advertiser", "nobody"])
def test_a_bundle_is_narrowed_to_ones_own_datasets_alone(stage: Stage, whose: str) -> None:
    theirs = stage.register("base", BASE_SCHEMA, party=stage.advertiser)
    other = theirs if whose == "the advertiser" else "ds_0193f0c2a1b27d3e8f4a5b6c7d8e9f01"
    with pytest.raises(DatasetNotFoundError):
        ask(stage, dataset_id=other)
    assert stage.events("evidence.bundle_asked") == []


def test_what_was_deleted_is_still_ones_own_and_the_operator_narrows_as_it_likes(stage: Stage) -> None:
    room = stage.room
    mine = stage.register("dataset", DATASET_SCHEMA)
    with room.db.transaction() as tx:
        operator = room.accounts.create_organisation(tx, name="room", kind=OrganisationKind.OPERATOR).id
        tx.session.execute(update(DatasetRow).values(deleted_at=stage.clock.now()))
    assert ask(stage, dataset_id=mine)
    wanted = Wanted(organisation_id=operator, dataset_id=mine)
    with room.db.transaction() as tx:
        made = ask_alone(tx, room.accounts, room.bundles, wanted, organisation_id=operator, by="us_1")
    assert made.wanted == wanted
