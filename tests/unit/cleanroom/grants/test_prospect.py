"""What a rule would mean, against the figures that the docs and the gate give."""

from dataclasses import replace

import pytest

from cleanroom.grants.prospect import prospect
from cleanroom.release.gate import plan_mechanism
from policies.codec import load_preset
from policies.decision import Gap
from policies.model import PolicyDocument
from policies.rules import Budget, MinimumAudience, Rounding


def rule(preset: str = "standard", *more) -> PolicyDocument:
    document = load_preset(preset, purposes=["a"])
    return PolicyDocument("x", (*document.rules, *more))


# The table of docs/how-to/choose-a-policy.md.
@pytest.mark.parametrize(
    ("preset", "normal", "advertiser", "total"),
    [("strict", 113, 0.10, 0.30), ("standard", 62, 0.18, 0.52), ("relaxed", 28, 0.38, 0.89)],
)
def test_presets_mean_what_the_guide_says(preset: str, normal: int, advertiser: float, total: float) -> None:
    told = prospect(rule(preset))
    level = told.level("normal")
    assert (level.half_width, level.questions) == (normal, {"S": 4, "M": 40, "L": 190})
    assert round(told.bounds["advertiser"].advantage, 2) == advertiser
    assert round(told.bounds["total"].advantage, 2) == total


def test_what_is_withheld_is_what_the_gate_withholds() -> None:
    level = prospect(rule(), sizes=(50, 174, 1000)).level("normal")
    mechanism = plan_mechanism(l0=1, rho_micro=level.rho_micro, minimum_audience=100, round_to=1)
    assert level.shown_from == mechanism.threshold
    assert level.half_width == mechanism.half_width
    few, edge, many = (seen.withheld for seen in level.seen)
    assert few > 0.99
    assert 0.45 < edge < 0.55
    assert many < 1e-9


def test_rounding_and_larger_minimums_count() -> None:
    plain = prospect(rule())
    coarse = prospect(rule("standard", Rounding(100), MinimumAudience(100, {"overlap": 400})))
    assert coarse.level("normal").half_width == plain.level("normal").half_width + 50
    assert coarse.level("normal").shown_from == plain.level("normal").shown_from + 300


def test_the_tighter_budget_of_the_same_people_holds() -> None:
    alone = prospect(rule("relaxed"))
    joined = prospect(rule("relaxed"), beside=[rule("strict")])
    assert (alone.narrowed, joined.narrowed) == (False, True)
    assert joined.bounds == prospect(rule("strict")).bounds
    # Only the budget is shared: the other's minimum audience is its own affair.
    assert joined.limits.minimum_audience == alone.limits.minimum_audience
    assert prospect(rule("strict"), beside=[rule("relaxed")]).narrowed is False


def test_a_question_that_is_too_dear_is_said_to_be() -> None:
    small = Budget(100_000, 300_000, 1_000_000, question_max_percent=1)
    told = prospect(rule("standard", small))
    assert [level.payable for level in told.levels] == [True, True, False]
    assert told.level("fine").questions == {"S": 0, "M": 0, "L": 0}


def test_without_a_required_rule_nothing_is_promised() -> None:
    whole = rule()
    part = replace(whole, rules=tuple(one for one in whole.rules if not isinstance(one, Budget)))
    assert prospect(part) == Gap(("budget",))
    assert prospect(whole, beside=[part]) == prospect(whole)
