"""Conditions that people type: what each line means, and that writing and reading are each other's opposite."""

import pytest
from hypothesis import given

from policies.condition import All, Condition, Leaf, Not
from policies.condition_text import condition_from_text, condition_to_text
from policies.errors import NestingError, QuestionError
from tests.properties.conditions import ATTRIBUTES, conditions


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("age < 30", Leaf("age", "<", 30)),
        ("age>=-3", Leaf("age", ">=", -3)),
        (" age = 5 ", Leaf("age", "==", 5)),
        ("age between 18 and 30", Leaf("age", "between", (18, 30))),
        ("age between 18, 30", Leaf("age", "between", (18, 30))),
        ("city in a, b", Leaf("city", "in", ("a", "b"))),
        ("city != 5", Leaf("city", "!=", "5")),
        ("bought has_any x", Leaf("bought", "has_any", ("x",))),
        ("adult == true", Leaf("adult", "==", True)),
        ("since > 2026-01-01", Leaf("since", ">", "2026-01-01")),
        ("city not_null", Leaf("city", "not_null")),
        ("age < 30\r\n\n city == a", All((Leaf("age", "<", 30), Leaf("city", "==", "a")))),
        ('{"not": {"attribute": "age", "op": "is_null"}}', Not(Leaf("age", "is_null"))),
    ],
)
def test_what_lines_mean(text: str, condition: Condition) -> None:
    assert condition_from_text(text, ATTRIBUTES) == condition


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "age", "age <", "city in a,,b", "age is_null 5", "{", "{}", "age between 1", "age ~ 5"],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(QuestionError):
        condition_from_text(text, ATTRIBUTES)


def test_a_hostile_nesting_is_refused_by_its_limit() -> None:
    with pytest.raises((NestingError, QuestionError)):
        condition_from_text('{"not":' * 100_000 + "{}" + "}" * 100_000, ATTRIBUTES)
    with pytest.raises(NestingError):
        condition_from_text('{"not":' * 100 + '{"attribute":"a","op":"is_null"}' + "}" * 100, ATTRIBUTES)


@pytest.mark.parametrize(
    "leaf",
    [
        Leaf("city", "==", "a, b"),
        Leaf("city", "in", ("a", "b, c")),
        Leaf("city", "==", ""),
        Leaf("city", "==", " a"),
        Leaf("age", "==", "5"),
        Leaf("city", "==", "a\nage < 5"),
        Leaf("a < b", "==", 5),
        Leaf("{", "==", 5),
    ],
)
def test_what_lines_cannot_say_is_written_as_json(leaf: Leaf) -> None:
    text = condition_to_text(leaf, ATTRIBUTES)
    assert condition_from_text(text, ATTRIBUTES) == leaf


@given(conditions)
def test_what_is_written_is_read_as_the_same(condition: Condition) -> None:
    assert condition_from_text(condition_to_text(condition, ATTRIBUTES), ATTRIBUTES) == condition
