"""Faults of a policy's text, each at its line."""

import pytest

from policies.codec import PRESETS, load_preset, policy_from_yaml, policy_to_yaml
from policies.located import read_located

TEXT = policy_to_yaml(load_preset("standard", purposes=["research"]))


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_policy_without_fault_is_read_as_always(preset: str) -> None:
    text = policy_to_yaml(load_preset(preset, purposes=["research"]))
    read = read_located(text)
    assert read.faults == ()
    assert read.document == policy_from_yaml(text)
    assert read.lines["budget"] == line_of(text, "rule: budget")


@pytest.mark.parametrize(
    ("before", "after", "at"),
    [
        ("min: 100\n", "min: -1\n", "min: -1"),
        ("days: 30", "days: 30\n  dayz: 3", "dayz"),
        ("rule: budget", "rule: bugdet", "bugdet"),
        ("v: 1", "v: 2", "v: 2"),
        ("name: standard", "name: ''", "name: ''"),
        ("name: standard", "name: standard\nother: 1", "other"),
        ("cap_rho_micro: 100000", "cap_rho_micro: 10000000", "rule: budget"),
        ("- rule: budget", "- {rule: rate}\n- rule: budget", "{rule: rate}"),
        ("days: 30", "days: [30", "days: [30"),
        ("name: standard", "name: &x standard", None),
    ],
)
def test_a_fault_is_named_at_its_line(before: str, after: str, at: str | None) -> None:
    text = TEXT.replace(before, after)
    read = read_located(text)
    if at is None:
        assert read.document is not None
        return
    assert read.document is None
    (fault,) = read.faults
    # A list that is never closed is noticed where the text ends, or on the line after it.
    slack = 2 if "[" in after else 0
    assert line_of(text, at) <= fault.line <= line_of(text, at) + slack


def test_all_faults_are_told_at_once_from_top_to_bottom() -> None:
    text = TEXT.replace("min: 100\n", "min: x\n").replace("max: 3", "max: 99").replace("days: 30", "days: 0")
    read = read_located(text)
    assert [fault.rule for fault in read.faults] == [
        "breakdown_depth",
        "minimum_audience",
        "difference_alarm",
    ]
    assert [fault.line for fault in read.faults] == sorted(fault.line for fault in read.faults)


@pytest.mark.parametrize(
    "text", ["", "- 1", "rules: 3", "v: 1\nname: x\nrules: [3]", "v: 1\nname: x\nrules: {}", "a: [*b]"]
)
def test_what_is_no_policy_at_all_has_one_fault(text: str) -> None:
    read = read_located(text)
    assert read.document is None
    assert len(read.faults) == 1
