import unicodedata
from datetime import UTC, datetime

import pytest

from cleanroom.audit.log import AuditLog
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Database
from cleanroom.rules.errors import UndeclaredAttributeError, UnknownPolicyError
from cleanroom.rules.service import Rules
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import schema_to_dict
from policies.codec import load_preset

STANDARD = load_preset("standard", purposes=["advertising"])
STRICT = load_preset("strict", purposes=["advertising"])


class Noon:
    def now(self):
        return datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def db(sqlite_engine):
    made = Database(sqlite_engine, AuditLog(origin="room.test/cleanroom", seed=bytes(32), clock=Noon()))
    schema = schema_from_yaml(
        "match_keys: {email: {column: e}}\nattributes: {age: {type: integer}, край: {type: date}}\n"
    )
    with made.transaction() as tx:
        for dataset_id in ("ds_1", "ds_2"):
            tx.session.add(
                DatasetRow(
                    id=dataset_id,
                    workspace_id="ws_1",
                    kind="dataset",
                    name=dataset_id,
                    schema=schema_to_dict(schema),
                    schema_sha256=schema.sha256(),
                    current_version_id=None,
                    created_at=Noon().now(),
                )
            )
    return made


@pytest.fixture
def rules():
    return Rules(Noon())


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
