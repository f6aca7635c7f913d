"""Rotations that somebody asks for: done by a worker, told how far, waited for, given up, and never done twice."""

from threading import Thread
from typing import Any

import pytest

from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.datasets.types import VersionStatus
from cleanroom.grants.types import Grant
from cleanroom.ingestion.rotation import Rotation
from cleanroom.rekeying.errors import RotationStateError, RotationUnderWayError, UnknownRotationError
from cleanroom.rekeying.service import MAX_FAILURES
from cleanroom.rekeying.shelf import keys_of
from cleanroom.rekeying.types import KeyRotation, Keys, RotationState, What
from cleanroom.worker.pieces import Rekeying
from cleanroom.workspaces.errors import UnknownWorkspaceError, WorkspaceDestroyedError
from tests.integration.analyses.questions import OVERLAP
from tests.rooms import Stage

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


class KilledError(BaseException):
    """The worker is no more."""


def ask(stage: Stage, what: What, **changed: Any) -> KeyRotation:
    options = {"organisation_id": stage.provider.organisation_id, "by": "us_1"} | changed
    with stage.room.db.transaction() as tx:
        return stage.room.rekeying.ask(tx, stage.provider.workspace_id, what, **options)


def keys(stage: Stage) -> Keys:
    with stage.room.db.reading() as tx:
        (found,) = keys_of(tx, stage.provider.organisation_id)
    return found


def overlap(stage: Stage, grant: Grant) -> int:
    answer = stage.ask(grant)
    return next(figure.value or 0 for figure in answer.figures if figure.name == "overlap")


@pytest.mark.parametrize("what", list(What))
def test_a_worker_replaces_the_key_and_all_that_stood_under_it_is_still_found(
    stage: Stage, what: What
) -> None:
    grant = stage.grant()
    # A withdrawal stands in files of its own.
    stage.withdraw(3)
    before = keys(stage)
    assert (before.under_way, before.last, before.datasets) == (None, None, 1)
    assert before.token_since == before.kek_since == before.workspace.created_at
    asked = ask(stage, what)
    assert (keys(stage).under_way, asked.state) == (asked, RotationState.WAITING)
    told: list[tuple[int, int]] = []
    done = stage.room.rekeying.run(asked.id, watch=lambda *far: told.append(far))
    assert done is not None
    assert (done.state, done.done, done.failure) == (RotationState.DONE, done.total, None)
    assert len(told) >= 2
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0
    after = keys(stage)
    assert (after.under_way, after.last) == (None, done)
    changed = after.workspace.kek_id != before.workspace.kek_id
    assert changed is (what is What.WRAPPING)
    assert (after.workspace.token_key_version > 1) is (what is What.TOKENS)
    since = after.kek_since if what is What.WRAPPING else after.token_since
    assert since > before.workspace.created_at
    # Not asked before: a stored answer would prove nothing.
    # Six standard deviations of the noise.
    assert overlap(stage, grant) > OVERLAP - 6 * 31
    kinds = [event["kind"] for event in stage.events("rekeying.asked", "rekeying.done")]
    assert kinds == ["rekeying.asked", "rekeying.done"]


def test_one_rotation_of_a_workspace_at_a_time_and_only_ones_own(stage: Stage) -> None:
    first = ask(stage, What.TOKENS)
    with pytest.raises(RotationUnderWayError):
        ask(stage, What.WRAPPING)
    with pytest.raises(UnknownWorkspaceError):
        ask(stage, What.TOKENS, organisation_id=stage.advertiser.organisation_id)
    with stage.room.db.transaction() as tx:
        with pytest.raises(UnknownRotationError):
            stage.room.rekeying.withdraw(
                tx, first.id, organisation_id=stage.advertiser.organisation_id, by="us_2"
            )
        mine = {"organisation_id": stage.provider.organisation_id, "by": "us_1"}
        assert stage.room.rekeying.withdraw(tx, first.id, **mine).state is RotationState.WITHDRAWN
        with pytest.raises(RotationStateError):
            stage.room.rekeying.withdraw(tx, first.id, **mine)
    assert stage.room.rekeying.work() is False
    assert ask(stage, What.WRAPPING).state is RotationState.WAITING


@pytest.mark.unlogged("a load's states")
def test_it_waits_for_a_load_and_goes_on_by_itself(stage: Stage) -> None:
    def become(status: VersionStatus) -> None:
        with stage.room.db.transaction() as tx:
            current = stage.room.datasets.current(tx, stage.dataset_id)
            row = tx.session.get_one(
                DatasetVersionRow, versions.setdefault("id", current.id if current else "")
            )
            row.status = status.value

    versions: dict[str, str] = {}
    become(VersionStatus.LOADING)
    asked = ask(stage, What.TOKENS)
    waits = stage.room.rekeying.run(asked.id)
    assert waits is not None
    assert (waits.state, waits.failure) == (RotationState.WAITING, "ingestion.rotation")
    become(VersionStatus.PUBLISHED)
    assert stage.room.rekeying.work() is False
    stage.clock.move(seconds=31)
    assert stage.room.rekeying.work() is True
    assert keys(stage).last.state is RotationState.DONE
    assert keys(stage).last.failure is None


@pytest.mark.parametrize("what", list(What))
def test_a_worker_that_was_killed_is_followed_by_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, what: What
) -> None:
    asked = ask(stage, what)

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.room.workspaces), "switch_token_secret", killed)
        patch.setattr(type(stage.room.workspaces), "finish_kek_rotation", killed)
        with pytest.raises(KilledError):
            stage.room.rekeying.run(asked.id)
    assert keys(stage).under_way.state is RotationState.RUNNING
    assert keys(stage).kek_changes is (what is What.WRAPPING)
    stage.reopen()
    assert Rekeying(stage.room)() is True
    assert keys(stage).last.state is RotationState.DONE
    assert not keys(stage).kek_changes
    assert overlap(stage, stage.grant()) > OVERLAP - 6 * 31


def test_what_is_done_is_noted_in_the_same_commit_so_that_it_is_not_done_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(stage, What.TOKENS)
    rotate = Rotation.rotate_token_key

    def killed_after(self: Rotation, *arguments: Any, **options: Any) -> int:
        rotate(self, *arguments, **options)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "rotate_token_key", killed_after)
        with pytest.raises(KilledError):
            stage.room.rekeying.run(asked.id)
    assert keys(stage).last.state is RotationState.DONE
    assert Rekeying(stage.room)() is False


def test_it_is_given_up_after_several_failures_and_at_once_when_the_keys_are_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(stage, What.TOKENS)

    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "p7@example.org")

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "rotate_token_key", full)
        for _ in range(MAX_FAILURES):
            with pytest.raises(OSError, match="p7"):
                stage.room.rekeying.work()
            stage.clock.move(seconds=31)
        assert stage.room.rekeying.work() is False
    assert (keys(stage).last.state, keys(stage).last.failure) == (RotationState.FAILED, "OSError")
    assert "p7@example" not in str(stage.events())
    asked = ask(stage, What.WRAPPING)
    with stage.room.db.transaction() as tx:
        stage.room.workspaces.destroy(tx, stage.provider.workspace_id)
    done = stage.room.rekeying.run(asked.id)
    assert done is not None
    assert (done.state, done.failure) == (RotationState.FAILED, "workspaces.destroyed")
    with pytest.raises(WorkspaceDestroyedError):
        ask(stage, What.WRAPPING)


def test_two_workers_do_it_once(stage: Stage) -> None:
    ask(stage, What.TOKENS)
    did: list[bool] = []
    workers = [Thread(target=lambda: did.append(stage.room.rekeying.work())) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(did) == [False, False, True]
    assert keys(stage).workspace.token_key_version == 2
