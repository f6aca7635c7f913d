"""Breakdowns over values that nobody declared: how they are asked for, and what they cost."""

from dataclasses import replace
from math import exp

import pytest

from policies.attributes import AttributeInfo
from policies.canonical_question import canonical_question
from policies.decision import Deny, Permit
from policies.engine import decide
from policies.errors import QuestionError
from policies.l0 import l0
from policies.outline import hardly_differ, outline
from policies.question import question_from_dict
from policies.unknown_keys import delta_pico_for, key_threshold


@pytest.fixture
def attributes(attributes):
    return attributes | {
        "town": AttributeInfo("category", open=True),
        "device": AttributeInfo("category", open=True),
    }


def question(**plain):
    return question_from_dict({"purpose": "advertising", **plain}, dataset_id="ds_1", base_id="ds_2")


def cells(attributes, **plain):
    canonical = canonical_question(question(**plain), attributes)
    return l0(canonical, attributes, labels=0, match_keys=1)


def test_a_breakdown_over_unknown_keys_is_apart_from_the_others_and_one_more_cell(attributes):
    canonical = canonical_question(question(breakdowns=[["town"], ["age"], ["town"]]), attributes)
    assert (canonical.open_breakdown, canonical.breakdowns) == ("town", (("age",),))
    assert [asked.attributes for asked in canonical.asked_breakdowns] == [("age",)]
    assert canonical.tree["open_breakdown"] == "town"
    assert cells(attributes, breakdowns=[["age"], ["town"]]) == cells(attributes, breakdowns=[["age"]]) + 1
    # Neither the dataset's side nor a sum has such cells.
    for plain in ({"kind": "statistics", "sums": ["spend"]}, {"kind": "profile", "affinity": True}):
        assert cells(attributes, breakdowns=[["town"]], **plain) == cells(attributes, **plain) + 1


def test_the_difference_alarm_sees_it_come_and_go(attributes):
    without, within = (
        outline(canonical_question(question(breakdowns=[["age"], *more]), attributes))
        for more in ([], [["town"]])
    )
    assert set(within) - set(without) == {"breakdown:town"}
    assert hardly_differ(without, within)


def test_questions_without_one_keep_the_tree_they_had(attributes):
    canonical = canonical_question(question(breakdowns=[["age"]]), attributes)
    assert canonical.open_breakdown is None
    assert "open_breakdown" not in canonical.tree


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (
            {"breakdowns": [["town", "age"]]},
            "one open category at most, and by it alone.*breakdown of its own",
        ),
        ({"breakdowns": [["town"], ["age", "town"]]}, "by it alone"),
        ({"breakdowns": [["town"], ["device"]]}, "one open category at most"),
        (
            {"segments": {"s": {"attribute": "town", "op": "==", "value": "Омск"}}},
            "'town' is an open category.*no condition reads them.*`values`",
        ),
        ({"segments": {"s": {"not": {"attribute": "town", "op": "is_null"}}}}, "no condition reads them"),
        ({"kind": "statistics", "sums": ["town"]}, "cannot be added up"),
    ],
)
def test_what_would_tell_of_single_values_is_refused(attributes, plain, message):
    with pytest.raises(QuestionError, match=message):
        canonical_question(question(**plain), attributes)


def tail(sigma, least):
    """The exact chance that discrete Gaussian noise reaches a whole number."""
    reach = int(40 * sigma) + 2
    weights = {k: exp(-k * k / (2 * sigma * sigma)) for k in range(-reach, reach + 1)}
    return sum(weight for k, weight in weights.items() if k >= least) / sum(weights.values())


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0, 9.5, 73.1, 400.0])
@pytest.mark.parametrize("delta_pico", [1, 5_000, 10**9, 10**11])
def test_a_single_person_reaches_the_threshold_with_a_chance_of_at_most_delta(sigma, delta_pico):
    threshold = key_threshold(sigma, delta_pico)
    assert tail(sigma, threshold - 1) <= delta_pico / 10**12
    # And the price of rounding up is a step or two.
    assert tail(sigma, threshold - 4) > delta_pico / 10**12


def test_a_question_costs_an_equal_share_of_the_cap_rounded_up():
    assert [delta_pico_for(cap) for cap in (0, 1, 200, 201, 1_000_000)] == [0, 1, 1, 2, 5_000]


@pytest.fixture
def asked(attributes, request_of, grant):
    def build(left_delta_pico=5_000, **plain):
        plain = {"breakdowns": [["age"], ["town"]]} | plain
        with_delta = replace(grant, left_delta_pico=left_delta_pico)
        return request_of(question(**plain), attributes=attributes, grant=with_delta)

    return build


def test_delta_is_charged_for_unknown_keys_and_for_nothing_else(standard, asked):
    permit = decide([standard], asked())
    assert isinstance(permit, Permit)
    assert (permit.question.open_breakdown, permit.delta_pico) == ("town", 5_000)
    plain = decide([standard], asked(left_delta_pico=0, breakdowns=[["age"]]))
    assert isinstance(plain, Permit)
    assert plain.delta_pico == 0


@pytest.mark.parametrize(
    ("cap", "left", "rule", "limit"),
    [(1_000_000, 4_999, "delta_left", 4_999), (0, 5_000, "unknown_keys", ())],
)
def test_without_delta_the_breakdown_is_refused_and_leaving_it_out_is_offered(
    standard, asked, cap, left, rule, limit
):
    budget = next(one for one in standard.rules if one.tag == "budget")
    rules = tuple(replace(one, cap_delta_pico=cap) if one is budget else one for one in standard.rules)
    denied = decide([replace(standard, rules=rules)], asked(left_delta_pico=left))
    assert isinstance(denied, Deny)
    (reason,) = denied.reasons
    assert (reason.rule, reason.limit) == (rule, limit)
    assert reason.nearest is not None
    assert reason.nearest["question"]["breakdowns"] == [["age"]]


def test_the_owner_decides_whether_an_open_category_may_be_broken_down(standard, asked):
    rules = tuple(
        replace(one, blocked=frozenset({"town"})) if one.tag == "attributes" else one
        for one in standard.rules
    )
    denied = decide([replace(standard, rules=rules)], asked())
    assert isinstance(denied, Deny)
    assert [reason.rule for reason in denied.reasons] == ["attributes"]
