"""The budget rule's delta and window: what a document leaves out, what it may say, and which of two is stricter."""

import pytest

from policies.codec import load_preset
from policies.combine import combine, limits_of
from policies.errors import PolicyFormatError
from policies.rules import Budget

CAPS = {"cap_rho_micro": 100_000, "agency_rho_micro": 300_000, "total_rho_micro": 1_000_000}


def deltas(rule):
    return rule.cap_delta_pico, rule.agency_delta_pico, rule.total_delta_pico


def test_delta_has_a_default_and_the_larger_caps_follow_from_the_smallest():
    assert deltas(Budget.from_data(CAPS)) == (1_000_000, 3_000_000, 10_000_000)
    assert deltas(Budget.from_data(CAPS | {"cap_delta_pico": 5})) == (5, 15, 50)
    assert deltas(Budget.from_data(CAPS | {"cap_delta_pico": 5, "total_delta_pico": 16})) == (5, 15, 16)
    assert deltas(Budget.from_data(CAPS | {"cap_delta_pico": 0})) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"cap_delta_pico": -1},
            "`cap_delta_pico` of the rule 'budget' is a whole number from 0 to 10000000000",
        ),
        ({"cap_delta_pico": 10**10 + 1}, "from 0 to 10000000000"),
        ({"cap_delta_pico": 1e-6}, "whole number"),
        ({"cap_delta_pico": 9, "agency_delta_pico": 8}, "an agency's at most the total"),
        ({"cap_delta_pico": 9, "total_delta_pico": 20}, "an agency's at most the total"),
        ({"window_days": 29}, "`window_days` of the rule 'budget' is a whole number from 30 to 3650"),
        ({"window_days": 3_651}, "from 30 to 3650"),
        ({"window_days": "90"}, "whole number"),
        ({"window_days": True}, "whole number"),
        ({"window": 90}, "Unknown key 'window'"),
    ],
)
def test_what_a_budget_cannot_say_is_named(changed, message):
    with pytest.raises(PolicyFormatError) as caught:
        Budget.from_data(CAPS | changed)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "stricter"),
    [(None, None, None), (None, 30, None), (90, None, None), (30, 90, 90), (60, 60, 60)],
)
def test_never_forgetting_is_stricter_than_forgetting_and_late_than_early(one, other, stricter):
    rules = [Budget.from_data(CAPS | {"window_days": days}) for days in (one, other)]
    assert rules[0].meet(rules[1]).window_days == rules[1].meet(rules[0]).window_days == stricter


def test_the_smaller_delta_wins():
    one, other = (
        Budget.from_data(CAPS | {"cap_delta_pico": cap, "total_delta_pico": total})
        for cap, total in ((5, 99), (9, 50))
    )
    assert deltas(one.meet(other)) == (5, 15, 50)


@pytest.mark.parametrize("window", [None, 365])
def test_what_is_written_is_read_again(window):
    rule = Budget.from_data(CAPS | {"cap_delta_pico": 7, "window_days": window})
    assert Budget.from_data(rule.to_data()) == rule


@pytest.mark.parametrize("name", ["strict", "standard", "relaxed"])
def test_presets_allow_one_in_a_million_and_forget_nothing(name):
    limits = limits_of(combine([load_preset(name, purposes=["p"])]))
    assert (limits.cap_delta_pico, limits.agency_delta_pico, limits.total_delta_pico) == (
        10**6,
        3 * 10**6,
        10**7,
    )
    assert limits.window_days is None
    assert [limits.grant_delta_pico(size) for size in "SML"] == [20_000, 200_000, 950_000]
