"""A policy as a form and back; nothing is lost on the way, and what is wrong is said of its field."""

import pytest

from policies.codec import PRESETS, load_preset, policy_from_data, policy_to_data
from policies.combine import combine
from policies.described import DESCRIBED
from policies.rules import REGISTRY
from provider_portal.policy_form import fields_of, read_form

FULL = policy_from_data(
    {
        "v": 1,
        "name": "everything",
        "rules": [
            {"rule": "purposes", "allowed": ["advertising", "цель"]},
            {"rule": "analyses", "allowed": ["overlap", "profile"]},
            {"rule": "attributes", "filter": "*", "breakdown": ["age"], "sum": [], "blocked": ["income"]},
            {"rule": "base_floor", "min": 1000},
            {"rule": "minimum_audience", "min": 100, "outputs": {"sum": 500, "segment": 200}},
            {
                "rule": "budget",
                "cap_rho_micro": 1000,
                "agency_rho_micro": 3000,
                "total_rho_micro": 10000,
                "window_days": 400,
            },
            {"rule": "breakdown_depth", "max": 0},
            {"rule": "literals", "allowed": {"age": {"step": 5}, "city": ["Москва", "Казань"]}},
            {"rule": "overlap_required"},
            {"rule": "rounding", "to": 10},
            {"rule": "validity", "from": "2026-12-01", "until": "2027-12-01T09:30:00Z"},
            {"rule": "buyers", "allowed": "*", "blocked": ["org_1"]},
            {"rule": "sectors", "allowed": ["retail", "travel"], "blocked": ["travel"]},
            {"rule": "rate", "per_minute": 10},
            {"rule": "approval", "of": "template", "except": ["match_test"]},
            {"rule": "difference_alarm", "days": 30},
            {"rule": "quota", "max": 500},
            {"rule": "direct"},
            {"rule": "ready_made", "segments": [{"attribute": "age", "op": ">=", "value": 45}]},
            {"rule": "unsafe", "reason": "a test"},
        ],
    }
)


def test_the_full_policy_holds_every_rule() -> None:
    assert {rule.tag for rule in FULL.rules} == set(REGISTRY.tags) == set(DESCRIBED)


@pytest.mark.parametrize("document", [FULL, *(load_preset(name, purposes=["a"]) for name in PRESETS)])
def test_a_policy_comes_back_from_its_form_as_it_was(document) -> None:
    read = read_form(fields_of(document))
    assert read.faults == ()
    assert read.document is not None
    assert combine([read.document]) == combine([document])
    assert read.document.name == document.name
    # Each rule once, so that a second way there and back changes nothing at all.
    again = read_form(fields_of(read.document)).document
    assert again is not None
    assert policy_to_data(again) == policy_to_data(read.document)


def changed(**fields: str | None):
    form = fields_of(load_preset("standard", purposes=["a"]))
    for keyword, value in fields.items():
        name = keyword.replace("__", ".")
        if value is None:
            del form[name]
        else:
            form[name] = value
    return read_form(form)


@pytest.mark.parametrize("typed", ["x", "-1", "1.5", "1e3", "9" * 30, "", "１０", "0x10"])
def test_a_number_that_is_none_is_told_at_its_field_with_its_limits(typed: str) -> None:
    read = changed(base_floor__min=typed)
    assert read.document is None
    (fault,) = read.faults
    assert (fault.field, fault.low, fault.high) == ("base_floor.min", 0, 1_000_000_000)


def test_a_rule_that_contradicts_itself_is_told_at_the_rule() -> None:
    read = changed(budget__cap_rho_micro="999999999")
    (fault,) = read.faults
    assert (fault.field, fault.code) == ("budget", "policies.format")
    assert "at most an agency's" in fault.message


def test_all_faults_are_told_at_once() -> None:
    read = changed(base_floor__min="x", name=" ", literals__allowed="{a: [", validity__from="tomorrow")
    assert {fault.field for fault in read.faults} == {
        "base_floor.min",
        "name",
        "literals.allowed",
        "validity",
    }


def test_groups_of_digits_may_be_spaced() -> None:
    read = changed(base_floor__min="1\u00a0000")
    assert read.document is not None
    assert combine([read.document])[REGISTRY.find("base_floor")].to_data() == {"min": 1000}


def test_an_optional_rule_without_entries_is_left_out() -> None:
    read = changed(difference_alarm__days="", breakdown_depth__max=None, approval__of="")
    assert read.document is not None
    tags = {rule.tag for rule in read.document.rules}
    assert not tags & {"difference_alarm", "breakdown_depth", "approval", "buyers", "sectors", "unsafe"}


def test_names_are_taken_from_ticks_and_from_what_is_typed() -> None:
    form = fields_of(load_preset("standard", purposes=["a"])) | {"purposes.allowed.more": " b , c\nd,,"}
    read = read_form(form)
    assert read.document is not None
    assert combine([read.document])[REGISTRY.find("purposes")].to_data() == {"allowed": ["a", "b", "c", "d"]}


def test_nobody_allowed_is_not_everybody() -> None:
    form = fields_of(load_preset("standard", purposes=["a"]))
    del form["buyers.allowed.all"]
    read = read_form(form)
    assert read.document is not None
    assert combine([read.document])[REGISTRY.find("buyers")].to_data() == {"allowed": [], "blocked": []}
