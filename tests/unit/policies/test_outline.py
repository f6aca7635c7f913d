"""Which questions hardly differ."""

import pytest

from policies.canonical_question import canonical_question
from policies.outline import MOST_PARTS, hardly_differ, outline
from policies.question import question_from_dict

MOSCOW = {"attribute": "city", "op": "==", "value": "Москва"}
PERM = {"attribute": "city", "op": "==", "value": "Пермь"}
BOTH = {"attribute": "city", "op": "in", "value": ["Пермь", "Москва"]}


def age(op, value):
    return {"attribute": "age", "op": op, "value": value}


def outlined(attributes, *conditions, **parts):
    source = {"purpose": "p", "segments": {f"s{at}": item for at, item in enumerate(conditions)}, **parts}
    return outline(canonical_question(question_from_dict(source, dataset_id="d", base_id="b"), attributes))


@pytest.mark.parametrize(
    ("one", "other", "hardly"),
    [
        ([MOSCOW], [MOSCOW], False),
        ([MOSCOW], [BOTH], True),
        ([MOSCOW], [PERM], False),
        ([MOSCOW], [{"all": [MOSCOW, {"attribute": "adult", "op": "==", "value": True}]}], True),
        ([age(">=", 18)], [age(">=", 19)], True),
        ([age("between", [18, 24])], [age("between", [18, 25])], True),
        ([age("between", [18, 24])], [age("between", [19, 25])], False),
        ([age(">=", 18)], [age("<", 18)], False),
        ([MOSCOW], [MOSCOW, PERM], False),
        ([{"all": [MOSCOW, age(">", 60)]}], [{"any": [MOSCOW, age(">", 60)]}], True),
        ([{"attribute": "bought", "op": "has_any", "value": ["tea"]}], [], False),
        ([{"attribute": "age", "op": "is_null"}], [], False),
    ],
)
def test_a_small_change_is_known(attributes, one, other, hardly):
    apart = outlined(attributes, *one), outlined(attributes, *other)

    assert hardly_differ(*apart) is hardly_differ(*reversed(apart)) is hardly


def test_breakdowns_sums_and_affinity_are_pieces_too(attributes):
    plain = outlined(attributes, kind="profile", breakdowns=[["age"]])

    assert hardly_differ(plain, outlined(attributes, kind="profile", breakdowns=[["age", "city"]]))
    assert hardly_differ(plain, outlined(attributes, kind="profile", breakdowns=[["age"]], affinity=True))
    assert hardly_differ(plain, outlined(attributes, breakdowns=[["age"]], sums=["spend"]))


def test_the_spelling_does_not_matter_and_length_is_bounded(attributes):
    assert outlined(attributes, BOTH) == outlined(attributes, {"any": [PERM, MOSCOW]})
    assert len(outlined(attributes, *(age(">", n) for n in range(900)))) == MOST_PARTS
