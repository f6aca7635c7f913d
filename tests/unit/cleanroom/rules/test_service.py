import unicodedata

import pytest

from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.rules.errors import (
    NotYourDatasetError,
    PolicyChangedError,
    UnconfirmedOverrideError,
    UndeclaredAttributeError,
    UnknownPolicyError,
    UntestedPolicyError,
)
from cleanroom.rules.service import Rules
from cleanroom.rules.types import RedTeamVerdict, Switch, policy_sha256
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


def test_a_version_follows_the_one_it_was_made_from_or_none(db, rules):
    with db.transaction() as tx:
        rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1", follows=0, by="us_1")
        second = rules.set_policy(tx, "ds_1", STRICT, organisation_id="org_1", follows=1, by="us_2")
    relaxed = load_preset("relaxed", purposes=["advertising"])
    for late in (0, 1, 3):
        with db.transaction() as tx, pytest.raises(PolicyChangedError, match="Version 2"):
            rules.set_policy(tx, "ds_1", relaxed, organisation_id="org_1", follows=late)
    with db.transaction() as tx:
        # What is in force already is no change, whatever it was made from.
        assert rules.set_policy(tx, "ds_1", STRICT, organisation_id="org_1", follows=0) == second
        assert tx.events == []
    with db.reading() as tx:
        assert [version.set_by for version in rules.history(tx, "ds_1")] == ["us_1", "us_2"]


def test_the_switch_tells_who_touched_it_when(db, rules, noon):
    with db.reading() as tx:
        assert rules.switch(tx, "ds_1") == Switch(False)
        assert rules.stopped_of(tx, "org_1") == ()
    with db.transaction() as tx:
        rules.stop(tx, "ds_1", organisation_id="org_1", by="us_1")
        # Twice is once: the first one stands.
        rules.stop(tx, "ds_1", organisation_id="org_1", by="us_2")
        assert [event.body for event in tx.events] == [{"by": "us_1"}]
    with db.reading() as tx:
        assert rules.switch(tx, "ds_1") == Switch(True, noon.now(), "us_1")
        assert [dataset_id for dataset_id, _ in rules.stopped_of(tx, "org_1")] == ["ds_1"]
        assert rules.stopped_of(tx, "org_2") == ()
    with db.transaction() as tx:
        rules.resume(tx, "ds_1", organisation_id="org_1", by="us_3")
    with db.reading() as tx:
        assert rules.switch(tx, "ds_1") == Switch(False, noon.now(), "us_3")
        assert rules.stopped_of(tx, "org_1") == ()


def test_a_document_is_examined_without_being_put_in_force(db, rules):
    with db.transaction() as tx:
        told = rules.examine(tx, "ds_1", STANDARD, organisation_id="org_1")
        assert (told.preset, told.publishable) == ("standard", True)
        assert not rules.examine(tx, "ds_1", OPEN, organisation_id="org_1").publishable
        override = with_unsafe_override(OPEN, "because")
        told = rules.examine(tx, "ds_1", override, organisation_id="org_1")
        assert (told.publishable, told.safe) == (True, False)
        assert tx.events == []
        assert rules.current(tx, "ds_1") is None
    with db.reading() as tx, pytest.raises(NotYourDatasetError):
        rules.examine(tx, "ds_1", STANDARD, organisation_id="org_2")


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


@pytest.mark.parametrize("found", [None, False])
def test_an_override_is_not_put_in_force_by_one_person(db, rules, found):
    override = with_unsafe_override(OPEN, "pilot of three days")
    failed = None if found is None else verdict(override, resists=False)
    with db.transaction() as tx:
        with pytest.raises(UnconfirmedOverrideError) as refused:
            rules.set_policy(tx, "ds_1", override, organisation_id="org_1", verdict=failed)
        assert rules.current(tx, "ds_1") is None
        assert tx.events == []
        # What no preset bounds and yet resists needs no override, and one that a preset bounds neither.
        rules.set_policy(tx, "ds_1", override, organisation_id="org_1", verdict=verdict(override))
        rules.set_policy(
            tx, "ds_1", with_unsafe_override(STANDARD, "needless"), organisation_id="org_1", confirmed="fe_1"
        )
    assert "four-eyes" in refused.value.remedy
    assert [event.body["confirmed"] for event in tx.events] == [None, None]


def test_an_override_is_logged_and_shown_on_its_version_for_good(db, rules):
    override = with_unsafe_override(OPEN, "pilot of three days")
    failed = verdict(override, resists=False)

    with db.transaction() as tx:
        version = rules.set_policy(
            tx, "ds_1", override, organisation_id="org_1", verdict=failed, confirmed="fe_1"
        )
        (event,) = tx.events
        rules.set_policy(tx, "ds_1", STANDARD, organisation_id="org_1")

    assert (version.preset, version.unsafe) == (None, "pilot of three days")
    assert event.body["unsafe"] == "pilot of three days"
    assert event.body["confirmed"] == "fe_1"
    assert event.body["redteam"]["resists"] is False
    with db.reading() as tx:
        assert [item.unsafe for item in rules.history(tx, "ds_1")] == ["pilot of three days", None]
