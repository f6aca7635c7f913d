"""Policies against each other."""

from dataclasses import replace

import pytest

from policies.codec import PRESETS, load_preset
from policies.diff import (
    Change,
    Direction,
    diff,
    permits_no_more,
    preset_above,
    unsafe_reason,
    with_unsafe_override,
)
from policies.model import PolicyDocument
from policies.rules import (
    Attributes,
    BaseFloor,
    Budget,
    DifferenceAlarm,
    MinimumAudience,
    OverlapRequired,
    Purposes,
    Rate,
    Unsafe,
)

STANDARD = load_preset("standard", purposes=["advertising"])


def without(document, *kinds):
    return replace(document, rules=tuple(rule for rule in document.rules if not isinstance(rule, kinds)))


def having(document, *rules):
    """The document with these rules in place of its own."""
    kept = without(document, *(type(rule) for rule in rules))
    return replace(kept, rules=(*kept.rules, *rules))


def test_equal_policies_do_not_differ_however_they_are_written():
    twice = replace(STANDARD, name="other", rules=(*reversed(STANDARD.rules), BaseFloor(5)))

    assert diff(STANDARD, twice) == ()


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (BaseFloor(1_000), BaseFloor(2_000), ("base_floor", "min", 1_000, 2_000, Direction.STRICTER)),
        (
            MinimumAudience(100),
            MinimumAudience(100, {"sum": 200}),
            ("minimum_audience", "outputs", None, {"sum": 200}, Direction.STRICTER),
        ),
        (
            Purposes(frozenset("a")),
            Purposes(frozenset("ab")),
            ("purposes", "allowed", ["a"], ["a", "b"], Direction.LOOSER),
        ),
        (
            Purposes(frozenset("a")),
            Purposes(frozenset("b")),
            ("purposes", "allowed", ["a"], ["b"], Direction.MIXED),
        ),
        (DifferenceAlarm(30), DifferenceAlarm(10), ("difference_alarm", "days", 30, 10, Direction.LOOSER)),
        (Unsafe("a"), Unsafe("b"), ("unsafe", "reason", "a", "b", Direction.MIXED)),
        (
            Budget(100, 300, 1_000),
            Budget(100, 300, 900),
            ("budget", "total_rho_micro", 1_000, 900, Direction.STRICTER),
        ),
        (
            Budget(100, 300, 1_000),
            Budget(100, 300, 1_000, window_days=90),
            ("budget", "window_days", None, 90, Direction.LOOSER),
        ),
    ],
)
def test_a_changed_limit_is_named_with_its_direction(old, new, change):
    assert diff(having(STANDARD, old), having(STANDARD, new)) == (Change(*change),)


def test_each_key_of_a_rule_has_a_direction_of_its_own():
    changes = diff(having(STANDARD, Rate(5, None, 100)), having(STANDARD, Rate(9, None, 50)))

    assert [(change.key, change.direction) for change in changes] == [
        ("per_minute", Direction.LOOSER),
        ("per_day", Direction.STRICTER),
    ]
    # A cap alone above the agency's would be no rule, so the rule's own direction stands for it.
    caps = diff(having(STANDARD, Budget(1, 2, 3)), having(STANDARD, Budget(5, 6, 7)))
    assert {change.direction for change in caps} == {Direction.LOOSER}


def test_rules_that_come_and_go():
    more = having(STANDARD, OverlapRequired(), Rate(per_day=5))

    assert diff(STANDARD, more) == (
        Change("overlap_required", "", None, None, Direction.STRICTER),
        Change("rate", "per_day", None, 5, Direction.STRICTER),
    )
    assert {change.direction for change in diff(more, STANDARD)} == {Direction.LOOSER}
    override = with_unsafe_override(STANDARD, "why")
    assert [change.direction for change in diff(STANDARD, override)] == [Direction.LOOSER]
    assert [change.direction for change in diff(override, STANDARD)] == [Direction.STRICTER]


def test_the_presets_stand_in_their_order():
    loaded = [load_preset(name, purposes=["advertising"]) for name in PRESETS]

    assert [preset_above(document) for document in loaded] == list(PRESETS)
    assert permits_no_more(loaded[0], loaded[1])
    assert permits_no_more(loaded[1], loaded[2])
    assert not permits_no_more(loaded[1], loaded[0])


@pytest.mark.parametrize(
    ("document", "preset"),
    [
        (having(STANDARD, BaseFloor(5_000)), "standard"),
        (having(STANDARD, Attributes(frozenset({"age"}), frozenset())), "standard"),
        (having(STANDARD, Rate(per_day=5), OverlapRequired()), "standard"),
        (without(STANDARD, DifferenceAlarm), "standard"),
        (having(STANDARD, BaseFloor(999)), "relaxed"),
        (having(STANDARD, BaseFloor(10)), None),
        (having(STANDARD, MinimumAudience(0)), None),
        (having(STANDARD, Budget(600_000, 1_500_000, 5_000_000)), None),
        (having(STANDARD, Budget(100_000, 300_000, 1_000_000, window_days=90)), None),
        (without(STANDARD, Budget), "strict"),
        (having(STANDARD, Purposes(frozenset())), "standard"),
    ],
)
def test_a_tightening_of_a_preset_is_known_as_one(document, preset):
    assert preset_above(document) == preset


def test_an_override_says_why_and_permits_nothing():
    override = with_unsafe_override(STANDARD, "pilot of three days")

    assert unsafe_reason(override) == "pilot of three days"
    assert unsafe_reason(STANDARD) is None
    assert permits_no_more(override, STANDARD)
    assert permits_no_more(STANDARD, override)
    assert Unsafe("a").meet(Unsafe("b")) == Unsafe("a; b")
    assert isinstance(override, PolicyDocument)
