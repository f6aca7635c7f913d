"""A worker killed anywhere in a question: the next one completes it, and it is released and charged once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from killable import Killable
from small_room import Stage, question
from sqlalchemy import select
from test_kill import await_the_server, make_scene

from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.audit.models import AuditEvent
from cleanroom.bootstrap import open_room
from cleanroom.client import verify_receipt
from cleanroom.client.receipts import RELEASED
from cleanroom.grants.models import LedgerRow


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    with Killable(tmp_dir=tmp_path_factory.mktemp("tmpdir")) as started:
        yield started


def begin(stage: Stage, number: int) -> str:
    room = open_room(stage.settings)
    with room.db.transaction() as tx:
        begun = room.analyses.begin(
            tx, question(stage, number), grant_id=stage.grant_id, asker_id=stage.asker_id
        )
    assert begun.answer is None
    room.close()
    return begun.analysis.id


def check(stage: Stage, analysis_id: str) -> None:
    """The next worker completes what the killed one did not; whichever did, it was once."""
    await_the_server(stage)
    room = open_room(stage.settings)
    room.analyses.complete(analysis_id)
    with room.db.reading() as tx:
        row = tx.session.get_one(AnalysisRow, analysis_id)
        assert row.status == Outcome.RELEASED
        events = select(AuditEvent.index).where(
            AuditEvent.subject_id == analysis_id, AuditEvent.kind == RELEASED
        )
        assert len(tx.session.scalars(events).all()) == 1
        moved = select(LedgerRow.kind).where(LedgerRow.subject_id == analysis_id).order_by(LedgerRow.kind)
        assert tx.session.scalars(moved).all() == ["reserved", "settled"]
        # It came out at a multiple of its tick, whoever counted it and however often.
        assert (row.finished_at - row.asked_at) % timedelta(milliseconds=row.tick_ms) == timedelta(0)
    answer = room.analyses.result(analysis_id, organisation_id=stage.asker_id)
    receipt = room.analyses.receipt(analysis_id, organisation_id=stage.asker_id)
    assert verify_receipt(receipt.read_bytes(), verifier_key=room.audit.verifier_key)
    assert answer.charged_micro > 0
    room.close()


@pytest.mark.slow_on("postgresql")
def test_the_next_worker_completes_what_a_killed_one_began(
    tmp_path: Path, database_url: str, killable: Killable
) -> None:
    url = database_url.replace(str(tmp_path / "room"), str(tmp_path / "home" / "room"))
    stage = make_scene(tmp_path, url).stage
    first = begin(stage, 0)
    whole = killable.run("complete", stage, analysis_id=first)
    assert not whole.killed
    check(stage, first)
    # Before every durable step: the attempt, the release, its commit, the receipt's file.
    for step in range(1, whole.operations + 1):
        waiting = begin(stage, step)
        assert killable.run("complete", stage, analysis_id=waiting, at_operation=step).killed
        check(stage, waiting)
    waiting = begin(stage, 1_000)
    assert killable.run("complete", stage, analysis_id=waiting, counting=True).killed
    check(stage, waiting)
