"""What is refused, in which words, and that it costs nothing."""

from typing import Any

import pytest

from cleanroom.analyses.errors import NoSharedKeyError, NotYourBaseError, NotYourGrantError
from cleanroom.analyses.types import Outcome
from cleanroom.grants.service import Grants
from policies.codec import load_preset
from tests.integration.analyses.questions import receipt_of, status_of
from tests.rooms import BASE_SCHEMA, DATASET_HEADER, DATASET_SCHEMA, PURPOSE, clients, people

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


def test_a_denied_question_names_rule_and_nearest_permitted_one_and_costs_nothing(stage):
    grant = stage.grant()

    answer = stage.ask(grant, purpose="research", labels=True)

    assert answer.outcome is Outcome.REFUSED
    assert [reason.rule for reason in answer.reasons] == ["grant_purpose"]
    assert (answer.figures, answer.ratios, answer.mechanism, answer.consent_epoch) == ((), (), None, None)
    assert answer.charged_micro == 0
    assert stage.left(grant) == answer.left_micro == 95_000
    nearest = answer.reasons[0].nearest["question"]
    assert nearest["purpose"] == PURPOSE
    proven = receipt_of(stage, answer)
    assert proven.record["kind"] == "release.refused"
    assert proven.record["body"]["reasons"][0]["nearest"]["question"] == nearest
    assert status_of(stage, answer.analysis_id) == "refused"
    # It is truly permitted.
    nearest.pop("dataset_id"), nearest.pop("base_id")
    assert stage.ask(grant, **nearest).outcome is Outcome.RELEASED


def test_the_kill_switch_and_a_spent_grant_deny(stage):
    grant = stage.grant("S")
    assert stage.ask(grant, half_width=32).outcome is Outcome.RELEASED
    left = stage.left(grant)

    refused = stage.ask(grant, precision="fine")

    assert [reason.rule for reason in refused.reasons] == ["budget_left"]
    assert refused.reasons[0].asked == 5_000
    assert stage.left(grant) == left
    stage.stop()
    assert [reason.rule for reason in stage.ask(grant, half_width=200).reasons] == ["kill_switch"]


def test_without_a_policy_a_version_or_a_consent_mapping_there_is_a_gap_and_gaps_refuse(stage):
    rule = load_preset("standard", purposes=[PURPOSE, "resale"])
    bare = stage.register("dataset", DATASET_SCHEMA)
    grant = stage.grant(dataset_id=bare, documents=[rule], size="S")
    stage.dataset_id = bare

    unset = stage.ask(grant)
    stage.rule(rule, dataset_id=bare)
    unloaded = stage.ask(grant)
    stage.load(bare, DATASET_HEADER, people(100))
    unmapped = stage.ask(
        stage.grant(dataset_id=bare, purposes=["resale"], size="S"), purpose="resale", precision="rough"
    )

    assert [answer.missing for answer in (unset, unloaded, unmapped)] == [
        ("policy", "published_version"),
        ("published_version",),
        ("consent",),
    ]
    for answer in (unset, unloaded, unmapped):
        assert (answer.outcome, answer.reasons, answer.charged_micro) == (Outcome.REFUSED, (), 0)
        assert receipt_of(stage, answer).record["body"]["missing"] == list(answer.missing)


def test_a_foreign_grant_or_base_is_answered_as_one_that_does_not_exist(stage):
    grant = stage.grant("S")
    stranger = stage.party("stranger")
    foreign_base = stage.base(clients(10, 0), party=stranger)
    other_dataset = stage.register("dataset", DATASET_SCHEMA)

    def error_of(kind: type[Exception], **changed: Any) -> tuple[str, str]:
        asked = {"grant_id": grant.id, "asker_id": stage.advertiser.organisation_id} | {
            key: changed.pop(key) for key in ("grant_id", "asker_id") if key in changed
        }
        question = stage.question()
        question = type(question)(**{**vars(question), **changed})
        with pytest.raises(kind) as caught:
            stage.room.analyses.ask(question, **asked)
        return caught.value.code, str(caught.value)

    assert (
        error_of(NotYourGrantError, grant_id="gr_nobody")
        == error_of(NotYourGrantError, asker_id=stranger.organisation_id)
        == error_of(NotYourGrantError, dataset_id=other_dataset)
        == error_of(NotYourGrantError, dataset_id="ds_nobody")
    )
    assert (
        error_of(NotYourBaseError, base_id="ds_nobody")
        == error_of(NotYourBaseError, base_id=foreign_base)
        == error_of(NotYourBaseError, base_id=stage.dataset_id)
    )
    # Not even a row is left of them: their ids would be a stranger's.
    assert not stage.events("release.refused")


def test_a_base_in_another_hash_profile_is_told_which_would_do(stage):
    schema = BASE_SCHEMA.replace("column: email", "column: email, hash_profile: uid2").replace(
        "  phone: {column: phone, default_region: RU}\n", ""
    )
    stage.base_id = stage.register("base", schema)

    with pytest.raises(NoSharedKeyError, match="email/room, phone/room"):
        stage.ask(stage.grant("S"))


def test_an_agency_needs_its_mandate_when_it_asks_and_not_only_when_it_bought(stage):
    agency = stage.party("agency", "agency")
    parties = {"agency_id": agency.organisation_id, "advertiser_id": stage.advertiser.organisation_id}
    with stage.room.db.transaction() as tx:
        mandate = stage.room.accounts.grant_mandate(tx, **parties)
    grant = stage.grant("M", agency_id=agency.organisation_id)
    assert stage.ask(grant, asker=agency).outcome is Outcome.RELEASED

    with stage.room.db.transaction() as tx:
        stage.room.accounts.revoke_mandate(tx, mandate.id)
    refused = stage.ask(grant, asker=agency)

    # Not even the stored answer.
    assert [reason.rule for reason in refused.reasons] == ["mandate"]
    assert stage.ask(grant).outcome is Outcome.STORED
    assert receipt_of(stage, refused).record["body"]["agency_id"] == agency.organisation_id


def test_a_question_that_another_one_outruns_is_refused_with_what_is_left(stage, monkeypatch):
    grant = stage.grant("S")
    reserve = Grants.reserve

    def outrun(self: Grants, tx: Any, grant_id: str, **question: Any) -> Any:
        reserve(self, tx, grant_id, **{**question, "rho_micro": 1_950, "analysis_id": "an_faster"})
        return reserve(self, tx, grant_id, **question)

    monkeypatch.setattr(Grants, "reserve", outrun)

    answer = stage.ask(grant, precision="rough")

    assert [reason.rule for reason in answer.reasons] == ["budget_left"]
    assert (answer.charged_micro, stage.left(grant)) == (0, 50)
