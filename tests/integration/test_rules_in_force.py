"""Rules that depend on history and on the owner: pace, approval, sectors, the difference alarm; through `ask`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from cleanroom.analyses.types import Outcome
from policies.codec import load_preset
from policies.model import PolicyDocument
from policies.request import ApprovalState
from policies.rules import Approval, Rate, Sectors
from tests.rooms import PURPOSE, clients

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

OLD = {"attribute": "age", "op": ">=", "value": 30}
OLDER = {"attribute": "age", "op": ">=", "value": 45}
WOMEN = {"attribute": "sex", "op": "==", "value": "F"}


def rule_with(stage, *rules):
    preset = load_preset("standard", purposes=[PURPOSE])
    return stage.rule(PolicyDocument("with more", (*preset.rules, *rules)))


def rules_of(answer):
    return [reason.rule for reason in answer.reasons]


def queue(stage, state=None):
    with stage.room.db.reading() as tx:
        return stage.room.approvals.queue(
            tx, stage.dataset_id, organisation_id=stage.provider.organisation_id, state=state
        )


def decide(stage, approval, *, reject=None):
    owner = stage.provider.organisation_id
    with stage.room.db.transaction() as tx:
        if reject is None:
            stage.room.approvals.approve(tx, approval.id, organisation_id=owner)
        else:
            stage.room.approvals.reject(tx, approval.id, organisation_id=owner, reason=reject)


def test_a_question_waits_in_the_owners_queue_until_it_is_approved(stage):
    rule_with(stage, Approval("question", frozenset({"match_test"})))
    grant = stage.grant()
    question = stage.question(segments={"old": OLD})

    first, again = stage.ask(grant, question), stage.ask(grant, question)

    assert rules_of(first) == rules_of(again) == ["approval"]
    assert (first.reasons[0].asked, first.charged_micro) == ("pending", 0)
    assert first.reasons[0].nearest["question"]["kind"] == "match_test"
    (asked,) = queue(stage)
    assert (asked.state, asked.rho_micro, asked.grant_id) == (ApprovalState.PENDING, 500, grant.id)
    assert asked.question["segments"] == {"old": OLD}
    assert len(stage.events("rules.approval_requested")) == 1

    decide(stage, asked)
    assert stage.ask(grant, question).outcome is Outcome.RELEASED
    assert stage.ask(grant, question).outcome is Outcome.STORED
    assert rules_of(stage.ask(grant, segments={"old": OLDER})) == ["approval"]
    assert len(queue(stage, ApprovalState.PENDING)) == 1

    decide(stage, asked, reject="Too close to another buyer's campaign.")
    refused = stage.ask(grant, question)
    assert refused.reasons[0].asked == "rejected"
    assert "another buyer's campaign" in refused.reasons[0].message
    assert stage.ask(grant, kind="match_test").outcome is Outcome.RELEASED


def test_an_approved_template_lets_other_literals_pass_for_its_grant_alone(stage):
    rule_with(stage, Approval("template"))
    grant, other = stage.grant("M"), stage.grant("S")
    stage.ask(grant, segments={"old": OLD})
    (asked,) = queue(stage)
    assert "30" not in str(asked.subject)
    decide(stage, asked)

    assert stage.ask(grant, segments={"older": OLDER}).outcome is Outcome.RELEASED
    assert rules_of(stage.ask(grant, segments={"women": WOMEN})) == ["approval"]
    assert rules_of(stage.ask(other, segments={"old": OLD})) == ["approval"]


def test_an_approval_outlasts_a_new_version_of_the_policy_which_still_decides(stage):
    rule_with(stage, Approval("question"))
    grant = stage.grant()
    stage.ask(grant)
    decide(stage, queue(stage)[0])
    rule_with(stage, Approval("question"), Sectors(frozenset({"retail"})))

    assert rules_of(stage.ask(grant)) == ["sectors"]
    rule_with(stage, Approval("question"), Rate(per_day=9))
    assert stage.ask(grant).outcome is Outcome.RELEASED


def test_what_other_rules_refuse_and_what_is_only_estimated_does_not_bother_the_owner(stage):
    rule_with(stage, Approval("question"))
    grant = stage.grant()

    assert rules_of(stage.ask(grant, purpose="research")) == ["purposes", "approval", "grant_purpose"]
    estimate = stage.room.analyses.estimate(
        stage.question(), grant_id=grant.id, asker_id=stage.advertiser.organisation_id
    )
    assert rules_of(estimate) == ["approval"]
    assert queue(stage) == ()


def test_refused_questions_count_for_the_pace_too_and_waiting_helps(stage):
    rule_with(stage, Rate(per_minute=3))
    grant = stage.grant()
    started = stage.clock.now()

    assert stage.ask(grant).outcome is Outcome.RELEASED
    assert rules_of(stage.ask(grant, purpose="research")) == ["purposes", "grant_purpose"]
    stage.clock.move(seconds=10)
    assert stage.ask(grant, segments={"old": OLD}).outcome is Outcome.RELEASED
    # Stored answers come at the same pace: the decision comes first.
    refused = stage.ask(grant)
    assert rules_of(refused) == ["rate"]
    assert (refused.reasons[0].limit, refused.reasons[0].asked) == (3, 4)
    until = datetime.fromisoformat(refused.reasons[0].nearest["not_before"])
    assert 60 <= (until - started).total_seconds() <= 62

    # What was told is right, although the refusal counts as well.
    stage.clock.instant = until
    assert stage.ask(grant).outcome is Outcome.STORED


def test_one_buyers_pace_is_nobody_elses(stage):
    rule_with(stage, Rate(per_day=1))
    grant = stage.grant("S")
    other = stage.party("other")
    base = stage.base(clients(), party=other)
    others = stage.grant("S", advertiser_id=other.organisation_id)

    assert stage.ask(grant).outcome is Outcome.RELEASED
    assert rules_of(stage.ask(grant)) == ["rate"]
    stage.base_id = base
    assert stage.ask(others, asker=other).outcome is Outcome.RELEASED


def test_questions_at_once_do_not_outrun_the_pace(stage):
    rule_with(stage, Rate(per_minute=3))
    grant = stage.grant()
    questions = [stage.question(segments={"s": OLD | {"value": 20 + at}}) for at in range(6)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda question: stage.ask(grant, question), questions))

    assert sorted(rules_of(answer) for answer in answers) == [[]] * 3 + [["rate"]] * 3


def test_a_sector_decides_about_grants_and_questions(stage):
    grant = stage.grant("S")
    rule_with(stage, Sectors(None, frozenset({"gambling"})))

    assert rules_of(stage.ask(grant)) == ["sectors"]
    assert rules_of(stage.try_grant("S")) == ["sectors"]
    with stage.room.db.transaction() as tx:
        stage.room.accounts.set_sector(tx, stage.advertiser.organisation_id, "retail")
    assert stage.ask(grant).outcome is Outcome.RELEASED
    assert stage.try_grant("S").rho_micro > 0


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"segments": {"old": {"all": [OLD, WOMEN]}}}, ["question"]),
        ({"segments": {"old": OLD | {"value": 31}}}, ["question"]),
        ({"segments": {"women": WOMEN}}, []),
        ({"segments": {"old": OLD}, "precision": "fine"}, []),
    ],
)
def test_the_officer_is_told_of_questions_that_hardly_differ(stage, changed, differs):
    grant = stage.grant()
    first = stage.ask(grant, segments={"old": OLD})

    second = stage.ask(grant, **changed)

    assert second.outcome is Outcome.RELEASED
    alarms = stage.events("analyses.difference_alarm")
    assert [alarm["body"]["differs_in"] for alarm in alarms] == differs
    assert [alarm["body"]["earlier"] for alarm in alarms] == [first.analysis_id] * len(differs)


def test_the_officer_is_told_of_a_base_that_hardly_differs(stage):
    grant = stage.grant()
    stage.ask(grant)
    same, near, far = clients(), clients(known=1_199), clients(known=1_100)
    for rows in (same, far):
        stage.base_id = stage.base(rows)
        stage.ask(grant)
    assert stage.events("analyses.difference_alarm") == []

    stage.base_id = stage.base(near)
    stage.ask(grant)

    (alarm,) = stage.events("analyses.difference_alarm")
    assert alarm["body"]["differs_in"] == "base"
    assert alarm["organisation"] == stage.provider.organisation_id


def test_questions_long_ago_raise_no_alarm(stage):
    grant = stage.grant(expires_at=stage.clock.now().replace(year=2027))
    stage.ask(grant, segments={"old": OLD})
    stage.clock.move(days=31)

    stage.ask(grant, segments={"old": {"all": [OLD, WOMEN]}})

    assert stage.events("analyses.difference_alarm") == []
