"""What pages of listings, usage, budgets and earnings read: one's own, in pages, and no figure too many."""

from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.noticing import Wanted, answered, answered_lately
from cleanroom.datasets.models import DatasetRow
from cleanroom.grants import register
from cleanroom.grants.types import Amount
from cleanroom.marketplace.earnings import months_earned
from cleanroom.marketplace.errors import ListingFormError, ListingStateError, UnknownListingError
from cleanroom.marketplace.models import UsageRow
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.stall import acquaintances, live_content, stall, wordings
from cleanroom.marketplace.types import Barrier, ListingState, Review
from cleanroom.rules.errors import NotYourDatasetError
from tests.market import MONTHLY, Market, content, words
from tests.rooms import PURPOSE, MakeRoom, Stage

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


@pytest.fixture
def market(stage: Stage) -> Market:
    return Market(stage)


STARTS: tuple[list[str], ...] = (
    [],
    ["review"],
    ["live"],
    ["live", "new"],
    ["live", "new", "review"],
    ["live", "paused"],
    ["retired"],
)


@pytest.fixture
def sqlite_stage(make_room: MakeRoom) -> Stage:
    return make_room()


def statements_of(market: Market, call: Any) -> list[str]:
    """Return the statements of SQL that a call takes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(market.room.db.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(market.room.db.engine, "before_cursor_execute", note)
    return seen


def draft(market: Market, by: str = "anna", **changed: Any) -> str:
    market.stage.clock.move(milliseconds=1)
    with market.room.db.transaction() as tx:
        return market.services.listings.create(
            tx,
            organisation_id=market.provider,
            dataset_id=market.stage.dataset_id,
            content=content(**changed),
            by=by,
        ).id


def test_listings_are_found_sorted_and_paged(market: Market) -> None:
    private = [MONTHLY | {"offered_to": [market.advertiser]}]
    draft(market, title=words("Ёжики 10%", "hedgehogs"), plans=private)
    with market.room.db.transaction() as tx:
        market.services.listings.revise(
            tx, market.listing.id, organisation_id=market.provider, content=content(), by="anna"
        )
        market.services.listings.move(
            tx, market.listing.id, "review", organisation_id=market.provider, by="anna"
        )
        tx.session.get_one(DatasetRow, market.stage.dataset_id).name = "Лояльность"
    with market.room.db.reading() as tx:

        def found(**asked: Any) -> list[str]:
            page, total = stall(tx, market.provider, **asked)
            assert total >= len(page)
            return [one.title.en for one in page]

        assert found() == ["Shoppers", "hedgehogs"]
        assert found(descending=True) == ["hedgehogs", "Shoppers"]
        assert found(sort="title_en") == ["hedgehogs", "Shoppers"]
        assert found(sort="nonsense") == found()
        assert found(text="ЁЖИКИ") == ["hedgehogs"]
        assert found(text="лояль") == ["Shoppers", "hedgehogs"]
        assert found(text="0%") == ["hedgehogs"]
        assert found(text="_") == []
        assert found(state=ListingState.DRAFT) == ["hedgehogs"]
        # What is live and has a new version in review is found by either.
        assert found(state=ListingState.LIVE) == found(state=ListingState.REVIEW) == ["Shoppers"]
        page, total = stall(tx, market.provider, offset=1, limit=1)
        assert (len(page), total) == (1, 2)
        assert (page[0].private, page[0].number, page[0].is_live) == (True, 1, False)
        first = stall(tx, market.provider)[0][0]
        assert (first.private, first.number, first.version_state) == (False, 2, ListingState.REVIEW)
        assert stall(tx, market.advertiser) == ((), 0)
        assert [one.number for one in wordings(tx, market.listing.id, organisation_id=market.provider)] == [
            2,
            1,
        ]
        assert live_content(tx, market.listing.id) == content()
        with pytest.raises(UnknownListingError):
            wordings(tx, market.listing.id, organisation_id=market.advertiser)


def test_a_page_of_listings_takes_as_few_statements_as_one(market: Market) -> None:
    def look() -> None:
        with market.room.db.reading() as tx:
            stall(tx, market.provider)

    few = len(statements_of(market, look))
    for number in range(5):
        draft(market, title=words(str(number), str(number)))
    assert len(statements_of(market, look)) == few <= 3


def test_a_provider_knows_only_buyers_that_asked_it(market: Market) -> None:
    stranger = market.stage.party("stranger").organisation_id
    agency = market.stage.party("agency", "agency").organisation_id
    with market.room.db.reading() as tx:
        assert acquaintances(tx, market.provider) == ()
    market.ask()
    market.ask(size="M")
    with market.room.db.reading() as tx:
        known = acquaintances(tx, market.provider)
        assert [(one.id, one.name) for one in known] == [(market.advertiser, "advertiser")]
        assert not {stranger, agency} & {one.id for one in known}
        assert acquaintances(tx, market.advertiser) == ()


@pytest.mark.parametrize("review", list(Review))
def test_ways_are_exactly_the_moves_that_succeed(sqlite_stage: Stage, review: Review) -> None:
    market = Market(sqlite_stage)
    listings = market.services.listings
    operator = market.stage.party("operator", "operator").organisation_id
    listings._review = review
    people = (("anna", market.provider), ("boris", market.provider), ("olga", operator))
    tried = 0
    for start in STARTS:
        listing_id = ""
        for (by, who), to in product(people, ("draft", "review", "live", "paused", "retired")):
            if not listing_id:
                listing_id = draft(market)
                _lead(market, listing_id, start, operator)
            with market.room.db.reading() as tx:
                listing = listings.listing(tx, listing_id, organisation_id=market.provider)
            ways = listings.ways(listing, operator=who == operator, by=by)
            told = any(way.to == to and way.barrier is None for way in ways)
            try:
                with market.room.db.transaction() as tx:
                    listings.move(tx, listing_id, to, organisation_id=who, by=by)
                done, listing_id = True, ""
            except ListingStateError:
                done = False
            assert told is done, (review, start, by, to)
            tried += 1
    assert tried == 105


def _lead(market: Market, listing_id: str, steps: list[str], operator: str) -> None:
    with market.room.db.transaction() as tx:
        for step in steps:
            if step == "new":
                market.services.listings.revise(
                    tx, listing_id, organisation_id=market.provider, content=content(), by="anna"
                )
                continue
            if step == "live":
                market.services.listings.move(
                    tx, listing_id, "review", organisation_id=market.provider, by="anna"
                )
            who = operator if step == "live" else market.provider
            market.services.listings.move(tx, listing_id, step, organisation_id=who, by="olga")


def test_a_barrier_says_who_is_needed(market: Market) -> None:
    listing_id = draft(market)
    listings = market.services.listings
    with market.room.db.transaction() as tx:
        made = listings.move(tx, listing_id, "review", organisation_id=market.provider, by="anna")
    barriers = {way.to: way.barrier for way in listings.ways(made, operator=False, by="anna")}
    assert barriers[ListingState.LIVE] is Barrier.SECOND
    with market.room.db.reading() as tx:
        assert listings.waiting(tx, listing_id) == made
        with pytest.raises(UnknownListingError):
            listings.waiting(tx, market.listing.id)


def test_a_version_that_nobody_looked_at_does_not_go_live(market: Market) -> None:
    listings, owner, listing_id = market.services.listings, market.provider, draft(market)
    with market.room.db.transaction() as tx:
        seen = listings.move(tx, listing_id, "review", organisation_id=owner, by="anna").version.id
        listings.revise(tx, listing_id, organisation_id=owner, content=content(), by="anna")
        newer = listings.move(tx, listing_id, "review", organisation_id=owner, by="anna").version.id
    with market.room.db.transaction() as tx:
        with pytest.raises(ListingStateError):
            listings.move(tx, listing_id, "live", organisation_id=owner, by="boris", version_id=seen)
        moved = listings.move(tx, listing_id, "live", organisation_id=owner, by="boris", version_id=newer)
    assert moved.state is ListingState.LIVE


def test_what_can_be_offered_is_what_a_listing_may_say(market: Market) -> None:
    listings, dataset_id = market.services.listings, market.stage.dataset_id
    with market.room.db.reading() as tx:
        offer = listings.offerable(tx, dataset_id, organisation_id=market.provider)
        with pytest.raises(NotYourDatasetError):
            listings.offerable(tx, dataset_id, organisation_id=market.advertiser)
    assert offer.purposes == (PURPOSE, "research")
    assert set(offer.attributes) == {"sex", "age", "likes"}
    draft(
        market,
        attributes=sorted(offer.attributes),
        terms={"purposes": list(offer.purposes), "kinds": list(offer.kinds)},
    )
    bare = market.stage.register("dataset", "person_id: {column: id}\nmatch_keys: {email: {column: email}}\n")
    with market.room.db.reading() as tx, pytest.raises(ListingFormError):
        listings.offerable(tx, bare, organisation_id=market.provider)


def test_usage_is_filtered_and_paged_and_tells_no_figure(market: Market) -> None:
    entitlement = market.bought()
    market.question(entitlement)
    market.question(entitlement, kind="profile", breakdowns=[["sex"]])
    refused = market.question(entitlement, purpose="research")
    market.next_month()
    market.question(entitlement, half_width=100)
    zone = market.services.usage.zone
    november = Month(2026, 11)
    with market.room.db.reading() as tx:

        def found(**asked: Any) -> list[str]:
            page, total = answered(tx, market.provider, Wanted(**asked))
            assert total == len(page)
            return [one.kind for one in page]

        assert found() == ["overlap", "profile", "overlap"]
        assert found(kind="profile") == ["profile"]
        assert found(start=november.starts_at(zone), end=november.ends_at(zone)) == ["profile", "overlap"]
        assert found(buyer="ADVERT", dataset="peop") == found()
        assert found(buyer="%") == found(dataset="nothing") == []
        page, total = answered(tx, market.provider, Wanted(), offset=1, limit=1)
        assert ([one.kind for one in page], total) == (["profile"], 3)
        assert answered(tx, market.advertiser, Wanted()) == ((), 0)
        newest = answered(tx, market.provider, Wanted())[0]
        assert newest == answered_lately(tx, market.provider)
    assert refused.analysis_id not in {one.analysis_id for one in newest}
    assert {name for one in newest for name in vars(one)} == {
        *("analysis_id", "dataset_id", "dataset", "buyer", "kind", "purpose", "asked_at")
    }


def test_a_ledger_adds_up(market: Market) -> None:
    entitlement = market.bought()
    market.question(entitlement)
    market.next_month()
    market.question(entitlement, kind="profile", breakdowns=[["sex"]])
    market.room.public_sizes.release(market.stage.dataset_id, purpose=PURPOSE)
    zone, dataset_id = market.services.usage.zone, market.stage.dataset_id
    months = [Month(2026, 10), Month(2026, 11), Month(2026, 12)]
    edges = [*(month.starts_at(zone) for month in months), months[-1].ends_at(zone)]
    with market.room.db.reading() as tx:
        (entry,), total = register.entries(tx, dataset_id)
        grant = market.room.grants.status(tx, entitlement.grant_id)
        assert total == 1
        assert (entry.grant_id, entry.buyer, entry.size) == (grant.id, "advertiser", "L")
        assert (entry.allocated, entry.spent) == (grant.allocated, grant.spent)
        assert register.totals(tx, [dataset_id]) == {dataset_id: (grant.allocated, grant.spent)}
        spent = register.spent_between(tx, dataset_id, edges)
        assert spent[0] == Amount(0)
        assert spent[1] + spent[2] == grant.spent
        assert min(spent[1].rho_micro, spent[2].rho_micro) > 0
        assert register.spent_between(tx, dataset_id, edges[:1]) == ()
        (paid,) = register.public_releases(tx, market.stage.provider.population_id)
        assert paid.purpose == PURPOSE
        assert paid.amount.rho_micro > 0
        assert register.entries(tx, "ds_0") == ((), 0)


def test_months_earned_are_the_statements(market: Market) -> None:
    operator = market.stage.party("operator", "operator").organisation_id
    dollars = market.live(
        plans=[{"key": "monthly", "currency": "USD", "question_minor": 333, "vat_bp": 1_000}]
    )
    first, other = market.bought(size="M"), market.bought(listing=dollars, size="M")
    market.question(first)
    market.question(first, kind="profile", breakdowns=[["sex"]])
    market.question(other)
    market.question(first, purpose="research")
    with market.room.db.transaction() as tx:
        market.services.entitlements.revoke(tx, other.id, organisation_id=market.provider, reason="over")
    market.next_month()
    market.question(first, kind="profile", breakdowns=[["age"]])
    market.next_month()
    market.mint()
    for who in (market.provider, operator):
        with market.room.db.reading() as tx:
            found = months_earned(tx, market.services.statements, who)
        assert [str(month) for month in found.months] == ["2027-01", "2026-12", "2026-11"]
        assert {str(month) for month in found.complete} == {"2026-11", "2026-12"}
        for month in found.complete:
            statement = market.statement(who, str(month))
            assert statement.complete
            told = [one for one in found.earned if one.month == month]
            assert [(one.net, one.vat, one.fee, one.share, one.gross) for one in told] == [
                (one.net, one.gross - one.net, one.fee, one.share, one.gross) for one in statement.totals
            ]
            assert sum(one.questions for one in told) == sum(line.questions for line in statement.lines)
        assert len(found.earned) == 3
    with market.room.db.reading() as tx:
        assert len(months_earned(tx, market.services.statements, market.provider, newest=2).earned) == 1


def test_a_month_under_way_earns_nothing_that_can_be_read(market: Market) -> None:
    entitlement = market.bought()
    market.question(entitlement)
    market.mint()
    with market.room.db.reading() as tx:
        found = months_earned(tx, market.services.statements, market.provider)
    assert ([str(month) for month in found.months], found.earned, found.complete) == (
        ["2026-11"],
        (),
        frozenset(),
    )
    market.next_month()
    market.question(entitlement, kind="profile", breakdowns=[["sex"]])
    with market.room.db.reading() as tx:
        # The log holds an answer that is in no sum yet.
        assert months_earned(tx, market.services.statements, market.provider).earned == ()


@pytest.mark.slow
def test_a_hundred_thousand_questions_are_paged_by_an_index(market: Market) -> None:
    entitlement = market.bought()
    market.question(entitlement)
    market.mint()
    with market.room.db.transaction() as tx:
        for table in (AnalysisRow, UsageRow):
            columns = table.__table__.columns
            row = dict(tx.session.execute(table.__table__.select()).mappings().one())
            unlike = [name for name in ("id", "analysis_id") if name in columns]
            many = [
                row | {name: f"{row[name]}{number}"[-40:] for name in unlike} for number in range(100_000)
            ]
            for start in range(0, len(many), 10_000):
                tx.session.execute(insert(table), many[start : start + 10_000])
        tx.session.execute(text("ANALYZE"))
    market.next_month()

    def look() -> None:
        with market.room.db.reading() as tx:
            page, total = answered(tx, market.provider, Wanted(), offset=60_000)
            assert (len(page), total) == (20, 100_001)

    def earn() -> None:
        with market.room.db.reading() as tx:
            (earned,) = months_earned(tx, market.services.statements, market.provider).earned
            assert earned.questions == 100_001

    taken = statements_of(market, look)
    assert len(taken) <= 4
    assert len(statements_of(market, earn)) <= 12
    # A statement adds up where the records are, and reads none of them.
    read = statements_of(market, lambda: market.statement(market.provider))
    assert any("sum(usage_records.fee_minor)" in one for one in read)
    assert not any("usage_records.analysis_id" in one for one in read)
    if market.room.db.engine.dialect.name == "sqlite":
        with market.room.db.reading() as tx:
            plan = tx.session.execute(
                text(
                    "EXPLAIN QUERY PLAN SELECT id FROM analyses WHERE dataset_id = :d AND status = 'released' "
                    "ORDER BY asked_at DESC, id DESC LIMIT 20"
                ),
                {"d": market.stage.dataset_id},
            )
            assert "COVERING INDEX ix_analyses_noticed" in str(plan.all())
