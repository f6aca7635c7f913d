"""Prices worked out by hand."""

import pytest

from cleanroom.marketplace.errors import PlanFormError
from cleanroom.marketplace.plans import MOST_CPM_MINOR, Counted, PricePlan
from cleanroom.marketplace.pricing import (
    Answered,
    AnswerFacts,
    Charge,
    MonthSoFar,
    Part,
    answer_facts,
    monthly,
    price,
    quote,
)
from cleanroom.money import Money
from policies.question import MAX_SEGMENTS

RELEASE = {
    "kind": "release.released",
    "body": {
        "budget": {"left_before_micro": 900, "left_after_micro": 400},
        "people_at_most": 5_000,
        "figures": [
            {"name": "overlap", "value": 4_321},
            {"name": "segment:young", "value": 1_000},
            {"name": "segment:old", "value": None},
            {"name": "sum:spend", "value": "99", "scale": 2},
            {"name": "dataset:segment:young", "value": 70_000},
            {"name": "breakdown:sex=F", "value": 2_000},
        ],
    },
}


def answer(overlap=1_000, segments=(), most=10_000):
    outcome = Answered.SUPPRESSED if overlap is None else Answered.RELEASED
    return AnswerFacts(outcome, overlap, tuple(segments), most, 500)


def minors(charge: Charge) -> dict[str, int]:
    return {line.part.value: line.amount.minor for line in charge.lines}


def test_a_receipts_record_says_all_that_a_price_needs():
    assert answer_facts(RELEASE) == AnswerFacts(Answered.RELEASED, 4_321, (1_000, None), 5_000, 500)
    withheld = {**RELEASE, "body": {**RELEASE["body"], "figures": [{"name": "overlap", "value": None}]}}
    assert answer_facts(withheld).outcome is Answered.SUPPRESSED
    beside = [{"name": "overlap", "value": None}, {"name": "dataset", "value": 70_000}]
    paid = {**RELEASE, "body": {**RELEASE["body"], "figures": beside}}
    assert answer_facts(paid) == AnswerFacts(Answered.RELEASED, None, (), 5_000, 500)
    refused = {"kind": "release.refused", "body": {"budget": RELEASE["body"]["budget"]}}
    assert answer_facts(refused) == AnswerFacts(Answered.REFUSED, None, (), 0, 500)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    # 333 kopecks for a thousand: 1.5 kopecks go up to 2, 1.498 down to 1.
    [(0, 0), (1_000, 333), (4_504, 1_500), (4_505, 1_500), (4_506, 1_500), (4_507, 1_501)],
)
def test_a_price_by_thousands_is_rounded_half_up_once(overlap, expected):
    plan = PricePlan("p", "RUB", cpm_minor=333)
    assert minors(price(plan, MonthSoFar(), answer(overlap))) == {"cpm": expected}


def test_an_exact_half_goes_up():
    assert minors(price(PricePlan("p", "RUB", cpm_minor=1), MonthSoFar(), answer(500))) == {"cpm": 1}
    assert minors(price(PricePlan("p", "RUB", cpm_minor=1), MonthSoFar(), answer(499))) == {"cpm": 0}


def test_noise_lifts_no_bill_above_what_both_sides_knew():
    plan = PricePlan("p", "RUB", cpm_minor=1_000)
    assert minors(price(plan, MonthSoFar(), answer(1_040, most=1_000))) == {"cpm": 1_000}


def test_segments_are_counted_where_the_plan_says_so():
    by_overlap = PricePlan("p", "RUB", cpm_minor=1_000)
    by_segments = PricePlan("p", "RUB", cpm_minor=1_000, counted=Counted.SEGMENTS)
    rich = answer(5_000, [1_000, None, 300])
    assert minors(price(by_overlap, MonthSoFar(), rich)) == {"cpm": 5_000}
    assert minors(price(by_segments, MonthSoFar(), rich)) == {"cpm": 1_300}
    assert minors(price(by_segments, MonthSoFar(), answer(5_000))) == {"cpm": 5_000}
    assert minors(price(by_segments, MonthSoFar(), answer(5_000, [None]))) == {"cpm": 0}


def test_free_questions_then_the_price_then_the_cap():
    plan = PricePlan("p", "RUB", question_minor=500, free_questions=2, questions_cap_minor=1_200)
    so_far, paid = MonthSoFar(), []
    for overlap in (10, None, 10, 10, None, 10, 10, 10):
        charge = price(plan, so_far, answer(overlap))
        so_far = so_far.after(answer(overlap), charge)
        paid.append(charge.total.minor)
    assert paid == [0, 0, 0, 500, 0, 500, 200, 0]
    assert so_far == MonthSoFar(6, 1_200, 0)


def test_a_month_costs_its_days_and_what_lacks_to_the_minimum():
    plan = PricePlan("p", "RUB", flat_minor=3_100, minimum_minor=6_200, cpm_minor=1)
    assert minors(monthly(plan, MonthSoFar(), days=31, of=31)) == {"flat": 3_100, "minimum": 3_100}
    assert minors(monthly(plan, MonthSoFar(), days=1, of=31)) == {"flat": 100, "minimum": 100}
    assert minors(monthly(plan, MonthSoFar(3, 0, 3_000), days=31, of=31)) == {"flat": 3_100, "minimum": 100}
    assert minors(monthly(plan, MonthSoFar(3, 0, 9_000), days=31, of=31)) == {"flat": 3_100}
    assert minors(monthly(plan, MonthSoFar(), days=0, of=31)) == {}


def test_a_quote_says_now_and_at_most():
    plan = PricePlan(
        "p", "RUB", cpm_minor=1_000, question_minor=50, free_questions=1, flat_minor=7, minimum_minor=9
    )
    told = quote(plan, MonthSoFar(), segments=2, people_at_most=3_000, sizes=[1_000, 9_000])
    assert [one.amount.minor for one in told.prices] == [1_000, 3_000]
    assert (told.maximum, told.standing) == (Money(3_050, "RUB"), Money(9, "RUB"))
    assert told.free_questions_left == 1
    charge = price(plan, MonthSoFar(questions=1), answer(9_000, most=3_000))
    assert charge.total == told.maximum
    assert charge.minor(Part.QUESTION) == 50


def test_the_dearest_answers_of_a_month_can_be_booked():
    # One that could not would stop the books of the whole room: usage is made in the order of the log.
    most, people = MOST_CPM_MINOR, 100_000_000
    plan = PricePlan("p", "RUB", cpm_minor=most, counted=Counted.SEGMENTS)
    dearest = price(plan, MonthSoFar(), answer(segments=(people,) * MAX_SEGMENTS, most=people)).total
    assert 50 * dearest.minor < 2**63
    with pytest.raises(PlanFormError, match=f"`cpm_minor` of a plan is a whole number from 0 to {most}"):
        PricePlan("p", "RUB", cpm_minor=most + 1)
