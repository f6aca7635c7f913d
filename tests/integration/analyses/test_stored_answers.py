"""The same question about unchanged data: its stored answer, when it is given, and when it is too old."""

from datetime import timedelta

import pytest

from cleanroom.analyses.errors import NoStoredAnswerError
from cleanroom.analyses.types import Outcome
from policies.codec import load_preset
from tests.integration.analyses.questions import YOUNG, receipt_of, status_of
from tests.rooms import DATASET_HEADER, KNOWN, PURPOSE, STRANGERS, clients, people

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


def test_the_same_question_is_answered_again_for_nothing_in_any_spelling(stage):
    grant = stage.grant("S")
    first = stage.ask(grant, segments={"young": YOUNG}, precision="normal")
    left = stage.left(grant)
    doubled = {
        "not": {"any": [{"attribute": "age", "op": ">=", "value": 30}, {"attribute": "age", "op": "is_null"}]}
    }

    again = stage.ask(grant, segments={"renamed": doubled}, precision="normal")

    assert (again.outcome, again.charged_micro, stage.left(grant)) == (Outcome.STORED, 0, left)
    assert [figure.value for figure in again.figures] == [figure.value for figure in first.figures]
    assert [figure.name for figure in again.figures] == ["overlap", "segment:renamed"]
    assert (again.as_of, again.consent_epoch) == (first.as_of, first.consent_epoch)
    # The proof is that of the release; the question itself stands in the log as well.
    assert again.receipt == first.receipt
    assert receipt_of(stage, again).record["subject"] == first.analysis_id
    assert stage.events("analyses.answered_again")[0]["body"]["answer_of"] == first.analysis_id
    assert status_of(stage, again.analysis_id) == "stored"


def test_a_finer_stored_answer_serves_a_coarser_question_and_not_the_other_way_round(stage):
    grant = stage.grant()
    rough = stage.ask(grant, precision="rough")
    normal = stage.ask(grant, precision="normal")

    assert normal.outcome is Outcome.RELEASED
    again = stage.ask(grant, precision="rough")
    assert again.outcome is Outcome.STORED
    # The newest that fits.
    assert again.figures == normal.figures
    assert rough.mechanism.sigma > again.mechanism.sigma


def test_a_stored_answer_is_given_when_the_grant_is_spent(stage):
    grant = stage.grant("S")
    first = stage.ask(grant, half_width=31)
    assert stage.left(grant) == 2_000 - first.charged_micro < 100

    assert stage.ask(grant, half_width=31).outcome is Outcome.STORED
    assert stage.ask(grant, half_width=31, labels=True).outcome is Outcome.REFUSED


def test_another_base_grant_purpose_policy_version_or_data_is_another_question(stage):
    both = [PURPOSE, "research"]
    grant = stage.grant("S", purposes=both)
    price = {"precision": "rough"}
    stage.ask(grant, **price)
    base_id = stage.base_id

    def fresh(grant=grant, **changed):
        return stage.ask(grant, **{**price, **changed}).outcome is Outcome.RELEASED

    assert not fresh()
    assert fresh(stage.grant("S", purposes=both))
    assert fresh(purpose="research")
    stage.base_id = stage.base(clients(KNOWN, STRANGERS - 1))
    assert fresh()
    # The same people under another id are the same base.
    stage.base_id = stage.base(clients()[::-1])
    assert not fresh()
    stage.base_id = base_id
    stage.rule(load_preset("standard", purposes=both, blocked=["likes"]))
    assert fresh()
    stage.load(stage.dataset_id, DATASET_HEADER, people())
    assert fresh()
    stage.withdraw(0)
    assert fresh()
    assert not fresh()


def test_as_of_gives_the_answer_of_that_day_and_never_a_fresh_one(stage):
    grant = stage.grant("S")
    before = stage.clock.now()
    first = stage.ask(grant, precision="rough")
    stage.clock.move(days=1)
    stage.withdraw(*range(50))
    second = stage.ask(grant, precision="rough")
    left = stage.left(grant)

    old = stage.ask(grant, precision="rough", as_of=first.as_of)
    new = stage.ask(grant, precision="rough", as_of=stage.clock.now())

    assert (old.figures, old.as_of, old.consent_epoch) == (first.figures, first.as_of, 0)
    assert (new.figures, new.as_of, new.consent_epoch) == (second.figures, second.as_of, 1)
    assert stage.left(grant) == left
    with pytest.raises(NoStoredAnswerError):
        stage.ask(grant, precision="rough", as_of=before)


def test_consents_that_expire_by_the_calendar_make_the_stored_answer_old(expiring):
    grant = expiring.grant("S", purposes=["research"])
    asked = {"purpose": "research", "precision": "rough"}
    first = expiring.ask(grant, **asked)
    expiring.clock.move(hours=11)
    assert expiring.ask(grant, **asked).outcome is Outcome.STORED

    expiring.clock.move(hours=2)
    fresh = expiring.ask(grant, **asked)

    assert (fresh.outcome, fresh.consent_epoch) == (Outcome.RELEASED, 1)
    assert expiring.ask(grant, **asked, as_of=first.as_of).figures == first.figures


def test_the_term_of_the_grant_holds_for_stored_answers_too(stage):
    grant = stage.grant("S", expires_at=stage.clock.now() + timedelta(days=2))
    stage.ask(grant, precision="rough")
    stage.clock.move(days=3)

    assert [reason.rule for reason in stage.ask(grant, precision="rough").reasons] == ["grant_term"]
