from datetime import UTC, datetime

import pytest

from policies.codec import load_preset, policy_from_data, policy_from_yaml, policy_to_data, policy_to_yaml
from policies.combine import combine, limits_of
from policies.condition import parse_condition
from policies.errors import NestingError, PolicyFormatError
from policies.rules import (
    Approval,
    Attributes,
    BaseFloor,
    Budget,
    Buyers,
    Cuts,
    MinimumAudience,
    Purposes,
    Quota,
    Rate,
    ReadyMade,
    Rounding,
    Validity,
)
from policies.rules.base import REGISTRY, Registry
from policies.text import MAX_TEXT_BYTES, DocumentError, load_yaml

EVERY_RULE = """
v: 1
name: мой
rules:
  - {rule: purposes, allowed: [advertising]}
  - {rule: analyses, allowed: [overlap]}
  - {rule: attributes, filter: "*", breakdown: [age], sum: [spend], blocked: [city]}
  - {rule: breakdown_depth, max: 2}
  - {rule: base_floor, min: 1000}
  - {rule: minimum_audience, min: 100, outputs: {sum: 500, segment: 200, label: 100}}
  - {rule: rounding, to: 10}
  - {rule: budget, cap_rho_micro: 100, agency_rho_micro: 300, total_rho_micro: 1000, small_percent: 3}
  - {rule: validity, from: 2026-01-31, until: 2027-01-31T03:00:00+03:00}
  - {rule: buyers, allowed: "*", blocked: [org_x]}
  - {rule: sectors, allowed: [retail, travel], blocked: [gambling]}
  - {rule: overlap_required}
  - {rule: literals, allowed: {age: {step: 5}, city: [Москва, "7"], born: {values: [2000-01-01], step: 7}, x: []}}
  - {rule: rate, per_minute: 10, per_day: 500}
  - {rule: approval, of: template, except: [match_test]}
  - {rule: difference_alarm, days: 30}
  - {rule: unsafe, reason: for the tests}
  - {rule: quota, max: 12}
  - {rule: direct}
  - {rule: ready_made, segments: [{attribute: age, op: ">=", value: 20}, {attribute: age, op: not_null}]}
"""


def rule(**data):
    return policy_from_data({"v": 1, "name": "x", "rules": [data]}).rules[0]


def test_every_rule_survives_yaml_and_plain_data():
    document = policy_from_yaml(EVERY_RULE)

    assert policy_from_yaml(policy_to_yaml(document)) == document
    assert policy_from_data(policy_to_data(document)) == document
    assert [item.tag for item in document.rules] == list(dict.fromkeys(item.tag for item in document.rules))
    assert {item.tag for item in document.rules} == set(REGISTRY.tags)
    assert document.rules[2] == Attributes(
        None, frozenset({"age"}), frozenset({"city"}), frozenset({"spend"})
    )
    assert document.rules[5] == MinimumAudience(100, {"segment": 200, "sum": 500})
    assert document.rules[6] == Rounding(10)
    assert document.rules[7].size_percent == {"S": 3, "M": 20, "L": 95}
    utc = datetime(2026, 1, 31, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)
    assert document.rules[8] == Validity(*utc)
    assert document.rules[9] == Buyers(None, frozenset({"org_x"}))
    assert document.rules[12].allowed == {
        "age": Cuts(None, 5),
        "city": Cuts(frozenset({"Москва", "7"})),
        "born": Cuts(frozenset({"2000-01-01"}), 7),
        "x": Cuts(frozenset()),
    }
    assert document.rules[13] == Rate(10, None, 500)
    assert document.rules[14] == Approval("template", frozenset({"match_test"}))
    assert document.rules[17] == Quota(12)
    segments = {"attribute": "age", "op": ">=", "value": 20}, {"attribute": "age", "op": "not_null"}
    assert document.rules[19] == ReadyMade(frozenset(parse_condition(segment) for segment in segments))


@pytest.mark.parametrize(
    ("name", "cap", "minimum", "floor"),
    [("strict", 30_000, 500, 5_000), ("standard", 100_000, 100, 1_000), ("relaxed", 500_000, 50, 200)],
)
def test_presets_hold_the_designs_numbers(name, cap, minimum, floor):
    rules = combine([load_preset(name, purposes=["advertising"])])
    limits = limits_of(rules)

    assert (limits.cap_rho_micro, limits.minimum_audience, rules[BaseFloor].min) == (cap, minimum, floor)
    assert (limits.agency_rho_micro, limits.total_rho_micro) == (3 * cap, 10 * cap)
    assert (limits.public_percent, limits.round_to) == (5, 1)
    assert limits.question_max_rho_micro == cap // 4


def test_a_preset_takes_the_owners_purposes_and_attributes():
    document = load_preset("standard", purposes=["a", "b"], attributes=["age"], blocked=["city"])

    assert document.rules[0] == Purposes(frozenset({"a", "b"}))
    age, city = frozenset({"age"}), frozenset({"city"})
    assert document.rules[1] == Attributes(age, age, city, age)
    assert load_preset("strict", purposes=["a"]).rules[1] == Attributes(None, None, sum=frozenset())


def test_unknown_presets_and_missing_purposes_are_refused():
    with pytest.raises(PolicyFormatError, match="Use one of: strict, standard, relaxed"):
        load_preset("lax", purposes=["a"])
    with pytest.raises(PolicyFormatError, match="Name at least one purpose"):
        load_preset("strict", purposes=[])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "has the keys v, name and rules"),
        ({"v": 1, "name": "x"}, "has the keys v, name and rules"),
        ({"v": 2, "name": "x", "rules": []}, "documents of version 1"),
        ({"v": True, "name": "x", "rules": []}, "documents of version 1"),
        ({"v": 1, "name": "", "rules": []}, "text of 1 to 200"),
        ({"v": 1, "name": "x", "rules": {}}, "`rules` is a list of mappings"),
        ({"v": 1, "name": "x", "rules": ["purposes"]}, "`rules` is a list of mappings"),
        (
            {"v": 1, "name": "x", "rules": [{"rule": "magic"}]},
            "Unknown rule 'magic'; an unknown rule refuses",
        ),
        ({"v": 1, "name": "x", "rules": [{"rule": ["a"]}]}, "Unknown rule"),
    ],
)
def test_bad_documents_are_refused(data, message):
    with pytest.raises(PolicyFormatError) as caught:
        policy_from_data(data)

    assert message in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rule": "base_floor", "min": 5, "mni": 6}, "Unknown key 'mni' in the rule 'base_floor'. Use: min"),
        ({"rule": "base_floor"}, "`min` of the rule 'base_floor' is a whole number from 0"),
        ({"rule": "base_floor", "min": True}, "is a whole number"),
        ({"rule": "minimum_audience", "min": -1}, "is a whole number from 0"),
        ({"rule": "rounding", "to": 0}, "is a whole number from 1 to 1000000"),
        ({"rule": "breakdown_depth", "max": 17}, "is a whole number from 0 to 16"),
        ({"rule": "purposes", "allowed": "all"}, "`allowed` of the rule 'purposes' is a list of names. Put"),
        ({"rule": "purposes", "allowed": [1]}, "is a list of names"),
        ({"rule": "analyses", "allowed": ["dump"]}, "Unknown kind of analysis in a policy. Use: match_test"),
        ({"rule": "validity", "from": "soon"}, "are written as 2026-01-31"),
        ({"rule": "budget", "cap_rho_micro": 1}, "`agency_rho_micro` of the rule 'budget'"),
        (
            {"rule": "budget", "cap_rho_micro": 5, "agency_rho_micro": 4, "total_rho_micro": 9},
            "at most an agency's, and an agency's at most the total. The presets use 1, 3 and 10",
        ),
        (
            {
                "rule": "budget",
                "cap_rho_micro": 1,
                "agency_rho_micro": 1,
                "total_rho_micro": 1,
                "question_max_percent": 26,
            },
            "`question_max_percent` of the rule 'budget' is a whole number from 1 to 25",
        ),
        (
            {"rule": "overlap_required", "to": 1},
            "Unknown key 'to' in the rule 'overlap_required'. The rule has",
        ),
        ({"rule": "sectors", "blocked": ["bets"]}, "Unknown sector 'bets' in the rule 'sectors'. Use: agric"),
        ({"rule": "rate"}, "The rule 'rate' limits nothing. Give one of: per_minute, per_hour, per_day"),
        ({"rule": "rate", "per_day": 0}, "`per_day` of the rule 'rate' is a whole number from 1 to 10000"),
        ({"rule": "approval"}, "`of` of the rule 'approval' is not known. Use: question or template"),
        (
            {"rule": "approval", "of": "question", "except": ["dump"]},
            "`except` of the rule 'approval' names an unknown kind of analysis. Use: match_test",
        ),
        ({"rule": "difference_alarm", "days": 0}, "`days` of the rule 'difference_alarm' is a whole number"),
        ({"rule": "unsafe", "reason": "  "}, "`reason` of the rule 'unsafe' is text of 1 to 500 characters"),
        ({"rule": "literals"}, "`allowed` of the rule 'literals' maps attributes to literals. Write"),
        ({"rule": "literals", "allowed": {"age": 5}}, "The literals of 'age' are a list, or `values` and"),
        ({"rule": "literals", "allowed": {"age": {"step": 0}}}, "`step` of the rule 'literals' is a whole"),
        (
            {"rule": "literals", "allowed": {"age": {"steps": 1}}},
            "Unknown key 'steps' in the rule 'literals'",
        ),
        ({"rule": "literals", "allowed": {"age": {"values": 1}}}, "The literals of 'age' are a list of at"),
        ({"rule": "literals", "allowed": {"age": [None]}}, "A literal for 'age' is text, a finite number"),
        (
            {"rule": "minimum_audience", "min": 100, "outputs": {"sum": 99}},
            "`sum` of the rule 'minimum_audience' is a whole number from 100",
        ),
        (
            {"rule": "minimum_audience", "min": 1, "outputs": [1]},
            "`outputs` of the rule 'minimum_audience' maps",
        ),
        (
            {"rule": "minimum_audience", "min": 1, "outputs": {"cell": 5}},
            "Unknown key 'cell' in the rule 'minimum_audience'. Use: overlap, key",
        ),
    ],
)
def test_bad_rules_are_refused_with_the_limit(data, message):
    with pytest.raises(PolicyFormatError) as caught:
        rule(**data)

    assert message in str(caught.value)


def test_absent_attribute_lists_allow_none():
    assert rule(rule="attributes") == Attributes(frozenset(), frozenset(), frozenset())


def test_a_tag_is_given_once_and_for_good():
    with pytest.raises(ValueError, match="taken for good"):
        REGISTRY.register(Budget)
    assert Registry().register(Budget) is Budget


def test_yaml_nested_ten_thousand_deep_is_refused_by_the_limit():
    for text in ("[" * 10_000, "{a: " * 10_000, "- " * 10_000, '{"not": ' * 10_000 + "1" + "}" * 10_000):
        with pytest.raises(NestingError, match=r"256 levels deep. Flatten"):
            load_yaml(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x", "Anchors and aliases are not read. Write"),
        ("a: [1\nb: 2", "is not valid YAML near line 2"),
        ("a: !!python/object/apply:os.system [ls]", "is not valid YAML"),
        ("a: 2026-13-45", "a date or a number that does not exist"),
        ("a: " + "9" * 5_000, "a date or a number that does not exist"),
        ("x" * (MAX_TEXT_BYTES + 1), "longer than 16777216 characters. Split"),
        ("a: \x00", "is not valid YAML"),
    ],
)
def test_hostile_yaml_is_refused(text, message):
    with pytest.raises(DocumentError) as caught:
        load_yaml(text)

    assert message in str(caught.value)
    assert caught.value.remedy


def test_yaml_and_json_are_read():
    assert load_yaml("a: [1, {b: ж}]") == load_yaml('{"a": [1, {"b": "ж"}]}') == {"a": [1, {"b": "ж"}]}
