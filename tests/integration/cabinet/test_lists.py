"""What the cabinet's lists are read by: filtered, sorted and paged in the database, and only one's own."""

import pytest

from cleanroom.analyses.noticing import answered_lately
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.shelf import shelf
from cleanroom.grants.gauge import gauge_of
from cleanroom.grants.types import GrantStatus
from cleanroom.marketplace import desk
from cleanroom.marketplace.types import RequestState
from policies.combine import combine, limits_of
from tests.market import Market
from tests.rooms import DATASET_HEADER, DATASET_SCHEMA, Stage, people, person


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
