"""What the cabinet's lists are read by: filtered, sorted and paged in the database, and only one's own."""

import pytest

from cleanroom.analyses.docket import docket, docket_entry
from cleanroom.analyses.noticing import answered_lately
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.shelf import shelf
from cleanroom.grants.gauge import gauge_of
from cleanroom.grants.standing import Standing, standing_grants
from cleanroom.grants.types import GrantStatus
from cleanroom.marketplace import desk
from cleanroom.marketplace.types import RequestState
from cleanroom.rules.population import policies_of_population
from policies.codec import load_preset
from policies.combine import combine, limits_of
from policies.model import PolicyDocument
from policies.request import ApprovalState
from policies.rules import Approval, Buyers
from tests.market import Market
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, PURPOSE, Stage, people, person

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


@pytest.fixture
def market(stage: Stage) -> Market:
    return Market(stage)


def name(stage: Stage, dataset_id: str, title: str) -> None:
    with stage.room.db.transaction() as tx:
        tx.session.get_one(DatasetRow, dataset_id).name = title


def test_datasets_are_found_sorted_and_paged(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    rival = stage.party("rival", "provider")
    stage.register("dataset", DATASET_SCHEMA, party=rival)
    names = {stage.dataset_id: "Лояльность 10%", stage.register("dataset", DATASET_SCHEMA): "basket_1"}
    faulty = stage.register("dataset", DATASET_SCHEMA)
    names[faulty] = "Checks"
    for dataset_id, title in names.items():
        name(stage, dataset_id, title)
    waits = stage.load(faulty, DATASET_HEADER, people(30), publish=False)
    with stage.room.db.reading() as tx:

        def found(**asked: object) -> list[str]:
            page, total = shelf(tx, owner, **asked)  # type: ignore[arg-type]
            assert total >= len(page)
            return [one.name for one in page]

        assert found() == ["basket_1", "Checks", "Лояльность 10%"]
        assert found(descending=True) == ["Лояльность 10%", "Checks", "basket_1"]
        assert found(sort="persons", descending=True)[0] == "Лояльность 10%"
        assert found(sort="nonsense") == found()
        assert found(name="ЛОЯЛЬ") == ["Лояльность 10%"]
        # What was typed is looked for as it is; it is no pattern.
        assert found(name="%") == ["Лояльность 10%"]
        assert found(name="t_1") == ["basket_1"]
        assert found(name="k_1") == []
        assert found(waiting=True) == ["Checks"]
        page, total = shelf(tx, owner, offset=1, limit=1)
        assert ([one.name for one in page], total) == (["Checks"], 3)
        assert page[0].current is None
        assert page[0].newest is not None
        assert page[0].newest.id == waits
        current = shelf(tx, owner, name="лояль")[0][0].current
        assert current is not None
        assert current.persons == len(people())
        assert len(shelf(tx, rival.organisation_id)[0]) == 1
    with stage.room.db.transaction() as tx:
        stage.room.removing.delete(tx, faulty, organisation_id=owner)
    with stage.room.db.reading() as tx:
        assert shelf(tx, owner)[1] == 2


def test_the_newest_version_stands_beside_the_published_one(stage: Stage) -> None:
    later = stage.load(stage.dataset_id, DATASET_HEADER, [person(1), person(2)], publish=False)
    with stage.room.db.reading() as tx:
        one = shelf(tx, stage.provider.organisation_id)[0][0]
    assert one.current is not None
    assert one.newest is not None
    assert (one.current.number, one.newest.number, one.newest.id) == (1, 2, later)


def test_requests_are_found_sorted_and_paged(market: Market) -> None:
    other = market.stage.party("Ёлочный Базар")
    market.ask(size="M", days=10)
    market.stage.clock.move(seconds=1)
    market.ask(advertiser=other.organisation_id, size="S", days=40)
    market.stage.clock.move(seconds=1)
    market.bought(size="S", days=20)
    with market.room.db.reading() as tx:

        def found(**asked: object) -> list[int]:
            page, total = desk.entries(tx, market.provider, **asked)  # type: ignore[arg-type]
            assert total >= len(page)
            return [one.request.ask.days for one in page]

        assert found() == [10, 40, 20]
        assert found(descending=True) == [20, 40, 10]
        assert found(sort="days") == [10, 20, 40]
        assert found(sort="size") == [40, 20, 10]
        assert found(sort="buyer", descending=True)[0] == 40
        assert found(state=RequestState.APPROVED) == [20]
        assert found(buyer="ёлочный баз") == [40]
        assert found(buyer="ЁЛОЧ", state=RequestState.APPROVED) == []
        page, total = desk.entries(tx, market.provider, offset=2, limit=5)
        assert ([one.request.ask.days for one in page], total) == ([20], 3)
        assert (page[0].buyer, page[0].title_ru, page[0].title_en) == (
            "advertiser",
            "Покупатели Ёлки",
            "Shoppers",
        )
        assert desk.entry(tx, page[0].request) == page[0]
        # The desk is the provider's alone.
        for organisation_id in (market.advertiser, other.organisation_id):
            assert desk.entries(tx, organisation_id) == ((), 0)


def test_an_owner_notices_who_asked_and_no_figure(market: Market) -> None:
    entitlement = market.bought()
    market.question(entitlement)
    market.stage.clock.move(seconds=1)
    market.question(entitlement, kind="profile", breakdowns=[["sex"]])
    refused = market.question(entitlement, purpose="research")
    with market.room.db.reading() as tx:
        noticed = answered_lately(tx, market.provider)
        assert answered_lately(tx, market.advertiser) == ()
        assert len(answered_lately(tx, market.provider, limit=1)) == 1
    assert [one.kind for one in noticed] == ["profile", "overlap"]
    assert {one.buyer for one in noticed} == {"advertiser"}
    assert refused.analysis_id not in [one.analysis_id for one in noticed]
    told = {name for one in noticed for name in vars(one)}
    assert told == {"analysis_id", "dataset_id", "dataset", "buyer", "kind", "purpose", "asked_at"}


def test_a_gauge_shows_what_is_given_out(market: Market) -> None:
    stage = market.stage

    def gauge() -> tuple[int, int]:
        with stage.room.db.reading() as tx:
            policy = stage.room.rules.current(tx, stage.dataset_id)
            assert policy is not None
            found = gauge_of(
                tx,
                stage.room.grants,
                stage.provider.population_id,
                limits_of(combine([policy.document])),
                stage.clock.now(),
            )
        assert 0 < found.bound.advantage < 1
        return found.given.rho_micro, found.percent

    before, _ = gauge()
    entitlement = market.bought()
    given, percent = gauge()
    with stage.room.db.reading() as tx:
        grant = stage.room.grants.status(tx, entitlement.grant_id)
    assert given - before == grant.rho_micro
    assert 0 < percent < 100
    market.question(entitlement)
    with stage.room.db.transaction() as tx:
        stage.room.marketplace.entitlements.revoke(
            tx, entitlement.id, organisation_id=market.provider, reason="over"
        )
    with stage.room.db.reading() as tx:
        ended = stage.room.grants.status(tx, entitlement.grant_id)
    assert ended.status is GrantStatus.REVOKED
    # What was spent stays given out; the rest comes back.
    assert gauge()[0] - before == ended.spent_micro > 0


def ask(market: Market, grant_id: str, age: int) -> None:
    stage = market.stage
    question = stage.question(segments={"old": {"attribute": "age", "op": ">=", "value": age}})
    answer = stage.room.analyses.ask(question, grant_id=grant_id, asker_id=stage.advertiser.organisation_id)
    assert [reason.rule for reason in answer.reasons] == ["approval"]


def test_questions_that_wait_are_found_sorted_and_paged(market: Market) -> None:
    stage, owner = market.stage, market.provider
    rival = stage.party("rival", "provider")
    entitlement = market.bought()
    preset = load_preset("standard", purposes=[PURPOSE])
    stage.rule(PolicyDocument("asks first", (*preset.rules, Approval("question"))))
    for age in (20, 30, 40):
        ask(market, entitlement.grant_id, age)
        stage.clock.move(seconds=60)
    with stage.room.db.reading() as tx:
        first = stage.room.approvals.queue(tx, stage.dataset_id, organisation_id=owner)[0]
    with stage.room.db.transaction() as tx:
        stage.room.approvals.reject(tx, first.id, organisation_id=owner, reason="no", by="us_1")
    with stage.room.db.reading() as tx:

        def found(**asked: object) -> list[int]:
            page, _ = docket(tx, owner, **asked)  # type: ignore[arg-type]
            return [one.approval.question["segments"]["old"]["value"] for one in page]

        assert found() == [20, 30, 40]
        assert found(descending=True) == [40, 30, 20]
        assert found(state=ApprovalState.PENDING) == [30, 40]
        assert found(state=ApprovalState.REJECTED) == [20]
        assert found(buyer="ADVERT") == [20, 30, 40]
        assert found(buyer="%") == found(dataset_id="ds_0") == []
        assert found(sort="cost", offset=1, limit=1) == [30]
        assert docket(tx, owner, limit=0) == ((), 3)
        assert docket(tx, rival.organisation_id) == ((), 0)
        entry = docket(tx, owner)[0][0]
        assert (entry.buyer, entry.agency, entry.verified) == ("advertiser", None, False)
        assert entry.approval.decided_by == "us_1"
        assert entry.left_micro == entry.granted_micro
        assert entry.left_after_micro == entry.left_micro - entry.approval.rho_micro
        assert docket_entry(tx, entry.approval) == entry
    with stage.room.db.transaction() as tx:
        stage.room.grants.revoke(tx, entitlement.grant_id)
    with stage.room.db.reading() as tx:
        assert docket(tx, owner)[0][0].left_micro == 0


def test_what_another_rule_does_to_the_grants_that_stand(market: Market) -> None:
    stage = market.stage
    entitlement = market.bought()
    preset = load_preset("standard", purposes=[PURPOSE])

    def told(document: PolicyDocument, *, before: PolicyDocument | None = preset) -> Standing:
        with stage.room.db.reading() as tx:
            found, total = standing_grants(
                tx,
                stage.dataset_id,
                before=before,
                after=document,
                beside=policies_of_population(tx, stage.provider.population_id, but=stage.dataset_id),
                at=stage.clock.now(),
            )
        assert (len(found), total) == (1, 1)
        assert found[0].grant.id == entitlement.grant_id
        return found[0]

    same = told(preset)
    assert (same.ends, same.changes, same.after.questions) == (False, False, 190)
    other = told(load_preset("standard", purposes=["research"]))
    assert (other.ends, other.after.purposes) == (True, ())
    assert [reason.rule for reason in other.after.reasons] == ["purposes"]
    blocked = PolicyDocument("x", (*preset.rules, Buyers(None, frozenset({market.advertiser}))))
    assert told(blocked).ends
    # The grant keeps its budget, so questions that cost less are more.
    strict = told(load_preset("strict", purposes=[PURPOSE]))
    assert (strict.ends, strict.changes) == (False, True)
    assert strict.after.questions > strict.before.questions  # type: ignore[union-attr]
    assert told(PolicyDocument("x", preset.rules[:1])).after.missing
    assert told(preset, before=None).changes


def test_buyers_that_asked_are_known_to_whom_they_asked(market: Market) -> None:
    rival = market.stage.party("rival", "provider")
    market.stage.party("nobody")
    market.live()
    market.ask()
    with market.room.db.reading() as tx:
        assert desk.buyers_of(tx, market.provider) == ((market.advertiser, "advertiser"),)
        assert desk.buyers_of(tx, rival.organisation_id) == ()
