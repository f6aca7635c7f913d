"""Questions in words."""

from zoneinfo import ZoneInfo

import pytest

from policies.condition import OPS
from policies.question import question_from_dict, question_to_dict
from provider_portal.i18n import Writing
from provider_portal.questions import condition_words, in_words

EN, RU = (Writing(language, ZoneInfo("UTC")) for language in ("en", "ru"))
OLD = {"attribute": "age", "op": ">=", "value": 30}
WOMEN = {"attribute": "sex", "op": "==", "value": "F"}
MIDDLE = {"attribute": "age", "op": "between", "value": [40, 50]}


@pytest.mark.parametrize(
    ("condition", "english", "russian"),
    [
        (OLD, "age is at least 30", "age не меньше 30"),
        ({"all": [OLD, WOMEN]}, "age is at least 30 and sex is F", "age не меньше 30 и sex равно F"),
        (
            {"any": [{"all": [OLD, WOMEN]}, {"not": MIDDLE}]},
            "(age is at least 30 and sex is F) or not (age is from 40 to 50)",
            "(age не меньше 30 и sex равно F) или не (age от 40 до 50)",
        ),
        ({"attribute": "vip", "op": "==", "value": True}, "vip is yes", "vip равно да"),
        (
            {"attribute": "x", "op": "in", "value": ["a", "100%s"]},
            "x is one of: a, 100%s",
            "x из списка: a, 100%s",
        ),
        ({"attribute": "50%(s", "op": "is_null"}, "50%(s has no value", "у «50%(s» нет значения"),
    ],
)
def test_a_condition_in_words(condition, english: str, russian: str) -> None:
    assert condition_words(condition, EN) == english
    assert condition_words(condition, RU) == russian


def test_every_operator_has_words_that_name_all_there_is() -> None:
    for op in OPS:
        value = [3, 5] if op in ("between", "in", "not_in", "has_any") else 3
        words = condition_words({"attribute": "age", "op": op, "value": value}, EN)
        assert "age" in words
        assert op in ("is_null", "not_null") or "3" in words


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        ({}, "normal"),
        ({"precision": "fine"}, "fine"),
        ({"half_width": 12_000}, "12,000 people either side"),
        ({"percent": 5, "expected": 20_000}, "5% of 20,000 people either side"),
    ],
)
def test_a_whole_question(precision, words: str) -> None:
    asked = question_from_dict(
        {
            "kind": "statistics",
            "purpose": "p",
            "segments": {"old": OLD},
            "breakdowns": [["sex", "city"]],
            "sums": ["spend"],
        }
        | precision,
        dataset_id="ds_1",
        base_id="ds_2",
    )
    told = in_words(question_to_dict(asked), EN)
    assert told.segments == (("old", "age is at least 30"),)
    assert told.breakdowns == (("sex", "city"),)
    assert (told.sums, told.affinity) == (("spend",), False)
    assert told.reads == ("age", "city", "sex", "spend")
    assert told.precision == words
