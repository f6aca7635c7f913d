"""Averaging: the same question in a hundred spellings, in the hope of a hundred draws of noise."""

import itertools

from cleanroom.analyses.types import Outcome
from cleanroom.release import answers

YOUNG = {"attribute": "age", "op": "<", "value": 30}
WOMEN = {"attribute": "sex", "op": "==", "value": "F"}


def spellings():
    """One meaning, many texts."""
    young = [
        YOUNG,
        {"attribute": "age", "op": "<=", "value": 29},
        {
            "not": {
                "any": [{"attribute": "age", "op": ">=", "value": 30}, {"attribute": "age", "op": "is_null"}]
            }
        },
        {"all": [YOUNG, {"attribute": "age", "op": "<", "value": 40}]},
        {"any": [YOUNG, {"all": [YOUNG, {"attribute": "age", "op": ">", "value": 3}]}]},
    ]
    women = [
        WOMEN,
        {"attribute": "sex", "op": "in", "value": ["F", "F"]},
        {"attribute": "sex", "op": "in", "value": ["F", "nobody has this"]},
        {"not": {"not": WOMEN}},
    ]
    for at, (one, other) in enumerate(itertools.product(young, women)):
        yield {f"name {at}": {"all": [one, other]}}
        yield {f"name {at}": {"all": [other, {"all": [one]}]}}


def draws(stage, grant):
    asked = [stage.ask(grant, segments=segments, precision="rough") for segments in spellings()]
    return asked, {answer.figures[0].value for answer in asked if answer.figures}


def test_forty_spellings_are_one_draw_and_one_charge(make_room):
    stage = make_room()
    grant = stage.grant("M")

    asked, values = draws(stage, grant)

    assert len(asked) == 40
    assert [answer.outcome for answer in asked] == [Outcome.RELEASED] + [Outcome.STORED] * 39
    assert len(values) == 1
    assert stage.left(grant) == grant.rho_micro - asked[0].charged_micro


def test_without_a_canonical_key_every_spelling_is_a_draw_and_only_the_budget_stops_them(
    make_room, monkeypatch
):
    serial = itertools.count()
    monkeypatch.setattr(answers.Asked, "key", property(lambda _self: f"{next(serial):064}"))
    stage = make_room()
    grant = stage.grant("S")

    asked, values = draws(stage, grant)

    released = [answer for answer in asked if answer.outcome is Outcome.RELEASED]
    # Twenty draws of sigma 100: ten of them twice is less likely than once in 10^15 runs.
    assert len(values) > 10
    assert len(released) == grant.rho_micro // 100 == 20
    assert [reason.rule for reason in asked[-1].reasons] == ["budget_left"]


def test_a_finer_grid_and_dummy_conditions_are_paid_for(make_room):
    stage = make_room()
    grant = stage.grant("S")
    first = stage.ask(grant, precision="rough")

    # A condition that everybody meets, and names nobody: another tree, and so another price.
    dummy = {"any": [{"attribute": "age", "op": "is_null"}, {"attribute": "age", "op": "not_null"}]}
    again = stage.ask(grant, segments={"all": dummy}, precision="rough")

    assert again.outcome is Outcome.RELEASED
    assert stage.left(grant) == grant.rho_micro - first.charged_micro - again.charged_micro
