"""Deleting a dataset or a base: the files go, nothing is answered from it again, and the log accounts for it."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from cleanroom.analyses.errors import NotYourBaseError
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.cli.main import main
from cleanroom.datasets.errors import DatasetNotFoundError, VersionNotFoundError, VersionStatusError
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.types import DatasetKind, VersionStatus
from cleanroom.grants.types import GrantStatus
from tests.rooms import BASE_HEADER, DATASET_HEADER, MakeRoom, Stage, clients, people

Verify = Callable[[Stage], tuple[int, list[str]]]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    def call(stage: Stage) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as left:
            main(["audit", "verify", "--home", str(stage.home)])
        return int(left.value.code or 0), capsys.readouterr().out.splitlines()

    return call


def delete(stage: Stage, dataset_id: str, party: str) -> None:
    with stage.room.db.transaction() as tx:
        stage.room.removing.delete(tx, dataset_id, organisation_id=stage.parties[party].organisation_id)


def objects(stage: Stage, party: str) -> list[str]:
    return list(stage.room.store.keys(stage.parties[party].workspace_id + "/"))


def test_a_deleted_dataset_leaves_no_file_and_no_grant_but_its_history(
    make_room: MakeRoom, verify: Verify
) -> None:
    stage = make_room()
    grant = stage.grant()
    answer = stage.ask(grant)
    stage.withdraw(1, 2)
    with stage.room.db.reading() as tx:
        version_id = stage.room.datasets.current(tx, stage.dataset_id).id
    assert objects(stage, "provider")
    delete(stage, stage.dataset_id, "provider")
    assert objects(stage, "provider") == []
    assert objects(stage, "advertiser")
    with stage.room.db.reading() as tx:
        assert stage.room.grants.status(tx, grant.id).status is GrantStatus.REVOKED
        assert stage.room.datasets.version(tx, version_id).status is VersionStatus.DELETED
        assert stage.room.datasets.dataset(tx, stage.dataset_id).deleted_at is not None
        with pytest.raises(DatasetNotFoundError):
            stage.room.datasets.living(tx, stage.dataset_id)
    assert verify(stage)[0] == 0, verify(stage)[1]
    refused = stage.ask(grant)
    assert refused.outcome is Outcome.REFUSED
    assert answer.receipt.exists()
    with pytest.raises(DatasetNotFoundError):
        stage.try_grant()
    with pytest.raises(DatasetNotFoundError):
        delete(stage, stage.dataset_id, "provider")
    with pytest.raises(DatasetNotFoundError):
        stage.withdraw(3)
    [event] = stage.events("datasets.deleted")
    assert version_id in event["body"]["files_roots"]
    stage.room.rotation.rotate_token_key(stage.provider.workspace_id)
    assert verify(stage)[0] == 0


def test_a_deleted_base_is_unknown_to_questions_and_to_loads(make_room: MakeRoom, verify: Verify) -> None:
    stage = make_room()
    grant = stage.grant()
    delete(stage, stage.base_id, "advertiser")
    assert objects(stage, "advertiser") == []
    with pytest.raises(NotYourBaseError):
        stage.ask(grant)
    with pytest.raises(DatasetNotFoundError):
        stage.load(stage.base_id, BASE_HEADER, clients(known=3))
    with stage.room.db.reading() as tx:
        assert stage.room.grants.status(tx, grant.id).status is GrantStatus.ACTIVE
        mine = stage.room.datasets.datasets_of(
            tx, organisation_id=stage.advertiser.organisation_id, kind=DatasetKind.BASE, limit=5
        )
    assert mine == ()
    assert verify(stage)[0] == 0


@pytest.mark.unlogged("whoever owns the database")
def test_files_that_the_log_says_are_gone_cannot_come_back(make_room: MakeRoom, verify: Verify) -> None:
    stage = make_room()
    delete(stage, stage.base_id, "advertiser")
    with stage.room.db.transaction() as tx:
        version = stage.room.datasets.versions(tx, stage.base_id)[0]
        tx.session.execute(
            update(DatasetRow).where(DatasetRow.id == stage.base_id).values(current_version_id=version.id)
        )
    code, lines = verify(stage)
    assert code == 1
    assert any(stage.base_id in line for line in lines)


def test_a_question_that_is_being_answered_holds_what_it_reads(make_room: MakeRoom) -> None:
    stage = make_room()
    stage.ask(stage.grant())
    with stage.room.db.transaction() as tx:
        tx.session.execute(update(AnalysisRow).values(status=Outcome.RESERVED.value))
    for dataset_id, party in ((stage.dataset_id, "provider"), (stage.base_id, "advertiser")):
        with pytest.raises(VersionStatusError, match="being answered"):
            delete(stage, dataset_id, party)
    assert objects(stage, "provider")


def current(stage: Stage) -> str | None:
    with stage.room.db.reading() as tx:
        return stage.room.datasets.dataset(tx, stage.dataset_id).current_version_id


def test_a_retired_version_answers_nothing_until_another_is_published(
    make_room: MakeRoom, verify: Verify
) -> None:
    stage = make_room()
    grant = stage.grant()
    first = current(stage)
    with stage.room.db.transaction() as tx:
        stage.room.removing.retire(tx, stage.dataset_id)
    assert current(stage) is None
    refused = stage.ask(grant)
    assert (refused.outcome, refused.missing) == (Outcome.REFUSED, ("published_version",))
    with stage.room.db.transaction() as tx, pytest.raises(VersionStatusError, match="No version"):
        stage.room.removing.retire(tx, stage.dataset_id)
    stage.load(stage.dataset_id, DATASET_HEADER, people(400))
    assert current(stage) not in (None, first)
    assert stage.ask(grant).missing == ()
    assert len(stage.events("datasets.version_retired")) == 1
    assert verify(stage)[0] == 0, verify(stage)[1]


def test_a_deleted_version_leaves_no_file_and_the_others_stay(make_room: MakeRoom, verify: Verify) -> None:
    stage = make_room()
    grant = stage.grant()
    first = current(stage)
    assert first is not None
    before = set(objects(stage, "provider"))
    with stage.room.db.transaction() as tx, pytest.raises(VersionStatusError, match="cannot be deleted"):
        stage.room.removing.delete_version(tx, stage.dataset_id, first)
    stage.load(stage.dataset_id, DATASET_HEADER, people(400))
    with stage.room.db.transaction() as tx:
        stage.room.removing.delete_version(tx, stage.dataset_id, first)
    assert not before & set(objects(stage, "provider"))
    with stage.room.db.reading() as tx:
        assert stage.room.datasets.version(tx, first).status is VersionStatus.DELETED
        with pytest.raises(VersionNotFoundError):
            stage.room.datasets.owned_version(tx, stage.base_id, first)
    with stage.room.db.transaction() as tx, pytest.raises(VersionStatusError):
        stage.room.removing.delete_version(tx, stage.dataset_id, first)
    stage.ask(grant)
    stage.reopen()
    assert verify(stage)[0] == 0, verify(stage)[1]


def test_no_version_goes_while_a_question_is_answered_from_it(make_room: MakeRoom) -> None:
    stage = make_room()
    stage.ask(stage.grant())
    old = current(stage)
    assert old is not None
    stage.load(stage.dataset_id, DATASET_HEADER, people(400))
    with stage.room.db.transaction() as tx:
        tx.session.execute(update(AnalysisRow).values(status=Outcome.RESERVED.value))
    with stage.room.db.transaction() as tx:
        with pytest.raises(VersionStatusError, match="being answered"):
            stage.room.removing.delete_version(tx, stage.dataset_id, old)
        with pytest.raises(VersionStatusError, match="being answered"):
            stage.room.removing.retire(tx, stage.dataset_id)
