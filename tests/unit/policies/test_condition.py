from datetime import date, datetime
from decimal import Decimal

import pytest

from policies.condition import (
    MAX_DEPTH,
    All,
    Any_,
    Leaf,
    Not,
    attributes_of,
    condition_to_data,
    parse_condition,
)
from policies.errors import NestingError, QuestionError

LEAF = {"attribute": "age", "op": "==", "value": 1}


def nested(levels):
    node = LEAF
    for _ in range(levels - 1):
        node = {"not": node}
    return node


def test_a_condition_is_read_and_written_back_unchanged():
    data = {"all": [LEAF, {"any": [LEAF, {"not": {"attribute": "city", "op": "is_null"}}]}]}

    tree = parse_condition(data)

    leaf = Leaf("age", "==", 1)
    assert tree == All((leaf, Any_((leaf, Not(Leaf("city", "is_null"))))))
    assert condition_to_data(tree) == data
    assert attributes_of(tree) == {"age", "city"}


def test_lists_are_written_back():
    data = {"attribute": "age", "op": "between", "value": [1, 2]}

    assert condition_to_data(parse_condition(data)) == data


def test_sixty_four_levels_are_read_and_sixty_five_are_not():
    parse_condition(nested(MAX_DEPTH))

    with pytest.raises(NestingError, match=r"64 levels deep. Flatten"):
        parse_condition(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("word", ["all", "any", "not"])
def test_ten_thousand_levels_are_refused_by_the_limit(word):
    node = LEAF
    for _ in range(10_000):
        node = {word: node if word == "not" else [node]}

    with pytest.raises(NestingError, match="64"):
        parse_condition(node)


def test_width_is_not_limited():
    assert len(parse_condition({"any": [LEAF] * 100_000}).items) == 100_000


def test_literals_have_one_spelling():
    def value(literal):
        return parse_condition({"attribute": "a", "op": "==", "value": literal}).value

    assert value(0.1) == "0.1"
    assert value(Decimal("1.50")) == "1.50"
    assert value(date(2026, 1, 31)) == "2026-01-31"
    assert value("e\u0301") == "é"
    assert value(True) is True


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("age > 3", "A condition is a mapping. Write {all:"),
        ({"all": [LEAF], "any": [LEAF]}, "`all` has no other key. Nest"),
        ({"all": []}, "`all` takes a list of at least one condition. Leave"),
        ({"any": "age"}, "`any` takes a list"),
        ({"attribute": "age", "op": "==", "value": 1, "x": 2}, "keys attribute, op and value. The first"),
        ({"attribute": 3, "op": "=="}, "keys attribute, op and value"),
        ({"attribute": "age", "op": "~", "value": 1}, "Unknown operator '~' on 'age'. Use one of: ==, !=, <"),
        ({"attribute": "age", "op": "is_null", "value": 1}, "`is_null` takes no value. Remove"),
        ({"attribute": "age", "op": "in", "value": 1}, "`in` on 'age' takes a list. Write"),
        ({"attribute": "age", "op": "in", "value": []}, "`in` on 'age' takes a list"),
        ({"attribute": "age", "op": "between", "value": [1]}, "takes 2 values, not 1. Write"),
        ({"attribute": "age", "op": "==", "value": "x" * 1001}, "passes 1000 characters"),
        (
            {"attribute": "age", "op": "==", "value": float("nan")},
            "is text, a finite number, a boolean or a date",
        ),
        ({"attribute": "age", "op": "==", "value": Decimal("1e999")}, "finite number"),
        ({"attribute": "age", "op": "==", "value": datetime(2026, 1, 1)}, "Write instants as dates"),
        ({"attribute": "age", "op": "==", "value": None}, "finite number"),
    ],
)
def test_bad_conditions_are_refused_with_the_limit_and_the_remedy(data, message):
    with pytest.raises(QuestionError) as caught:
        parse_condition(data)

    assert message in str(caught.value)
