"""What of a policy is attacked: its guarantees, and not its friction."""

from dataclasses import replace

import pytest

from cleanroom.redteam.errors import UnusablePolicyError
from cleanroom.redteam.lab import Lab, lab_home
from policies.codec import load_preset, policy_from_data, policy_to_data
from policies.combine import combine
from policies.model import PolicyDocument
from policies.rules import Attributes, Buyers, Purposes, Validity

FRICTION = (
    {"rule": "buyers", "allowed": ["org_somebody"]},
    {"rule": "validity", "from": "2030-01-01", "until": "2031-01-01"},
)


def changed(*rules: dict, without: str = "") -> PolicyDocument:
    data = policy_to_data(load_preset("standard", purposes=["research"]))
    kept = [
        rule for rule in data["rules"] if rule["rule"] not in (without, *(rule["rule"] for rule in rules))
    ]
    return policy_from_data({**data, "rules": [*kept, *rules]})


def test_a_lab_lies_where_it_is_told_to(tmp_path, monkeypatch):
    # A worker that kills it removes what lies there.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with lab_home() as home:
        assert home.parent == tmp_path
    assert not home.exists()


def lab_of(policy: PolicyDocument, tmp_path) -> Lab:
    return Lab(policy, 1, tmp_path)


def test_limits_are_the_bounds_of_each_account(tmp_path):
    lab = lab_of(load_preset("standard", purposes=["research"]), tmp_path)

    assert (lab.buyer_limit, lab.agency_limit, lab.total_limit) == pytest.approx(
        (0.1769, 0.3015, 0.5205), abs=5e-5
    )


def test_an_attacker_is_an_admitted_buyer_with_patience(tmp_path):
    rules = combine([lab_of(changed(*FRICTION), tmp_path).document])

    assert Buyers not in rules
    assert Validity not in rules
    assert combine([lab_of(changed(), tmp_path).document]) == rules


def test_the_labs_attributes_are_as_many_as_the_policy_lets_break_down_by(tmp_path):
    rule = {"rule": "attributes", "filter": "*", "breakdown": ["age", "city", "sex"], "blocked": ["sex"]}
    lab = lab_of(changed(rule), tmp_path)

    assert lab.attributes == ("area0", "area1")
    assert combine([lab.document])[Attributes].breakdown == {"area0", "area1"}
    assert len(lab_of(changed(), tmp_path).attributes) == 10


def test_a_policy_under_which_nothing_can_be_asked_is_refused(tmp_path):
    with pytest.raises(UnusablePolicyError, match="no rule: budget"):
        _ = lab_of(changed(without="budget"), tmp_path).document
    with pytest.raises(UnusablePolicyError, match="no purpose"):
        _ = lab_of(changed({"rule": "purposes", "allowed": []}), tmp_path).purpose


def test_rooms_are_made_below_the_home_and_burnt():
    with lab_home() as home:
        lab = lab_of(changed(), home)
        with lab.room() as one, lab.room() as other:
            assert one.home != other.home
            assert (one.home / "room.sqlite3").exists()
            place = one.home
        assert not place.exists()
    assert not home.exists()


def test_a_policy_looser_than_every_preset_can_be_attacked_too():
    loose = changed({"rule": "minimum_audience", "min": 0})
    with lab_home() as home, lab_of(loose, home).room() as room:
        provider = room.party("provider", "provider")
        schema = {"match_keys": {"email": {"column": "email"}}, "lawful_basis": "consent"}
        dataset_id = room.register(provider, "dataset", schema)
        with pytest.raises(Exception, match="declare"):
            # Only the attributes are wrong here: the override has let it through.
            room.rule(provider, dataset_id)


def test_the_same_seed_invents_the_same_people(tmp_path):
    policy = changed()

    assert Lab(policy, 1, tmp_path).random("a").random() == Lab(policy, 1, tmp_path).random("a").random()
    assert Lab(policy, 1, tmp_path).random("a").random() != Lab(policy, 2, tmp_path).random("a").random()
    assert replace(policy).name == "standard"
    assert Purposes in combine([Lab(policy, 1, tmp_path).document])
