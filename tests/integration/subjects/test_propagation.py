"""The report on an epoch: from which answer on it counted, and that nothing was released against it, by the log."""

import hashlib
import json

import pytest

from cleanroom.consent.errors import OptOutNotFoundError
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.service import Consents
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.subjects.errors import UnknownEpochError
from cleanroom.subjects.propagation_types import Propagation
from tests.rooms import DATASET_HEADER, Stage, email, person


def report(stage: Stage, epoch: int = 1, owner: str = "") -> Propagation:
    with stage.room.db.reading() as tx:
        return stage.room.propagations.of_epoch(
            tx, stage.dataset_id, epoch, organisation_id=owner or stage.provider.organisation_id
        )


def test_the_first_answer_under_an_epoch_and_all_that_held_it_are_told(stage: Stage) -> None:
    grant = stage.grant()
    before = stage.ask(grant, precision="rough")
    stage.withdraw(1)
    assert report(stage).first_under_it is None
    stage.ask(grant, precision="rough", as_of=before.as_of)
    after = stage.ask(grant, precision="rough")
    second = stage.load(stage.dataset_id, DATASET_HEADER, [person(number) for number in range(2_000)])
    made = report(stage)
    assert made.first_under_it is not None
    assert made.first_under_it.analysis_id == after.analysis_id
    assert made.first_under_it.index > made.index
    assert (made.released_since, made.released_against_it) == (1, ())
    assert made.stale_answers == 1
    assert [(one.version_id, one.number, one.epoch) for one in made.versions] == [(second, 2, 2)]
    assert (made.in_flight, made.told, made.activations) == ((), (), 0)
    assert made.log_size > made.first_under_it.index


def test_a_release_against_an_epoch_would_show(make_room, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_room()
    grant = stage.grant()
    real = Consents.epoch
    stage.withdraw(1)
    with monkeypatch.context() as planted:
        # Nobody looks whether an epoch has begun.
        planted.setattr(Consents, "epoch", lambda self, tx, dataset_id: 0)
        stage.ask(grant, precision="rough")
    assert real is Consents.epoch
    (against,) = report(stage).released_against_it
    assert against.epoch == 0


def test_a_question_that_was_under_way_is_told_with_its_outcome(make_room) -> None:
    stage = make_room()
    grant = stage.grant()
    with stage.room.db.transaction() as tx:
        begun = stage.room.analyses.begin(
            tx,
            stage.question(precision="rough"),
            grant_id=grant.id,
            asker_id=stage.advertiser.organisation_id,
        )
    stage.withdraw(1)
    (waiting,) = report(stage).in_flight
    assert (waiting.analysis_id, waiting.outcome) == (begun.analysis.id, "reserved")


def test_a_batch_is_reported_for_each_of_its_datasets_to_its_owner_alone(make_room) -> None:
    stage = make_room()
    named = Named("email", "room", hashlib.sha256(email(3).encode()).digest())
    asked = OptOut(OptOutKind.SUPPRESSION, OptOutAction.ADD, (named,), OptOutReason.REQUEST)
    accepted = stage.room.opt_outs.accept(asked, organisation_id=stage.provider.organisation_id)
    with stage.room.db.reading() as tx:
        (made,) = stage.room.propagations.of_opt_out(
            tx, accepted.id, organisation_id=stage.provider.organisation_id
        )
        assert (made.dataset_id, made.epoch, made.kind) == (stage.dataset_id, 1, "suppression")
        with pytest.raises(OptOutNotFoundError):
            stage.room.propagations.of_opt_out(
                tx, accepted.id, organisation_id=stage.advertiser.organisation_id
            )
    with pytest.raises(DatasetNotFoundError):
        report(stage, owner=stage.advertiser.organisation_id)
    with pytest.raises(UnknownEpochError):
        report(stage, epoch=9)
    (event,) = stage.events("consent.opt_out_accepted")
    assert email(3) not in json.dumps(event)
