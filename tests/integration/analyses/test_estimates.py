"""What an estimate tells, and that it spends, records and reveals nothing."""

import math
from typing import Any

import opendp.prelude as dp
import pytest

from cleanroom.analyses.errors import NamedSizeError, NotYourBaseError, NotYourGrantError
from cleanroom.analyses.estimate_types import Estimate
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.grants.models import LedgerRow
from policies.codec import load_preset
from policies.errors import QuestionError
from policies.model import PolicyDocument
from policies.rules import Approval, Rate
from tests.integration.analyses.questions import RICH, YOUNG
from tests.rooms import PURPOSE, Party, Stage, clients, people, person

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


def estimate(stage: Stage, grant: Any, *, asker: Party | None = None, **asked: Any) -> Estimate:
    named = {key: asked.pop(key) for key in ("sizes", "expected") if key in asked}
    return stage.room.analyses.estimate(
        stage.question(**asked),
        grant_id=grant.id,
        asker_id=(asker or stage.advertiser).organisation_id,
        **named,
    )


def written(stage: Stage) -> tuple[int, ...]:
    """How much there is of everything that a question could leave behind."""
    with stage.room.db.reading() as tx:
        rows = [tx.session.query(model).count() for model in (AnalysisRow, LedgerRow)]
    receipts = stage.room.settings.receipts_dir
    return (*rows, len(stage.events()), len(list(receipts.iterdir())) if receipts.exists() else 0)


def test_an_estimate_tells_price_noise_and_what_is_left_of_the_grant(stage):
    grant = stage.grant()

    told = estimate(stage, grant, **RICH)

    assert (told.outcome, told.reasons, told.missing) == (Outcome.RELEASED, (), ())
    assert (told.charged_micro, told.left_micro, told.questions_left) == (5_000, 90_000, 19)
    assert told.mechanism.l0 == 10
    # sigma = sqrt(l0 / (2 rho)), and 1.96 of it either side.
    assert all(abs(figure.sigma - 31.62) < 0.01 and figure.half_width == 62 for figure in told.figures)
    assert {figure.name for figure in told.figures} >= {"overlap", "segment:young", "dataset:segment:sporty"}
    # One draw of that noise, seen by ten cells of one person, as OpenDP converts it.
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    draw = dp.c.make_zCDP_to_approxDP(space >> dp.m.then_gaussian(scale=told.mechanism.sigma))
    assert told.epsilon == pytest.approx(draw.map(math.sqrt(10)).epsilon(1e-6), rel=1e-4)
    assert told.delta == 1e-6
    assert told.advantage == pytest.approx(0.0399, abs=1e-4)


def test_the_chance_of_suppression_is_given_at_the_sizes_the_asker_names(stage):
    told = estimate(stage, stage.grant(), precision="rough", sizes=(0, 100, 1_000), expected={"overlap": 265})

    (overlap,) = told.figures
    assert overlap.threshold == 265
    assert [chance.size for chance in overlap.chances] == [0, 100, 1_000]
    small, least, large = (chance.suppressed for chance in overlap.chances)
    # At the minimum one in a hundred is shown; at the threshold it is an even chance.
    assert small > least > 0.99
    assert large < 1e-9
    assert overlap.expected.suppressed == pytest.approx(0.5, abs=0.01)


def test_an_estimate_spends_and_records_nothing(stage):
    grant = stage.grant("S")
    stage.ask(grant, precision="rough", segments={"young": YOUNG})
    before, left = written(stage), stage.left(grant)

    outcomes = [
        estimate(stage, grant, **asked).outcome
        for asked in ({"precision": "rough"}, {"purpose": "resale"}, {"precision": "fine"})
        for _ in range(3)
    ]

    assert outcomes == [Outcome.RELEASED] * 3 + [Outcome.REFUSED] * 6
    assert (written(stage), stage.left(grant)) == (before, left)
    # Not even a new day's epoch of consents.
    stage.clock.move(days=2)
    estimate(stage, grant, precision="rough")
    assert written(stage) == before


@pytest.mark.parametrize(
    "asked", [{"purpose": "resale"}, {"precision": "fine"}, {"kind": "profile", "breakdowns": [["likes"]]}]
)
def test_what_would_be_refused_is_refused_for_the_same_reasons(stage, asked):
    stage.rule(load_preset("standard", purposes=[PURPOSE], blocked=["likes"]))
    grant = stage.grant("S")

    told, refused = estimate(stage, grant, **asked), stage.ask(grant, **asked)

    assert told.outcome is refused.outcome is Outcome.REFUSED
    assert told.reasons == refused.reasons
    assert told.reasons
    assert (told.figures, told.mechanism, told.epsilon, told.questions_left) == ((), None, None, None)
    assert (told.charged_micro, told.left_micro) == (0, 2_000)


def test_a_gap_a_stop_and_a_lost_mandate_refuse_estimates_too(stage):
    agency = stage.party("agency", "agency")
    with stage.room.db.transaction() as tx:
        mandate = stage.room.accounts.grant_mandate(
            tx, agency_id=agency.organisation_id, advertiser_id=stage.advertiser.organisation_id
        )
    grant = stage.grant("M", agency_id=agency.organisation_id, purposes=[PURPOSE, "research"])
    assert estimate(stage, grant, asker=agency).outcome is Outcome.RELEASED
    with stage.room.db.transaction() as tx:
        stage.room.accounts.revoke_mandate(tx, mandate.id)
    assert [reason.rule for reason in estimate(stage, grant, asker=agency).reasons] == ["mandate"]
    stage.rule(load_preset("standard", purposes=[PURPOSE, "resale"]))
    unmapped = stage.grant("S", purposes=["resale"])
    assert estimate(stage, unmapped, purpose="resale", precision="rough").missing == ("consent",)
    stage.stop()
    assert [reason.rule for reason in estimate(stage, grant).reasons] == ["kill_switch"]


def test_an_estimate_bothers_no_owner_and_is_no_question_for_the_rate(stage):
    preset = load_preset("standard", purposes=[PURPOSE])
    stage.rule(
        PolicyDocument(
            "slow", (*preset.rules, Rate(per_day=2), Approval("question", frozenset({"match_test"})))
        )
    )
    grant = stage.grant()

    waiting = estimate(stage, grant)
    free = [estimate(stage, grant, kind="match_test").outcome for _ in range(5)]

    assert [reason.rule for reason in waiting.reasons] == ["approval"]
    assert free == [Outcome.RELEASED] * 5
    with stage.room.db.reading() as tx:
        owner = stage.provider.organisation_id
        assert stage.room.approvals.queue(tx, stage.dataset_id, organisation_id=owner) == ()
    # Asking counts, and the estimate knows.
    for _ in range(2):
        stage.ask(grant, kind="match_test")
    told, refused = (do(stage, grant, kind="match_test") for do in (estimate, Stage.ask))
    assert [reason.rule for reason in told.reasons] == [reason.rule for reason in refused.reasons] == ["rate"]


def test_what_was_answered_before_under_this_grant_is_said_to_cost_nothing(stage):
    grant, other = stage.grant("S"), stage.grant("S")
    answer = stage.ask(grant, precision="rough")

    again = estimate(stage, grant, precision="rough")

    assert (again.outcome, again.charged_micro, again.left_micro) == (Outcome.STORED, 0, 1_900)
    assert (again.mechanism, again.questions_left) == (answer.mechanism, 19)
    # Another grant's past is none of its business.
    assert estimate(stage, other, precision="rough").outcome is Outcome.RELEASED
    # Nor is it after consents have changed: a fresh answer costs.
    stage.withdraw(0)
    assert estimate(stage, grant, precision="rough").charged_micro == 100


def test_rooms_that_differ_in_the_providers_people_estimate_the_same(make_room):
    def told(stage: Stage) -> list[Estimate]:
        grant = stage.grant()
        return [
            estimate(stage, grant, sizes=(50, 500), **asked)
            for asked in (RICH, {"precision": "rough"}, {"half_width": 1})
        ]

    rooms = (
        make_room(),
        make_room(rows=[person(n) for n in range(500_000, 503_000)]),
        make_room(rows=people(12)),
    )
    usual, strangers, few = (told(stage) for stage in rooms)

    assert [item.outcome for item in usual] == [Outcome.RELEASED, Outcome.RELEASED, Outcome.REFUSED]
    for one, two, three in zip(usual, strangers, few, strict=True):
        assert one.figures == two.figures == three.figures
        assert one.mechanism == two.mechanism == three.mechanism
        assert (one.charged_micro, one.left_micro) == (two.charged_micro, two.left_micro)
        assert [reason.rule for reason in one.reasons] == [reason.rule for reason in three.reasons]


def test_a_foreign_grant_or_base_and_a_question_that_makes_no_sense_are_errors_as_in_asking(stage):
    grant = stage.grant("S")
    stranger = stage.party("stranger")
    with pytest.raises(NotYourGrantError):
        estimate(stage, grant, asker=stranger)
    with pytest.raises(QuestionError):
        estimate(stage, grant, segments={"s": {"attribute": "nobody", "op": "==", "value": 1}})
    stage.base_id = stage.base(clients(10, 0), party=stranger)
    with pytest.raises(NotYourBaseError):
        estimate(stage, grant)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"sizes": (-1,)}, "from 0 to 1000000000"),
        ({"sizes": (True,)}, "from 0 to 1000000000"),
        ({"expected": {"overlap": 10**10}}, "from 0 to 1000000000"),
        ({"sizes": tuple(range(101))}, "at most 100 sizes, not 101"),
        ({"expected": {"segment:old": 5}}, "no figure 'segment:old'"),
    ],
)
def test_a_size_that_makes_no_sense_is_named(make_room, named, said):
    stage = make_room()
    with pytest.raises(NamedSizeError, match=said) as caught:
        estimate(stage, stage.grant("S"), precision="rough", **named)
    assert caught.value.remedy
