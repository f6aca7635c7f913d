from random import Random

import pytest

from policies.attributes import AttributeInfo
from policies.condition import Leaf, parse_condition
from policies.errors import QuestionError
from policies.values import ValueSet, has_any_codes, intersection, leaf_values, union

INT = AttributeInfo("integer")
LOW, HIGH = INT.domain


def values(op, value, info=INT):
    data = {"attribute": "a", "op": op} if value is None else {"attribute": "a", "op": op, "value": value}
    return leaf_values(parse_condition(data), info)


@pytest.mark.parametrize(
    ("op", "value", "ranges"),
    [
        ("==", 18, ((18, 18),)),
        ("==", 18.5, ()),
        ("!=", 18, ((LOW, 17), (19, HIGH))),
        ("<", 18, ((LOW, 17),)),
        ("<", 17.5, ((LOW, 17),)),
        ("<=", 17.5, ((LOW, 17),)),
        (">", 17.5, ((18, HIGH),)),
        (">=", "18", ((18, HIGH),)),
        ("between", [18, 20], ((18, 20),)),
        ("between", [17.2, 20.9], ((18, 20),)),
        ("between", [20, 18], ()),
        ("in", [3, 1, 2, 9], ((1, 3), (9, 9))),
        ("not_in", [LOW, HIGH], ((LOW + 1, HIGH - 1),)),
        ("<", 10**30, ((LOW, HIGH),)),
        (">", 1e300, ()),
        ("not_null", None, ((LOW, HIGH),)),
    ],
)
def test_comparisons_become_ranges_without_null(op, value, ranges):
    assert values(op, value) == ValueSet(ranges, null=False)


def test_is_null_holds_for_no_value_only():
    assert values("is_null", None) == ValueSet((), null=True)


def test_decimals_are_compared_exactly_in_stored_units():
    spend = AttributeInfo("decimal", scale=2)

    assert values("<", 1.005, spend).ranges == ((LOW, 100),)
    assert values("==", "0.10", spend).ranges == ((10, 10),)
    assert values("==", 0.1, spend).ranges == ((10, 10),)
    assert values(">", 5e-324, spend).ranges == ((1, HIGH),)


def test_dates_are_days_and_end_where_dates_can_be_written():
    since = AttributeInfo("date")

    assert values("==", "1970-01-02", since).ranges == ((1, 1),)
    assert values("<", "2026-02-01", since) == values("<=", "2026-01-31", since)
    assert values(">=", "2026-01-01", since) == values("between", ["2026-01-01", "9999-12-31"], since)
    assert values("<", "2026-01-01", since) == values("between", ["0001-01-01", "2025-12-31"], since)
    assert since.domain[0] > -(2**31)
    assert since.domain[1] < 2**31


def test_an_undeclared_literal_matches_nobody_and_other_names_the_rest():
    city = AttributeInfo("category", values=("М", "К"))

    assert values("==", "Тверь", city).empty
    assert values("==", "other", city).ranges == ((3, 3),)
    assert values("!=", "Тверь", city).ranges == ((1, 3),)
    assert values("in", ["К", "М"], city).ranges == ((1, 2),)


def test_a_value_that_is_declared_as_other_is_that_value():
    assert values("==", "other", AttributeInfo("category", values=("other", "x"))).ranges == ((1, 1),)


def test_declared_values_and_literals_meet_in_one_unicode_form():
    assert values("==", "\u00e9", AttributeInfo("category", values=("e\u0301",))).ranges == ((1, 1),)


def test_a_literal_that_was_not_parsed_meets_the_declared_value_too():
    info = AttributeInfo("category", values=("\u00e9",))
    assert leaf_values(Leaf("a", "==", "e\u0301"), info).ranges == ((1, 1),)


def test_numbers_find_categories_that_are_written_with_digits():
    assert values("in", [1, 2.5], AttributeInfo("category", values=("1", "2.5"))).ranges == ((1, 2),)


@pytest.mark.parametrize(("literal", "code"), [(False, 1), ("false", 1), (True, 2), ("true", 2)])
def test_booleans_have_two_codes(literal, code):
    assert values("==", literal, AttributeInfo("boolean")).ranges == ((code, code),)


def test_a_set_is_asked_for_any_of_its_values():
    info = AttributeInfo("set", values=("a", "b"))

    assert has_any_codes(Leaf("s", "has_any", ("b", "zz", "other")), info) == ({2, 3}, False)
    assert has_any_codes(Leaf("s", "not_null"), info) == ({1, 2, 3}, False)
    assert has_any_codes(Leaf("s", "is_null"), info) == ({1, 2, 3}, True)
    with pytest.raises(
        QuestionError, match=r"`==` is not offered for 's', which is of type set. Use one of: has_any"
    ):
        has_any_codes(Leaf("s", "==", "a"), info)


@pytest.mark.parametrize(
    ("type_", "op", "value", "message"),
    [
        (
            "integer",
            "has_any",
            [1],
            "`has_any` is not offered for 'a', which is of type integer. Use one of: ==",
        ),
        (
            "category",
            "<",
            "x",
            "`<` is not offered for 'a', which is of type category. Use one of: ==, !=, in",
        ),
        ("boolean", "between", [True, False], "not offered"),
        ("integer", "==", "ten", "'a' is of type integer; its literals are numbers"),
        ("integer", "==", True, "its literals are numbers"),
        ("decimal", "==", "1e5", "its literals are numbers"),
        ("date", "==", "31.01.2026", "its literals are dates such as 2026-01-31"),
        ("date", "==", 5, "its literals are dates"),
        ("category", "==", True, "its literals are text; put words such as yes and no in quotes"),
        ("boolean", "==", "yes", "its literals are true or false"),
    ],
)
def test_wrong_operators_and_types_are_refused(type_, op, value, message):
    with pytest.raises(QuestionError) as caught:
        values(op, value, AttributeInfo(type_, values=("x",)))

    assert message in str(caught.value)


def test_sets_are_joined_met_and_complemented():
    one, other = ValueSet(((1, 3), (8, 9)), null=True), ValueSet(((4, 8),))

    assert union([one, other]) == ValueSet(((1, 9),), null=True)
    assert intersection([one, other], (1, 10)) == ValueSet(((8, 8),))
    assert one.complement((1, 10)) == ValueSet(((4, 7), (10, 10)))
    assert 3 in one
    assert 5 not in one
    assert None in one


def test_within_is_what_the_members_say():
    draw = Random(5)
    for _ in range(2_000):
        one, other = (
            union(
                [
                    ValueSet(((low, low + draw.randrange(3)),))
                    for low in draw.sample(range(12), draw.randrange(5))
                ]
            )
            for _ in range(2)
        )
        one, other = (ValueSet(found.ranges, null=draw.random() < 0.3) for found in (one, other))
        expected = all(value in other for value in (None, *range(16)) if value in one)
        assert one.within(other) is expected, (one, other)
