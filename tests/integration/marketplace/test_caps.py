"""A mandate's monthly cap binds all that an agency spends for an advertiser: answers, flat prices, minimums."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cleanroom.accounts.types import MandateLimits
from cleanroom.analyses.types import Outcome
from cleanroom.marketplace.errors import MoneyCapError
from cleanroom.marketplace.quoting import CappedQuote
from cleanroom.marketplace.types import Entitlement, Listing, RequestState
from cleanroom.money import Money
from tests.market import Market
from tests.rooms import BASE_HEADER, Party, clients

CAP = 1_000_000
FLAT = {"key": "monthly", "currency": "RUB", "flat_minor": 600_000, "question_minor": 100_000}
PER_QUESTION = {"key": "monthly", "currency": "RUB", "question_minor": 450_000}
LEAST = {"key": "monthly", "currency": "RUB", "minimum_minor": CAP, "question_minor": 400_000}


def capped(market: Market) -> Party:
    agency = market.stage.party("agency", "agency")
    grant_mandate(market, agency)
    return agency


def grant_mandate(market: Market, agency: Party) -> None:
    with market.room.db.transaction() as tx:
        market.room.accounts.grant_mandate(
            tx,
            agency_id=agency.organisation_id,
            advertiser_id=market.advertiser,
            limits=MandateLimits(cap_minor=CAP, cap_currency="RUB"),
        )


def listed(market: Market, plan: dict[str, Any], count: int = 1) -> list[Listing]:
    return [market.live(plans=[plan]) for _ in range(count)]


def quoted(market: Market, entitlement: Entitlement, agency: Party) -> CappedQuote:
    with market.room.db.transaction() as tx:
        return market.services.quoting.quote(
            tx, entitlement.id, market.stage.question(), organisation_id=agency.organisation_id
        )


def begin(market: Market, entitlement: Entitlement, agency: Party, **changed: Any) -> None:
    """Ask a question that nobody counts yet, as the API does."""
    caps = market.services.caps
    with market.room.db.transaction() as tx:
        caps.hold(tx, agency_id=agency.organisation_id, advertiser_id=market.advertiser)
        begun = market.room.analyses.begin(
            tx,
            market.stage.question(**changed),
            grant_id=entitlement.grant_id,
            asker_id=agency.organisation_id,
        )
        assert begun.answer is None
        caps.require_within(tx, entitlement)


def test_what_stands_already_counts_when_an_agency_asks_for_more(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    first, second, cheap = [*listed(market, FLAT, 2), *listed(market, FLAT | {"flat_minor": 400_000})]
    made = market.bought(listing=first, agency=agency.organisation_id, size="S")

    with pytest.raises(MoneyCapError):
        market.ask(listing=second, agency=agency.organisation_id, size="S")
    # What the advertiser buys itself is its own money.
    market.bought(listing=second, size="S")
    with market.room.db.transaction() as tx:
        market.services.entitlements.revoke(tx, made.id, organisation_id=market.provider, reason="over")
    # It has cost nine days of thirty: 180,000.
    market.bought(listing=second, agency=agency.organisation_id, size="S")
    with pytest.raises(MoneyCapError):
        market.ask(listing=cheap, agency=agency.organisation_id, size="S")


@pytest.mark.parametrize("recorded", [True, False])
def test_answers_count_when_an_agency_asks_for_more(sqlite_market: Market, *, recorded: bool) -> None:
    market = sqlite_market
    agency = capped(market)
    first, cheap = [*listed(market, FLAT), *listed(market, FLAT | {"flat_minor": 400_000})]
    made = market.bought(listing=first, agency=agency.organisation_id, size="S")
    assert market.question(made, asker=agency, precision="rough").outcome is Outcome.RELEASED
    if recorded:
        market.mint()

    with pytest.raises(MoneyCapError):
        market.ask(listing=cheap, agency=agency.organisation_id, size="S")
    market.next_month()
    market.bought(listing=cheap, agency=agency.organisation_id, size="S")


def test_a_quote_leaves_what_the_months_charges_leave(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    (listing,) = listed(market, FLAT | {"flat_minor": 950_000})
    made = market.bought(listing=listing, agency=agency.organisation_id, size="S")

    for _ in range(2):
        told = quoted(market, made, agency)
        assert (told.cap_left, told.within_cap) == (Money(50_000, "RUB"), False)
        # Bought in a month's last days, it is charged by days; what is asked now may be answered in the next.
        market.next_month()


def test_answers_that_a_minimum_covers_cost_nothing_more(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    (listing,) = listed(market, LEAST)
    made = market.bought(listing=listing, agency=agency.organisation_id, size="S")

    assert quoted(market, made, agency).cap_left == Money(CAP, "RUB")
    assert market.question(made, asker=agency, precision="rough").outcome is Outcome.RELEASED
    told = quoted(market, made, agency)
    assert (told.cap_left, told.within_cap) == (Money(CAP - 400_000, "RUB"), True)


def test_an_approval_looks_at_the_cap_again(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    asked = [
        market.ask(listing=listing, agency=agency.organisation_id, size="S")
        for listing in listed(market, FLAT, 2)
    ]
    made = market.approve(asked[0])
    assert isinstance(made, Entitlement)

    with pytest.raises(MoneyCapError):
        market.approve(asked[1])

    with market.room.db.transaction() as tx:
        (waiting,) = market.services.requests.requests(
            tx, organisation_id=market.provider, state=RequestState.PENDING
        )
        market.services.entitlements.revoke(tx, made.id, organisation_id=market.provider, reason="over")
    assert waiting.id == asked[1].request.id
    assert isinstance(market.approve(asked[1]), Entitlement)


def test_two_approvals_at_once_do_not_both_fit_under_a_cap(market: Market) -> None:
    agency = capped(market)
    asked = [
        market.ask(listing=listing, agency=agency.organisation_id, size="S")
        for listing in listed(market, FLAT, 2)
    ]

    def approved(one: Any) -> bool:
        try:
            return isinstance(market.approve(one), Entitlement)
        except MoneyCapError:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(approved, asked)) == [False, True]


def test_what_is_left_tells_a_new_mandate_nothing_of_what_was_asked_without_one(
    sqlite_market: Market,
) -> None:
    market = sqlite_market
    clock, accounts = market.stage.clock, market.room.accounts
    agency = capped(market)
    (listing,) = listed(market, FLAT | {"flat_minor": 0})
    made = market.bought(listing=listing, agency=agency.organisation_id, size="M")
    assert market.question(made, asker=agency, precision="rough").outcome is Outcome.RELEASED
    before = quoted(market, made, agency).cap_left
    assert before == Money(CAP - 100_000, "RUB")

    with market.room.db.transaction() as tx:
        (mandate,) = accounts.mandates(tx, agency.organisation_id)
        accounts.revoke_mandate(tx, mandate.id)
    clock.move(hours=1)
    assert market.question(made).outcome is Outcome.RELEASED
    clock.move(hours=1)
    grant_mandate(market, agency)

    assert quoted(market, made, agency).cap_left == before


def test_what_is_under_way_counts_when_an_agency_asks_for_more(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    first, second = listed(market, PER_QUESTION, 2)
    made = market.bought(listing=first, agency=agency.organisation_id, size="M")
    (dear,) = listed(market, FLAT | {"flat_minor": 200_000})

    for precision in ("rough", "normal"):
        begin(market, made, agency, precision=precision)
    with pytest.raises(MoneyCapError):
        market.ask(listing=dear, agency=agency.organisation_id, size="S")
    assert quoted(market, made, agency).cap_left == Money(CAP - 2 * 450_000, "RUB")
    # A third under another entitlement would pass it, too.
    other = market.bought(listing=second, agency=agency.organisation_id, size="S")
    with pytest.raises(MoneyCapError):
        begin(market, other, agency, precision="rough")


def test_two_minimums_take_what_each_covers(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    half = {"key": "monthly", "currency": "RUB", "minimum_minor": CAP // 2, "question_minor": 400_000}
    made = [
        market.bought(listing=listing, agency=agency.organisation_id, size="M")
        for listing in listed(market, half, 2)
    ]
    # Both fit, whichever comes first: each is covered by the minimum of its own.
    for one in made:
        begin(market, one, agency, precision="rough")
    assert quoted(market, made[0], agency).cap_left == Money(100_000, "RUB")
    with pytest.raises(MoneyCapError):
        begin(market, made[1], agency, precision="normal")


def test_a_smaller_base_makes_no_question_under_way_cheaper(sqlite_market: Market) -> None:
    market = sqlite_market
    agency = capped(market)
    (listing,) = listed(market, {"key": "monthly", "currency": "RUB", "cpm_minor": 300_000})
    made = market.bought(listing=listing, agency=agency.organisation_id, size="M")
    begin(market, made, agency, precision="rough")
    before = quoted(market, made, agency)
    assert before.cap_left == Money(CAP - before.quote.maximum.minor, "RUB")
    market.stage.load(market.stage.base_id, BASE_HEADER, clients()[:1200], party=market.stage.advertiser)
    after = quoted(market, made, agency)
    assert after.quote.maximum < before.quote.maximum
    assert after.cap_left == before.cap_left
