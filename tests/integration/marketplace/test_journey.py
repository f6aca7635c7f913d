"""From an offer to a month's statement, with real analyses; and the statement again from receipt files alone."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cleanroom.analyses.types import Outcome
from cleanroom.client.receipts import verify_receipt
from cleanroom.marketplace.errors import (
    MandateMissingError,
    MoneyCapError,
    RequestFormError,
    UnknownEntitlementError,
    UnknownListingError,
    UnknownRequestError,
    VerificationError,
)
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.pricing import MonthSoFar, Part, answer_facts, monthly, price
from cleanroom.marketplace.statements import Position
from cleanroom.marketplace.types import Entitlement, EntitlementState, RequestState
from cleanroom.money import Money, total
from policies.decision import Deny
from tests.market import MONTHLY, YOUNG, Market
from tests.rooms import PURPOSE

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")


def rules_of(answer):
    return [reason.rule for reason in answer.reasons]


def accounts(market: Market):
    with market.room.db.reading() as tx:
        found = market.room.grants.accounts(tx, market.stage.provider.population_id)
    return {account.kind.value: account.allocated_micro for account in found}


def test_a_request_waits_shows_its_cost_in_budget_and_becomes_an_entitlement(market):
    asked = market.ask(size="M", note="for the autumn")
    market.stage.clock.move(hours=5)
    with market.room.db.reading() as tx:
        (waiting,) = market.services.requests.requests(
            tx, organisation_id=market.provider, state=RequestState.PENDING
        )
        impact = market.services.requests.impact(tx, waiting.id, organisation_id=market.provider)
        with pytest.raises(UnknownRequestError):
            market.services.requests.impact(tx, waiting.id, organisation_id=market.advertiser)
    assert waiting.age(market.stage.clock.now()).total_seconds() == pytest.approx(5 * 3600, abs=1)
    assert {one.kind.value: one.left_after.rho_micro for one in impact} == {
        "total": 950_000 - 20_000,
        "advertiser": 95_000 - 20_000,
    }
    assert accounts(market) == {}

    made = market.approve(asked)

    assert isinstance(made, Entitlement)
    assert accounts(market) == {"total": 20_000, "advertiser": 20_000}
    assert (made.plan.key, made.state, made.listing_version_id) == (
        "monthly",
        EntitlementState.ACTIVE,
        market.listing.version.id,
    )
    assert market.approve(asked) == made
    with market.room.db.reading() as tx:
        request = market.services.requests.request(tx, waiting.id, organisation_id=market.advertiser)
        with pytest.raises(UnknownEntitlementError):
            market.services.entitlements.entitlement(tx, made.id, organisation_id="org_stranger")
    assert (request.state, request.decided_by) == (RequestState.APPROVED, "vera")


def test_what_the_budget_refuses_waits_on_and_names_what_would_fit(market):
    market.bought()

    refused = market.approve(again := market.ask(size="M"))

    assert isinstance(refused, Deny)
    assert {reason.rule for reason in refused.reasons} == {"budget_advertiser"}
    with market.room.db.reading() as tx:
        request = market.services.requests.request(tx, again.request.id, organisation_id=market.provider)
    assert request.state is RequestState.PENDING
    assert len(market.stage.events("marketplace.request_refused_by_rule")) == 1


def test_match_tests_of_size_s_are_approved_by_the_listings_terms_and_stay_match_tests(market):
    asked = market.ask(size="S", kinds=frozenset({"match_test"}))

    assert asked.request.state is RequestState.APPROVED
    assert asked.request.decided_by == "policy"
    assert (
        market.question(asked.entitlement, kind="match_test", precision="rough").outcome is Outcome.RELEASED
    )
    assert rules_of(market.question(asked.entitlement, precision="rough")) == ["analyses"]
    assert market.ask(size="S").request.state is RequestState.PENDING


@pytest.mark.parametrize(
    "changed",
    [
        {"plan_key": "other"},
        {"purposes": frozenset({"research"})},
        {"kinds": frozenset({"statistics"})},
        {"size": "XL"},
        {"days": 366},
        {"days": 0},
        {"questions": 0},
        {"note": "x" * 2_001},
    ],
)
def test_what_a_listing_does_not_offer_cannot_be_asked_for(sqlite_market, changed):
    with pytest.raises(RequestFormError):
        sqlite_market.ask(**changed)


def test_an_asker_takes_a_request_back_and_a_provider_rejects_with_a_reason(sqlite_market):
    market = sqlite_market
    requests = market.services.requests
    one, other = market.ask(), market.ask()
    with market.room.db.transaction() as tx:
        with pytest.raises(UnknownRequestError):
            requests.withdraw(tx, one.request.id, organisation_id=market.provider, by="vera")
        with pytest.raises(RequestFormError):
            requests.reject(tx, one.request.id, organisation_id=market.provider, reason=" ", by="vera")
        withdrawn = requests.withdraw(tx, one.request.id, organisation_id=market.advertiser, by="client")
        rejected = requests.reject(
            tx, other.request.id, organisation_id=market.provider, reason="too long", by="vera"
        )
    assert (withdrawn.state, rejected.state) == (RequestState.WITHDRAWN, RequestState.REJECTED)
    assert rejected.reason == "too long"
    events = market.stage.events("marketplace.request_withdrawn", "marketplace.request_rejected")
    assert [event["organisation"] for event in events] == [market.advertiser] * 2


def test_an_agency_needs_a_mandate_and_resale_terms_that_let_it_in(sqlite_market):
    market = sqlite_market
    agency = market.stage.party("agency", "agency")
    with pytest.raises(MandateMissingError):
        market.ask(agency=agency.organisation_id)
    with market.room.db.transaction() as tx:
        market.room.accounts.grant_mandate(
            tx, agency_id=agency.organisation_id, advertiser_id=market.advertiser
        )
    through = market.bought(agency=agency.organisation_id, size="S")
    assert market.question(through, asker=agency, precision="rough").outcome is Outcome.RELEASED

    alone = market.live(terms={"resale": False})
    with pytest.raises(RequestFormError):
        market.ask(listing=alone, agency=agency.organisation_id)
    market.bought(listing=alone, size="S")


def test_verified_buyers_only_means_that_nobody_else_gets_in(sqlite_market):
    listing = sqlite_market.live(terms={"verified_only": True})
    with pytest.raises(VerificationError):
        sqlite_market.ask(listing=listing)


class Known:
    """What other slices would know: the advertiser is verified, and its mandate has limits."""

    def __init__(self, cap: Money | None, purposes: frozenset[str] = frozenset({PURPOSE})) -> None:
        self.cap, self.purposes = cap, purposes

    def verified(self, tx, organisation_id):
        return True

    def may_request(self, tx, *, agency_id, advertiser_id, purposes):
        return purposes <= self.purposes

    def monthly_cap(self, tx, *, agency_id, advertiser_id):
        return self.cap


def test_a_mandate_limits_what_an_agency_asks_for_and_spends(sqlite_market):
    market = sqlite_market
    agency = market.stage.party("agency", "agency")
    with market.room.db.transaction() as tx:
        market.room.accounts.grant_mandate(
            tx, agency_id=agency.organisation_id, advertiser_id=market.advertiser
        )
    listing = market.live(terms={"verified_only": True})

    def knowing(known):
        caps = replace(market.services.quoting.caps, buyers=known)
        services = replace(
            market.services,
            requests=replace(market.services.requests, buyers=known, caps=caps),
            quoting=replace(market.services.quoting, caps=caps),
        )
        market.stage.room = replace(market.room, marketplace=services)

    for known, error in (
        (Known(None, frozenset()), MandateMissingError),
        (Known(Money(1_049_999, "RUB")), MoneyCapError),
        (Known(Money(10**9, "EUR")), MoneyCapError),
    ):
        knowing(known)
        with pytest.raises(error):
            market.ask(listing=listing, agency=agency.organisation_id)

    knowing(Known(Money(1_500_000, "RUB")))
    made = market.bought(listing=listing, agency=agency.organisation_id)
    question = market.stage.question()
    spent = market.question(made, asker=agency)
    with market.room.db.rehearsing() as tx:
        told = market.services.quoting.quote(tx, made.id, question, organisation_id=agency.organisation_id)
    assert told.within_cap
    assert told.cap_left == Money(500_000 - min(spent.figures[0].value, 1_500) * 150, "RUB")
    knowing(Known(Money(1_229_999, "RUB")))
    with market.room.db.rehearsing() as tx:
        told = market.services.quoting.quote(tx, made.id, question, organisation_id=agency.organisation_id)
    assert not told.within_cap


def test_private_offers_are_found_by_those_they_name_alone(sqlite_market):
    market = sqlite_market
    other = market.stage.party("other").organisation_id
    private = market.live(plans=[{**MONTHLY, "offered_to": [market.advertiser]}])
    assert market.ask(listing=private).request.state is RequestState.PENDING
    with pytest.raises(UnknownListingError):
        market.ask(listing=private, advertiser=other)


def test_the_licence_narrows_every_question(market):
    made = market.bought(questions=2)

    assert rules_of(market.question(made, kind="profile", breakdowns=[["likes"]])) == ["attributes"]
    assert rules_of(market.question(made, purpose="research")) == ["purposes", "grant_purpose"]
    assert market.question(made, precision="rough").outcome is Outcome.RELEASED
    assert market.question(made, precision="rough", segments={"young": YOUNG}).outcome is Outcome.RELEASED
    over = market.question(made, precision="rough", kind="profile", breakdowns=[["sex"]])
    assert rules_of(over) == ["quota"]
    # What was answered under the quota can be had again.
    assert market.question(made, precision="rough").outcome is Outcome.STORED
    sha = json.loads(over.receipt.read_bytes())["record"]["body"]["licence_sha256"]
    assert len(sha) == 64


def test_only_ready_made_segments_when_nothing_else_was_bought(sqlite_market):
    market = sqlite_market
    made = market.bought(listing=market.live(terms={"segments_only": True}))
    spelt_apart = {"not": {"attribute": "age", "op": ">=", "value": 30}}

    assert market.question(made, segments={"mine": spelt_apart, "null": YOUNG}).outcome is Outcome.REFUSED
    assert market.question(made, segments={"young": YOUNG}).outcome is Outcome.RELEASED
    other = market.question(made, segments={"old": {"attribute": "age", "op": ">=", "value": 31}})
    assert rules_of(other) == ["ready_made"]
    assert other.reasons[0].nearest["question"]["segments"] == {}


def test_revocation_stops_the_very_next_question_and_returns_what_is_left(market):
    made = market.bought()
    market.question(made, precision="rough")
    with market.room.db.transaction() as tx:
        with pytest.raises(UnknownEntitlementError):
            market.services.entitlements.revoke(tx, made.id, organisation_id=market.advertiser, reason="mine")
        ended = market.services.entitlements.revoke(
            tx, made.id, organisation_id=market.provider, reason="misuse"
        )
    assert (ended.state, ended.end_reason) == (EntitlementState.REVOKED, "misuse")
    assert rules_of(market.question(made, segments={"young": YOUNG})) == ["grant_term", "budget_left"]
    assert accounts(market) == {"total": 100, "advertiser": 100}


def test_the_end_of_the_term_stops_the_next_question_too(market):
    made = market.bought(days=3)
    market.stage.clock.move(days=3)

    refused = rules_of(market.question(made))
    with market.room.db.transaction() as tx:
        expired = market.services.entitlements.expire(tx)

    assert refused == ["validity", "grant_term"]
    assert expired == (made.id,)
    assert accounts(market) == {"total": 0, "advertiser": 0}
    with market.room.db.transaction() as tx:
        assert market.services.entitlements.expire(tx) == ()


def test_a_month_adds_up_and_comes_out_of_receipts_alone(market, tmp_path):
    made = market.bought()
    asked = [
        market.question(made, precision="rough"),
        market.question(made, segments={"young": YOUNG}),
        market.question(made, kind="profile", breakdowns=[["sex"]]),
        market.question(made, kind="profile", breakdowns=[["age"]]),
        market.question(made, precision="rough"),
        market.question(made, kind="profile", breakdowns=[["likes"]]),
    ]
    assert [answer.outcome for answer in asked[-2:]] == [Outcome.STORED, Outcome.REFUSED]
    market.mint()
    market.mint()
    early = market.statement(market.provider)
    assert {line.position for line in early.lines} == {Position.FLAT}
    assert not early.complete
    market.next_month()

    buyer, provider = market.statement(market.advertiser), market.statement(market.provider)

    assert buyer.complete
    assert provider.complete
    receipts = [
        verify_receipt(path.read_bytes(), verifier_key=market.room.audit.verifier_key)
        for path in market.room.settings.receipts_dir.iterdir()
    ]
    so_far, charges = MonthSoFar(), []
    for receipt in sorted(receipts, key=lambda receipt: receipt.index):
        if receipt.record["body"]["grant_id"] == made.grant_id:
            facts = answer_facts(receipt.record)
            charges.append(price(made.plan, so_far, facts))
            so_far = so_far.after(facts, charges[-1])
    month = monthly(made.plan, so_far, days=9, of=30)
    net = total([charge.total for charge in (*charges, month)], "RUB")
    (totals,) = buyer.totals
    assert totals.net == net
    assert totals.gross == net + net.share(2_000)
    assert month.minor(Part.FLAT) == 300_000
    assert [charge.minor(Part.QUESTION) for charge in charges] == [0, 5_000, 3_000, 0, 0]
    assert all(charge.minor(Part.CPM) > 100_000 for charge in charges[:4])

    questions = [line for line in buyer.lines if line.position is Position.QUESTIONS]
    assert [(line.day.isoformat(), line.questions) for line in questions] == [("2026-11-22", 4)]
    (free,) = [line for line in buyer.lines if line.position is Position.NO_CHARGE]
    assert (free.questions, free.amount.minor) == (1, 0)
    (earned,) = provider.totals
    assert earned.net == net
    assert earned.fee + earned.share == net
    assert all(line.people == 0 and line.day is None and line.rho_micro == 0 for line in provider.lines)
    assert all(line.fee is None for line in buyer.lines)
    assert market.statement(market.advertiser) == buyer
    with market.room.db.reading() as tx:
        usage, november = market.services.usage, Month.parse("2026-11")
        mine = usage.of_buyer(tx, market.advertiser, november)
        assert [record.amount for record in mine] == [charge.total for charge in charges]
        assert (
            usage.of_buyer(tx, market.advertiser, november, after=mine[0].event_index, limit=2) == mine[1:3]
        )
        assert usage.of_buyer(tx, market.provider, november) == ()


def test_a_withheld_answer_costs_budget_and_no_money(make_room):
    market = Market(make_room(base_rows=None, rows=None))
    few = market.stage.base([f"nobody{number}@example.org,,vip" for number in range(1_200)])
    market.stage.base_id = few
    made = market.bought()

    answer = market.question(made, precision="rough")
    market.mint()

    assert answer.figures[0].suppressed
    with market.room.db.reading() as tx:
        (record,) = market.services.usage.records(tx, [made.id], Month.parse("2026-11"))
    assert record.outcome == "suppressed"
    assert (record.amount, record.people, record.rho_micro) == (Money(0, "RUB"), 0, 100)


def test_the_bill_never_passes_the_quote_and_flat_parts_are_met_to_the_kopeck(market):
    made = market.bought()
    question = market.stage.question(segments={"young": YOUNG})

    def quoted(sizes=()):
        with market.room.db.rehearsing() as tx:
            return market.services.quoting.quote(
                tx, made.id, question, organisation_id=market.advertiser, sizes=sizes
            ).quote

    before = quoted([0, 1_000, 10**9])
    assert before.people_at_most == 1_500
    assert [one.amount.minor for one in before.prices] == [0, 150_000, 225_000]
    assert before.maximum == Money(225_000 + 5_000, "RUB")
    assert before.standing == Money(1_050_000, "RUB")
    market.question(made, segments={"young": YOUNG})
    market.mint()
    with market.room.db.reading() as tx:
        (record,) = market.services.usage.records(tx, [made.id], Month.parse("2026-11"))
        so_far = market.services.usage.so_far(tx, made.id, Month.parse("2026-11"))
    after = quoted([record.people])
    assert record.amount <= before.maximum
    assert record.amount == Money(record.people * 150, "RUB")
    assert so_far.questions == 1
    assert after.prices[0].amount == Money(record.people * 150 + 5_000, "RUB")
    with market.room.db.rehearsing() as tx, pytest.raises(UnknownEntitlementError):
        market.services.quoting.quote(tx, made.id, question, organisation_id=market.provider)


def test_months_are_those_of_the_billing_zone(sqlite_market):
    market = sqlite_market
    market.stage.clock.instant = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    made = market.bought()
    market.question(made, precision="rough")
    market.stage.clock.move(minutes=2)
    market.question(made, segments={"young": YOUNG})
    market.mint()
    with market.room.db.reading() as tx:
        months = [
            len(market.services.usage.records(tx, [made.id], Month.parse(month)))
            for month in ("2026-11", "2026-12")
        ]
    assert months == [1, 1]
    assert PURPOSE in market.listing.version.content.terms.purposes
