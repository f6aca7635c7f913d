"""What a question costs whatever it counts: few statements, two commits, and a receipt without a third."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event, select, update

from cleanroom.analyses import deciding
from cleanroom.analyses.types import Outcome
from cleanroom.audit.models import AuditCheckpoint, AuditEvent, AuditHead
from cleanroom.audit.reader import node_source
from cleanroom.datasets.models import DatasetRow, SealedFileRow
from cleanroom.db.database import Database
from cleanroom.release.answers import find_answer
from crypto.checkpoint import open_note
from crypto.merkle import root_from
from policies.codec import load_preset
from tests.integration.analyses.questions import RICH, receipt_of
from tests.rooms import PURPOSE, Stage

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

# With the commits; PostgreSQL takes one more for each, the log's lock.
MOST, MOST_STORED, MOST_REFUSED = 46, 20, 20


@contextmanager
def statements(stage: Stage) -> Iterator[list[str]]:
    """Write down what is executed, and each commit."""
    found: list[str] = []

    def execute(_connection, _cursor, statement, *_rest):
        if not statement.startswith("BEGIN"):
            found.append(statement)

    def commit(_connection):
        found.append("COMMIT")

    engine = stage.room.db.engine
    event.listen(engine, "before_cursor_execute", execute)
    event.listen(engine, "commit", commit)
    yield found
    event.remove(engine, "before_cursor_execute", execute)
    event.remove(engine, "commit", commit)


def test_a_question_takes_few_statements_and_two_commits(stage):
    grant = stage.grant()
    stage.ask(grant, precision="rough")

    with statements(stage) as released:
        assert stage.ask(grant, **RICH).outcome is Outcome.RELEASED
    with statements(stage) as stored:
        assert stage.ask(grant, **RICH).outcome is Outcome.STORED
    stage.stop()
    with statements(stage) as refused:
        assert stage.ask(grant, **RICH).outcome is Outcome.REFUSED

    assert [found.count("COMMIT") for found in (released, stored, refused)] == [2, 1, 1]
    assert len(released) <= MOST
    assert len(stored) <= MOST_STORED
    assert len(refused) <= MOST_REFUSED


def test_the_receipt_carries_the_head_of_its_own_commit_and_that_head_is_kept(stage):
    grant = stage.grant()
    for asked, outcome in ((RICH, Outcome.RELEASED), ({"purpose": "research"}, Outcome.REFUSED)):
        answer = stage.ask(grant, **asked)
        assert answer.outcome is outcome
        proven = receipt_of(stage, answer)
        with stage.room.db.reading() as tx:
            head = tx.session.execute(select(AuditHead.size, AuditHead.note)).one()
            kept = tx.session.get_one(AuditCheckpoint, proven.size).note
            subject = tx.session.get_one(AuditEvent, proven.index).subject_id

        assert proven.size == head.size == open_note(kept, stage.room.audit.verifier_key).size
        assert kept == head.note == json.loads(answer.receipt.read_bytes())["checkpoint"]
        assert subject == proven.record["subject"] == answer.analysis_id


def test_a_stored_answer_shows_the_receipt_of_its_release_or_makes_it_again(stage):
    grant = stage.grant()
    answer = stage.ask(grant, **RICH)
    first = receipt_of(stage, answer)

    again = stage.ask(grant, **RICH)

    assert (again.outcome, again.receipt) == (Outcome.STORED, answer.receipt)
    assert receipt_of(stage, again) == first
    # As after a crash between the commit and the file.
    answer.receipt.unlink()
    made = receipt_of(stage, stage.ask(grant, **RICH))
    assert (made.record, made.index) == (first.record, first.index)
    assert made.size > first.size


def test_what_was_shown_before_never_stands_in_for_what_the_store_gives(stage, monkeypatch):
    grant = stage.grant()
    stage.ask(grant, **RICH)
    before = stage.ask(grant, **RICH)

    def changed(*asked, **how):
        found = find_answer(*asked, **how)
        first, *others = found.figures
        return replace(found, figures=(replace(first, sigma=first.sigma + 1), *others))

    monkeypatch.setattr(deciding, "find_answer", changed)
    shown = stage.ask(grant, **RICH)

    assert shown.outcome is Outcome.STORED
    assert shown.figures[0].sigma == before.figures[0].sigma + 1
    assert shown.figures[1:] == before.figures[1:]


def test_the_log_goes_on_from_what_was_committed(stage):
    def stop(_session):
        raise ValueError("stop")

    def add(*, fails: bool = False) -> int | None:
        with stage.room.db.transaction() as tx:
            queued = tx.audit("test.event", subject_id="x")
            if fails:
                event.listen(tx.session, "before_commit", stop)
        return queued.index

    first = add()
    with pytest.raises(ValueError, match="stop"):
        add(fails=True)
    assert first is not None
    assert [add(), add()] == [first + 1, first + 2]

    with stage.room.db.reading() as tx:
        size = stage.room.audit.size(tx)
        source = node_source(tx.session)
        assert (
            root_from(source, size)
            == open_note(stage.room.audit.head(tx), stage.room.audit.verifier_key).root
        )


def test_nothing_is_proven_by_a_transaction_that_is_rolled_back(stage):
    with stage.room.db.reading() as tx:
        size, kept = stage.room.audit.size(tx), list(tx.session.scalars(select(AuditCheckpoint.size)))

    def stop(_session):
        raise ValueError("stop")

    def stop_at_the_end(db: Database) -> None:
        with db.transaction() as tx:
            queued = tx.audit("test.event", subject_id="x", prove=True)
            event.listen(tx.session, "before_commit", stop)
        raise AssertionError(queued)

    with pytest.raises(ValueError, match="stop"):
        stop_at_the_end(stage.room.db)

    with stage.room.db.reading() as tx:
        assert stage.room.audit.size(tx) == size
        assert list(tx.session.scalars(select(AuditCheckpoint.size))) == kept


@pytest.mark.unlogged("another process's change")
def test_a_dataset_is_read_anew_once_it_is_locked(stage):
    with stage.room.db.transaction() as tx:
        stage.room.datasets.hold(tx, stage.dataset_id)
        table = DatasetRow.metadata.tables["datasets"]
        # As another process does while the lock is waited for.
        tx.session.execute(update(table).where(table.c.id == stage.dataset_id).values(name="renamed"))
        assert stage.room.datasets.dataset(tx, stage.dataset_id).name == "people"

        stage.room.datasets.lock(tx, stage.dataset_id, shared=True)

        assert stage.room.datasets.dataset(tx, stage.dataset_id).name == "renamed"


def test_versions_that_are_held_are_read_as_they_are_at_that_moment(stage):
    with stage.room.db.reading() as tx:
        version_id = stage.room.datasets.current(tx, stage.dataset_id).id
        before = stage.room.datasets.files(tx, version_id)
    with stage.room.db.rehearsing() as tx:
        stage.room.datasets.hold(tx, stage.dataset_id)
        files = SealedFileRow.metadata.tables["sealed_files"]
        tx.session.execute(update(files).where(files.c.id == before[0].id).values(bytes=before[0].bytes + 1))
        versions = DatasetRow.metadata.tables["dataset_versions"]
        tx.session.execute(update(versions).where(versions.c.id == version_id).values(persons=7))

        stage.room.datasets.hold_versions(tx, version_id)

        assert stage.room.datasets.version(tx, version_id).persons == 7
        assert stage.room.datasets.files(tx, version_id)[0].bytes == before[0].bytes + 1


def test_a_policy_that_was_read_before_is_not_taken_for_a_new_one(stage):
    strict = stage.rule(load_preset("strict", purposes=[PURPOSE]))
    with stage.room.db.reading() as tx:
        assert stage.room.rules.current(tx, stage.dataset_id).document == strict
    relaxed = stage.rule(load_preset("relaxed", purposes=[PURPOSE]))
    with stage.room.db.reading() as tx:
        assert stage.room.rules.current(tx, stage.dataset_id).document == relaxed
        assert [version.number for version in stage.room.rules.history(tx, stage.dataset_id)] == [1, 2, 3]
