"""Listings: who moves them where, what they may say, and how buyers find them."""

from dataclasses import replace

import pytest
from sqlalchemy import event, select

from cleanroom.marketplace.catalogue import Search
from cleanroom.marketplace.errors import (
    ListingFormError,
    ListingStateError,
    PageError,
    PlanFormError,
    UnknownListingError,
)
from cleanroom.marketplace.models import ListingFacetRow, ListingRow, ListingVersionRow
from cleanroom.marketplace.types import ListingState
from cleanroom.rules.errors import NotYourDatasetError
from cleanroom.rules.types import RedTeamVerdict, policy_sha256
from policies.codec import load_preset
from policies.rules import BaseFloor
from tests.market import MONTHLY, content, offer, words
from tests.rooms import PURPOSE
from tests.tallies import calls_of


def move(market, to, *, by="boris", organisation=None, listing=None):
    with market.room.db.transaction() as tx:
        return market.services.listings.move(
            tx,
            (listing or market.listing).id,
            to,
            organisation_id=organisation or market.provider,
            by=by,
        )


def write(market, **changed):
    with market.room.db.transaction() as tx:
        return market.services.listings.create(
            tx,
            organisation_id=market.provider,
            dataset_id=market.stage.dataset_id,
            content=content(**changed),
            by="anna",
        )


def search(market, *, buyer=None, after=None, limit=50, **wanted):
    with market.room.db.reading() as tx:
        found = market.services.catalogue.search(
            tx, Search(**wanted), buyers=[buyer or market.advertiser], after=after, limit=limit
        )
    return [listing.id for listing in found]


def test_whoever_wrote_a_listing_does_not_let_it_go_live(sqlite_market):
    market = sqlite_market
    made = write(market)
    with pytest.raises(ListingStateError):
        move(market, "live", listing=made)
    move(market, "review", by="anna", listing=made)
    with pytest.raises(ListingStateError, match="does not let it go live"):
        move(market, "live", by="anna", listing=made)
    live = move(market, "live", listing=made)
    assert (live.state, live.version.reviewed_by) == (ListingState.LIVE, "boris")
    assert move(market, "paused").state is ListingState.PAUSED
    assert move(market, "live", by="anna").state is ListingState.LIVE
    assert move(market, "retired").state is ListingState.RETIRED
    for to in ("live", "draft", "paused", "retired", "review"):
        with pytest.raises(ListingStateError):
            move(market, to)


def test_the_operator_reviews_and_does_nothing_else(sqlite_market):
    market = sqlite_market
    operator = market.stage.party("operator", "operator").organisation_id
    made = write(market)
    move(market, "review", by="anna", listing=made)
    with market.room.db.reading() as tx:
        assert [one.id for one in market.services.listings.in_review(tx)] == [made.id]
    assert move(market, "draft", organisation=operator, listing=made).state is ListingState.DRAFT
    move(market, "review", by="anna", listing=made)
    assert move(market, "live", organisation=operator, listing=made).state is ListingState.LIVE
    with pytest.raises(ListingStateError):
        move(market, "paused", organisation=operator, listing=made)


def test_a_new_wording_replaces_the_live_one_only_when_it_goes_live(sqlite_market):
    market = sqlite_market
    bought = market.bought(size="S")
    revised = content(title=words("Новые", "Renewed"), plans=[{**MONTHLY, "cpm_minor": 1}])
    with market.room.db.transaction() as tx:
        market.services.listings.revise(
            tx, market.listing.id, organisation_id=market.provider, content=revised, by="anna"
        )
    move(market, "review", by="anna")
    assert search(market, text="renewed") == []
    assert search(market, text="shoppers") == [market.listing.id]

    after = move(market, "live")

    assert (after.version.number, after.live_number, after.state) == (2, 2, ListingState.LIVE)
    assert search(market, text="renewed") == [market.listing.id]
    assert search(market, text="shoppers") == []
    with market.room.db.reading() as tx:
        kept = market.services.entitlements.entitlement(tx, bought.id, organisation_id=market.advertiser)
    assert kept.plan.cpm_minor == MONTHLY["cpm_minor"]
    assert kept.listing_version_id == market.listing.version.id


def test_a_wording_for_an_older_rule_does_not_go_live(sqlite_market):
    market = sqlite_market
    made = write(market)
    move(market, "review", by="anna", listing=made)
    market.stage.rule(load_preset("strict", purposes=[PURPOSE]))
    with pytest.raises(ListingFormError, match="rule has changed"):
        move(market, "live", listing=made)


def test_a_listing_shows_the_red_teams_grade_of_the_rule_it_was_written_for(sqlite_market):
    market = sqlite_market
    relaxed = load_preset("relaxed", purposes=[PURPOSE])
    document = replace(
        relaxed, rules=(*[rule for rule in relaxed.rules if rule.tag != "base_floor"], BaseFloor(1))
    )
    verdict = RedTeamVerdict(True, "B", policy_sha256(document), "0" * 64)
    with market.room.db.transaction() as tx:
        policy = market.room.rules.set_policy(
            tx,
            market.stage.dataset_id,
            document,
            organisation_id=market.provider,
            verdict=verdict,
        )

    version = write(market).version

    assert (version.grade, version.policy_id, version.policy_sha256) == ("B", policy.id, policy.sha256)
    assert market.listing.version.grade is None


@pytest.mark.parametrize(
    "changed",
    [
        {"attributes": ["sex", "income"]},
        {"terms": {"purposes": ["profiling"]}},
        {"terms": {"kinds": ["everything"]}},
        {"terms": {"sizes": []}},
        {"terms": {"days": 0}},
        {"terms": {"segments_only": True}, "segments": []},
        {"title": {"ru": "одна"}},
        {"title": words("", "x")},
        {"plans": []},
        {"plans": [MONTHLY, MONTHLY]},
        {"attributes": ["sex"]},
        {"more": 1},
    ],
)
def test_a_listing_offers_nothing_that_could_not_be_asked(sqlite_market, changed):
    with pytest.raises(ListingFormError):
        write(sqlite_market, **changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"currency": "rub"},
        {"cpm_minor": -1},
        {"cpm_minor": 1.5},
        {"question_minor": 0},
        {"key": "Monthly plan"},
        {"counted": "matches"},
        {"vat_bp": 10_001},
        {"offered_to": "org_a"},
        {"discount": 5},
    ],
)
def test_a_plan_that_is_not_understood_is_refused(changed):
    with pytest.raises(PlanFormError):
        content(plans=[{**MONTHLY, **changed}])


def test_only_the_owner_offers_a_dataset_and_no_base_is_offered(sqlite_market):
    market = sqlite_market
    with market.room.db.transaction() as tx:
        listings = market.services.listings
        asked = {"content": content(), "by": "anna"}
        with pytest.raises(NotYourDatasetError):
            listings.create(
                tx, organisation_id=market.advertiser, dataset_id=market.stage.dataset_id, **asked
            )
        with pytest.raises(ListingFormError):
            listings.create(tx, organisation_id=market.advertiser, dataset_id=market.stage.base_id, **asked)
        with pytest.raises(UnknownListingError):
            listings.listing(tx, market.listing.id, organisation_id=market.advertiser)


def test_sizes_are_those_released_to_everyone(sqlite_market):
    market = sqlite_market
    assert market.listing.sizes == {}
    figure = market.room.public_sizes.release(market.stage.dataset_id, purpose=PURPOSE)
    with market.room.db.reading() as tx:
        seen = market.services.catalogue.listing(tx, market.listing.id, buyers=[market.advertiser])
    assert seen.sizes == {PURPOSE: figure}


def test_buyers_find_live_listings_by_words_attributes_purposes_and_sectors(market):
    retail = market.live(
        title=words("Чеки 100%_точно", "Receipts"),
        attributes=["sex"],
        segments=[],
        terms={"sectors": ["retail"]},
    )
    private = market.live(plans=[{**MONTHLY, "offered_to": [market.advertiser]}, {**MONTHLY, "key": "vip"}])
    hidden = market.live(plans=[{**MONTHLY, "offered_to": ["org_other"]}])
    first = market.listing.id

    assert search(market) == [first, retail.id, private.id]
    assert search(market, text="ёлки ПОКУПАТЕЛИ") == [first, private.id]
    assert search(market, text="RECEIPTS") == search(market, text="100%_") == [retail.id]
    assert search(market, text="1000_") == []
    assert search(market, attribute="age") == [first, private.id]
    assert search(market, purpose="research") == []
    assert search(market, sector="retail") == [first, retail.id, private.id]
    assert search(market, sector="gambling") == [first, private.id]
    assert search(market, buyer="org_other") == [first, retail.id, private.id, hidden.id]
    assert search(market, limit=2) == [first, retail.id]
    assert search(market, limit=2, after=retail.id) == [private.id]
    with market.room.db.reading() as tx:
        seen = market.services.catalogue.listing(tx, private.id, buyers=["org_other"])
    assert [plan.key for plan in seen.version.content.plans] == ["vip"]
    with market.room.db.reading() as tx:
        mine = market.services.catalogue.listing(tx, private.id, buyers=[market.advertiser])
    assert [plan.offered_to for plan in mine.version.content.plans] == [frozenset(), frozenset()]
    move(market, "paused")
    assert search(market) == [retail.id, private.id]
    with pytest.raises(PageError):
        search(market, limit=501)
    with pytest.raises(PageError):
        search(market, text="a " * 9)


def test_a_thousand_listings_are_searched_without_reading_them_all(market):
    with market.room.db.transaction() as tx:
        row = tx.session.get_one(ListingRow, market.listing.id)
        version = tx.session.get_one(ListingVersionRow, market.listing.version.id)
        facets = tx.session.execute(
            select(ListingFacetRow.kind, ListingFacetRow.value).where(ListingFacetRow.listing_id == row.id)
        ).all()
        for number in range(1_000):
            copies = [f"{prefix}_{number:032x}" for prefix in ("lst", "lv")]
            values = {column.name: getattr(row, column.name) for column in ListingRow.__table__.columns}
            text = f"{row.search_text}\nnumber{number}"
            tx.session.add(
                ListingRow(**values | {"id": copies[0], "live_version_id": copies[1], "search_text": text})
            )
            tx.session.flush()
            values = {
                column.name: getattr(version, column.name) for column in ListingVersionRow.__table__.columns
            }
            tx.session.add(ListingVersionRow(**values | {"id": copies[1], "listing_id": copies[0]}))
            tx.session.add_all(
                ListingFacetRow(kind=kind, value=value, listing_id=copies[0]) for kind, value in facets
            )
    pages, after = [], None
    while page := search(market, after=after, limit=200):
        pages += page
        after = page[-1]
    assert len(pages) == len(set(pages)) == 1_001
    assert pages == sorted(pages)

    def calls(limit):
        wanted = {"text": "number7 покупатели", "attribute": "age", "purpose": PURPOSE}
        return calls_of(lambda: search(market, limit=limit, **wanted))

    assert len(search(market, text="number7 покупатели", limit=20)) == 20
    calls(1)
    assert calls(100) > 3 * calls(10)


def test_a_page_takes_as_many_statements_however_long_it_is(sqlite_market):
    market = sqlite_market
    market.room.public_sizes.release(market.stage.dataset_id, purpose=PURPOSE)
    for _ in range(6):
        with market.room.db.transaction() as tx:
            market.services.listings.revise(
                tx, market.live().id, organisation_id=market.provider, content=content(), by="anna"
            )
    selects = []

    def note(_connection, _cursor, statement, *_rest):
        selects.append(statement)

    def taken(look, limit):
        selects.clear()
        with market.room.db.reading() as tx:
            found = look(tx, limit)
        assert len(found) == limit
        assert all(listing.sizes[PURPOSE] and listing.live_number == 1 for listing in found)
        return sum(statement.startswith("SELECT") for statement in selects)

    def searched(tx, limit):
        return market.services.catalogue.search(tx, Search(), buyers=[market.advertiser], limit=limit)

    def own(tx, limit):
        return market.services.listings.own(tx, organisation_id=market.provider, limit=limit)

    event.listen(market.room.db.engine, "before_cursor_execute", note)
    try:
        # The page, the current versions of its datasets, their sizes; for the owner, who sees the newest wording, the
        # numbers of the live ones too.
        assert [taken(searched, limit) for limit in (1, 7)] == [3, 3]
        assert taken(own, 7) == 4
    finally:
        event.remove(market.room.db.engine, "before_cursor_execute", note)


def test_an_offer_survives_being_written():
    assert content() == content(**{key: value for key, value in offer().items() if key != "terms"})
