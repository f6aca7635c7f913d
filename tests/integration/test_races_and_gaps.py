"""What must hold when the owner, a rotation or a careless caller comes between a question and its answer."""

import threading
import time

import pytest
from sqlalchemy import update

from cleanroom.analyses import completing
from cleanroom.analyses.errors import NotYourGrantError
from cleanroom.analyses.types import Outcome
from cleanroom.grants.models import GrantRow
from cleanroom.matching.service import Match
from cleanroom.release.service import ReleaseService
from cleanroom.storage.errors import ObjectMissingError
from policies.codec import load_preset
from tests.rooms import PURPOSE


def test_a_stop_that_has_returned_is_followed_by_no_release(stage, monkeypatch):
    grant, release = stage.grant(), ReleaseService.release
    stopper = threading.Thread(target=stage.stop)

    def release_slowly(self, *arguments, **options):
        # The checks are done; the owner stops the dataset now.
        stopper.start()
        time.sleep(0.3)
        return release(self, *arguments, **options)

    monkeypatch.setattr(ReleaseService, "release", release_slowly)

    answer = stage.ask(grant)
    stopper.join()

    assert answer.outcome is Outcome.RELEASED
    with stage.room.db.reading() as tx:
        order = [
            stage.room.audit.find(tx, subject_id=subject, kinds=[kind])
            for subject, kind in (
                (answer.analysis_id, "release.released"),
                (stage.dataset_id, "rules.dataset_stopped"),
            )
        ]
    assert order == sorted(order)


def test_a_rotation_under_a_question_makes_the_room_count_once_more(stage, monkeypatch):
    count, calls = Match.count, []

    def lose_files_once(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise ObjectMissingError("gone")
        return count(self, *arguments, **options)

    monkeypatch.setattr(Match, "count", lose_files_once)

    assert stage.ask(stage.grant()).outcome is Outcome.RELEASED
    assert len(calls) == 2


@pytest.mark.parametrize("rotation", ["rotate_kek", "rotate_token_key"])
def test_keys_that_are_rotated_before_the_files_are_opened_make_the_room_count_once_more(
    stage, monkeypatch, rotation
):
    count, calls = Match.count, []

    def rotate_once(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            getattr(stage.room.rotation, rotation)(stage.provider.workspace_id)
        return count(self, *arguments, **options)

    monkeypatch.setattr(Match, "count", rotate_once)

    assert stage.ask(stage.grant()).outcome is Outcome.RELEASED
    assert len(calls) == 2


def test_a_question_whose_files_keep_going_is_refused_and_recorded(stage, monkeypatch):
    def lose_files(self, *arguments, **options):
        raise ObjectMissingError("gone")

    monkeypatch.setattr(Match, "count", lose_files)
    grant = stage.grant()

    answer = stage.ask(grant, precision="rough")

    assert [reason.rule for reason in answer.reasons] == ["key_rotation"]
    assert stage.left(grant) == grant.rho_micro - 100
    assert completing.COUNTS_PER_QUESTION == 2


def test_a_grant_on_other_people_pays_for_nothing(stage):
    stranger = stage.party("another provider", "provider")
    foreign = stage.grant()
    with stage.room.db.transaction() as tx:
        moved = update(GrantRow).where(GrantRow.id == foreign.id)
        tx.session.execute(moved.values(population_id=stranger.population_id))

    with pytest.raises(NotYourGrantError, match="no grant with this id for this dataset"):
        stage.ask(foreign)


def test_no_size_leaves_a_stopped_dataset_or_for_a_purpose_that_the_rule_does_not_allow(stage):
    stage.stop()
    assert stage.room.public_sizes.release(stage.dataset_id, purpose=PURPOSE) is None
    with stage.room.db.transaction() as tx:
        stage.room.rules.resume(tx, stage.dataset_id, organisation_id=stage.provider.organisation_id)

    stage.rule(load_preset("standard", purposes=[PURPOSE]))
    # The schema maps consents to research, but the rule allows advertising only.
    assert stage.room.public_sizes.release(stage.dataset_id, purpose="research") is None
    assert not stage.events("grants.public_release_charged")
    assert stage.room.public_sizes.release(stage.dataset_id, purpose=PURPOSE) is not None


def test_a_refusal_with_a_number_beyond_53_bits_is_recorded(stage):
    stage.rule(load_preset("standard", purposes=[PURPOSE], blocked=["age"]))

    answer = stage.ask(
        stage.grant(), segments={"old": {"attribute": "age", "op": "==", "value": 1 << 60}}, kind="overlap"
    )

    assert [reason.rule for reason in answer.reasons] == ["attributes"]
    assert stage.events("release.refused")
