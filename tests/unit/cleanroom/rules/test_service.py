import unicodedata

import pytest

from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.rules.errors import (
    NotYourDatasetError,
    UndeclaredAttributeError,
    UnknownPolicyError,
    UntestedPolicyError,
)
from cleanroom.rules.service import Rules
from cleanroom.rules.types import RedTeamVerdict, policy_sha256
from policies.codec import load_preset
from policies.diff import with_unsafe_override
from policies.model import PolicyDocument
from policies.rules import BaseFloor, Cuts, Literals

STANDARD = load_preset("standard", purposes=["advertising"])
STRICT = load_preset("strict", purposes=["advertising"])
# A floor below that of every preset.
OPEN = PolicyDocument(
    "open", (*(rule for rule in STANDARD.rules if not isinstance(rule, BaseFloor)), BaseFloor(1))
)


@pytest.fixture
def rules(noon):
    return Rules(noon)


def test_a_dataset_without_a_policy_has_none(db, rules):
    with db.reading() as tx:
        assert rules.current(tx, "ds_1") is None
        assert rules.history(tx, "ds_1") == ()


def test_versions_follow_one_another_and_stay(db, rules):
    with db.transaction() as tx:
        first = rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1")
        second = rules.set_policy(tx, "ds_1", STRICT, organisation_id="org_1")
        other = rules.set_policy(tx, "ds_2", STANDARD, organisation_id="org_1")

    assert (first.number, second.number, other.number) == (1, 2, 1)
    assert first.sha256 == other.sha256 != second.sha256
    with db.reading() as tx:
        assert rules.current(tx, "ds_1") == second
        assert rules.history(tx, "ds_1") == (first, second)
        assert rules.policy(tx, first.id).document == STANDARD


def test_the_same_document_again_is_no_new_version(db, rules):
    with db.transaction() as tx:
        first = rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1")
        assert rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1") == first
        assert [event.kind for event in tx.events] == ["rules.policy_set"]


def test_an_unknown_policy_is_an_error(db, rules):
    with db.reading() as tx, pytest.raises(UnknownPolicyError, match="no policy with this id"):
        rules.policy(tx, "pol_none")


def test_the_kill_switch_is_seen_by_other_transactions_and_logged_when_it_changes(db, rules):
    with db.transaction() as tx:
        assert not rules.stopped(tx, "ds_1")
        rules.resume(tx, "ds_1", organisation_id="org_1")
        rules.stop(tx, "ds_1", organisation_id="org_1")
        rules.stop(tx, "ds_1", organisation_id="org_1")
        assert [event.kind for event in tx.events] == ["rules.dataset_stopped"]
    with db.reading() as tx:
        assert rules.stopped(tx, "ds_1")
        assert not rules.stopped(tx, "ds_2")
    with db.transaction() as tx:
        rules.resume(tx, "ds_1", organisation_id="org_1")
        assert not rules.stopped(tx, "ds_1")


def test_a_misspelt_blocked_attribute_is_refused_because_it_would_block_nothing(db, rules):
    with (
        db.transaction() as tx,
        pytest.raises(UndeclaredAttributeError, match="does not declare: Age") as refused,
    ):
        rules.set_policy(
            tx, "ds_1", load_preset("standard", purposes=["ads"], blocked=["Age"]), organisation_id="org_1"
        )
    assert "age" in refused.value.remedy


def test_names_are_compared_in_one_unicode_form(db, rules):
    decomposed = unicodedata.normalize("NFD", "край")
    assert decomposed != "край"

    with db.transaction() as tx:
        version = rules.set_policy(
            tx,
            "ds_1",
            load_preset("standard", purposes=["ads"], blocked=[decomposed]),
            organisation_id="org_1",
        )

    assert any("край" in getattr(rule, "blocked", ()) for rule in version.document.rules)


def test_there_is_no_policy_without_a_dataset(db, rules):
    with db.transaction() as tx, pytest.raises(DatasetNotFoundError):
        rules.set_policy(tx, "ds_none", STANDARD, organisation_id="org_1")


def test_a_misspelt_attribute_of_any_rule_is_refused(db, rules):
    document = PolicyDocument("x", (*STANDARD.rules, Literals({"Age": Cuts(None, 5)})))

    with db.transaction() as tx, pytest.raises(UndeclaredAttributeError, match="does not declare: Age"):
        rules.set_policy(tx, "ds_1", document, organisation_id="org_1")


def test_only_the_owner_sets_a_rule_or_stops_a_dataset(db, rules):
    with db.transaction() as tx:
        for act in (
            lambda: rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_2"),
            lambda: rules.stop(tx, "ds_1", organisation_id="org_2"),
            lambda: rules.resume(tx, "ds_1", organisation_id="org_2"),
        ):
            with pytest.raises(NotYourDatasetError, match="Only the dataset's owner"):
                act()
        assert rules.current(tx, "ds_1") is None
        assert not rules.stopped(tx, "ds_1")
        assert tx.events == []


def verdict(document, *, resists=True):
    return RedTeamVerdict(resists, "A" if resists else "F", policy_sha256(document), "ab" * 32)


def test_a_version_shows_the_preset_it_tightens(db, rules):
    with db.transaction() as tx:
        version = rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1")

    assert (version.preset, version.report_sha256, version.unsafe) == ("standard", None, None)


@pytest.mark.parametrize("found", [None, verdict(OPEN, resists=False)])
def test_a_policy_looser_than_the_presets_needs_a_verdict_that_it_resists(db, rules, found):
    with (
        db.transaction() as tx,
        pytest.raises(UntestedPolicyError, match="more than every preset") as refused,
    ):
        rules.set_policy(tx, "ds_1", OPEN, organisation_id="org_1", verdict=found)
    assert "redteam" in refused.value.remedy
    with db.transaction() as tx:
        version = rules.set_policy(tx, "ds_1", OPEN, organisation_id="org_1", verdict=verdict(OPEN))
        (event,) = tx.events

    assert (version.preset, version.report_sha256, version.unsafe) == (None, "ab" * 32, None)
    assert event.body["redteam"]["grade"] == "A"


def test_a_verdict_on_another_document_counts_for_nothing(db, rules):
    with db.transaction() as tx, pytest.raises(UntestedPolicyError, match="on another document"):
        rules.set_policy(tx, "ds_1", OPEN, organisation_id="org_1", verdict=verdict(STANDARD))


def test_an_override_is_logged_and_shown_on_its_version_for_good(db, rules):
    override = with_unsafe_override(OPEN, "pilot of three days")
    failed = verdict(override, resists=False)

    with db.transaction() as tx:
        version = rules.set_policy(tx, "ds_1", override, organisation_id="org_1", verdict=failed)
        (event,) = tx.events
        rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1")

    assert (version.preset, version.unsafe) == (None, "pilot of three days")
    assert event.body["unsafe"] == "pilot of three days"
    assert event.body["redteam"]["resists"] is False
    with db.reading() as tx:
        assert [item.unsafe for item in rules.history(tx, "ds_1")] == ["pilot of three days", None]
