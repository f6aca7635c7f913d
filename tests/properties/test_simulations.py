"""A simulated month is a bill: what quotes tell question by question, and what a statement of it adds up to."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cleanroom.marketplace.content import Words
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.pricing import Answered, AnswerFacts, MonthSoFar, price, quote
from cleanroom.marketplace.simulating import Supposed, simulate
from cleanroom.marketplace.statements import Position, StatementLine, month_charges, totals_by_currency
from cleanroom.marketplace.types import Entitlement, EntitlementState
from cleanroom.marketplace.usage import UsageRecord
from cleanroom.money import Money, total
from tests.properties.test_prices import plans

MONTH, ZONE = Month(2026, 11), ZoneInfo("Europe/Moscow")
supposed = st.builds(
    Supposed,
    questions=st.integers(0, 12),
    people=st.integers(0, 10**7),
    months=st.integers(1, 36),
    segments=st.integers(0, 4),
)


@given(plans(), supposed, st.integers(0, 10_000))
def test_a_simulation_is_what_quotes_and_a_statement_say(plan, supposed, fee_bp):
    told = simulate(plan, supposed, fee_bp=fee_bp)

    entitlement = Entitlement(
        *("id",) * 5,
        plan,
        *("id",) * 3,
        None,
        fee_bp,
        MONTH.starts_at(ZONE),
        MONTH.ends_at(ZONE),
        EntitlementState.ACTIVE,
        None,
        "",
    )
    facts = AnswerFacts(
        Answered.RELEASED, supposed.people, (supposed.people,) * supposed.segments, supposed.people, 0
    )
    so_far, records = MonthSoFar(), []
    for number in range(supposed.questions):
        quoted = quote(
            plan, so_far, segments=supposed.segments, people_at_most=supposed.people, sizes=[supposed.people]
        )
        amount = quoted.prices[0].amount
        so_far = so_far.after(facts, price(plan, so_far, facts))
        at = datetime(2026, 11, 2, tzinfo=UTC)
        records.append(
            UsageRecord("an", "id", number, MONTH, at, Answered.RELEASED, 0, 0, amount, amount.share(fee_bp))
        )
    answers = total([record.amount for record in records], plan.currency)
    fees = total([record.fee for record in records], plan.currency)
    amounts = [(answers, fees)] if records else []
    for _, amount in month_charges(entitlement, records, MONTH, ZONE):
        amounts.append((amount, amount.share(fee_bp)))
    lines = [
        StatementLine(
            *("id", Words("", ""), "p", "a", None, Position.FLAT, None, 0, 0, 0),
            *(amount, fee, amount - fee, plan.vat_bp),
        )
        for amount, fee in amounts
    ]
    if not lines:
        assert told.month_net == told.month_fee == told.month_gross == Money(0, plan.currency)
        return
    (totals,) = totals_by_currency(lines)

    assert told.month_net == totals.net
    assert told.month_fee == totals.fee
    assert told.month_share == totals.share
    assert told.month_gross == totals.gross
    assert total(list(told.parts.values()), plan.currency) == told.month_net
    count, paid, got = told.months[-1]
    assert (count, paid, got) == (supposed.months, totals.net * count, totals.share * count)
