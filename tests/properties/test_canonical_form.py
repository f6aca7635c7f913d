"""One canonical form for every spelling of a condition, and another for every other condition."""

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.condition import Leaf
from policies.l0 import disjoint_groups
from tests.examples import up_to
from tests.properties.conditions import (
    ATTRIBUTES,
    NEW_YEAR,
    canonical,
    conditions,
    evaluate,
    naive,
    people,
    respell,
    spellings,
)


@settings(max_examples=up_to(400), deadline=None)
@given(conditions, st.lists(people, min_size=1, max_size=20))
def test_the_canonical_form_holds_for_exactly_the_same_people(condition, rows):
    node = canonical(condition)

    assert [evaluate(node, person) for person in rows] == [naive(condition, person) for person in rows]


def every_leaf():
    """Each operator of each type, with literals in and outside of what was declared."""
    for name, literals in (("age", (0, 5)), ("since", (NEW_YEAR.isoformat(), "2025-12-30"))):
        yield from (Leaf(name, op, literals[0]) for op in ("==", "!=", "<", "<=", ">", ">="))
        yield from (Leaf(name, op, literals) for op in ("in", "not_in"))
        yield Leaf(name, "between", tuple(sorted(literals)))
    for value in ("a", "other", "undeclared"):
        yield from (Leaf("city", op, value) for op in ("==", "!="))
        yield from (Leaf("city", op, (value, "b")) for op in ("in", "not_in"))
    yield from (Leaf("adult", op, True) for op in ("==", "!="))
    yield Leaf("bought", "has_any", ("x", "other", "undeclared"))
    yield from (Leaf(name, op) for name in ATTRIBUTES for op in ("is_null", "not_null"))


def test_every_spelling_of_a_comparison_has_the_same_form():
    for leaf in every_leaf():
        assert len({canonical(spelling).key for spelling in spellings(leaf)}) == 1, leaf


@settings(max_examples=up_to(400), deadline=None)
@given(st.data(), conditions)
def test_any_respelling_has_the_same_form(data, condition):
    assert canonical(respell(data.draw, condition)).key == canonical(condition).key


@settings(max_examples=up_to(400), deadline=None)
@given(conditions, conditions, st.lists(people, min_size=1, max_size=20))
def test_conditions_that_differ_for_anybody_have_different_forms(one, other, rows):
    if any(naive(one, person) != naive(other, person) for person in rows):
        assert canonical(one).key != canonical(other).key


@settings(max_examples=up_to(400), deadline=None)
@given(conditions, conditions, st.lists(people, min_size=1, max_size=20))
def test_proven_disjointness_is_true(one, other, rows):
    # Apart when they share a group, or when one of them holds for nobody and so is in none.
    if len(disjoint_groups([canonical(one), canonical(other)], ATTRIBUTES)) < 2:
        assert not any(naive(one, person) and naive(other, person) for person in rows)


@settings(max_examples=up_to(200), deadline=None)
@given(st.lists(conditions, max_size=6), people)
def test_nobody_is_in_more_segments_than_there_are_groups(asked, person):
    groups = disjoint_groups([canonical(condition) for condition in asked], ATTRIBUTES)

    assert sum(naive(condition, person) for condition in asked) <= len(groups)
