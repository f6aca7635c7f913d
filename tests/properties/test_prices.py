"""Prices are whole minor units, grow with the count, never pass the quoted maximum, and add up."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cleanroom.marketplace.plans import Counted, PricePlan, plan_from_data, plan_to_data
from cleanroom.marketplace.pricing import Answered, AnswerFacts, MonthSoFar, Part, monthly, price, quote

minor = st.integers(0, 10**9)
people = st.integers(0, 10**8)


@st.composite
def plans(draw):
    question = draw(minor)
    return PricePlan(
        key="p",
        currency=draw(st.sampled_from(("RUB", "JPY", "KWD"))),
        cpm_minor=draw(minor),
        counted=draw(st.sampled_from(Counted)),
        flat_minor=draw(minor),
        question_minor=question,
        free_questions=draw(st.integers(0, 5)) if question else 0,
        questions_cap_minor=draw(st.none() | minor) if question else None,
        minimum_minor=draw(minor),
        vat_bp=draw(st.integers(0, 10_000)),
        offered_to=draw(st.frozensets(st.sampled_from(("org_a", "org_b")))),
    )


@st.composite
def answers(draw):
    overlap = draw(st.none() | people)
    return AnswerFacts(
        outcome=Answered.SUPPRESSED if overlap is None else Answered.RELEASED,
        overlap=overlap,
        segments=tuple(draw(st.lists(st.none() | people, max_size=4))),
        people_at_most=draw(people),
        rho_micro=draw(st.integers(1, 500)),
    )


months = st.builds(MonthSoFar, st.integers(0, 10), minor, minor)


@given(plans(), months, months, answers())
def test_no_bill_passes_the_maximum_whatever_was_asked_meanwhile(plan, quoted_in, billed_in, facts):
    told = quote(plan, quoted_in, segments=len(facts.segments), people_at_most=facts.people_at_most)

    assert price(plan, billed_in, facts).total <= told.maximum


@given(plans(), months, answers(), st.integers(0, 10**6))
def test_a_price_grows_with_the_count(plan, so_far, facts, more):
    if facts.overlap is None:
        assert price(plan, so_far, facts).lines == ()
        return
    larger = replace(
        facts,
        overlap=facts.overlap + more,
        segments=tuple(None if one is None else one + more for one in facts.segments),
    )
    assert price(plan, so_far, facts).total <= price(plan, so_far, larger).total


@given(plans(), months, answers())
def test_the_parts_of_a_charge_are_the_charge(plan, so_far, facts):
    charge = price(plan, so_far, facts)

    assert charge.total.minor == sum(charge.minor(part) for part in Part)
    assert all(line.amount.minor >= 0 for line in charge.lines)
    if facts.outcome is Answered.RELEASED and plan.cpm_minor:
        # Half a minor unit either way of the exact thousandth.
        assert abs(charge.minor(Part.CPM) * 1_000 - plan.cpm_minor * charge.people) <= 500


@given(plans(), months, st.lists(people, max_size=5), people, st.integers(0, 3))
def test_a_quoted_price_is_the_bill_of_that_size(plan, so_far, sizes, most, segments):
    told = quote(plan, so_far, segments=segments, people_at_most=most, sizes=sizes)

    for one in told.prices:
        facts = AnswerFacts(Answered.RELEASED, one.size, (one.size,) * segments, most, 1)
        assert price(plan, so_far, facts).total == one.amount <= told.maximum


@given(plans(), st.lists(answers(), max_size=12), st.integers(0, 30))
def test_a_month_meets_its_minimum_and_never_its_cap(plan, asked, days):
    so_far = MonthSoFar()
    for facts in asked:
        so_far = so_far.after(facts, price(plan, so_far, facts))
    charge = monthly(plan, so_far, days=days, of=30)

    spent = so_far.question_minor + so_far.cpm_minor + charge.total.minor
    assert spent * 60 >= plan.minimum_minor * days * 2 - 60
    if plan.questions_cap_minor is not None:
        assert so_far.question_minor <= plan.questions_cap_minor
    paid = max(0, so_far.questions - plan.free_questions)
    if plan.questions_cap_minor is None:
        assert so_far.question_minor == paid * plan.question_minor
    if days == 0:
        assert charge.lines == ()


@given(plans())
def test_a_plan_survives_being_written(plan):
    assert plan_from_data(plan_to_data(plan)) == plan
