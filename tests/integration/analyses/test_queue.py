"""Questions that wait for a worker: completed once, under their reservation, by whoever comes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import select

from cleanroom.analyses.errors import EndedError, NoResultError, NotReadyError, UnknownAnalysisError
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome, State
from cleanroom.bootstrap import open_room
from cleanroom.client.receipts import RELEASED
from cleanroom.grants.models import LedgerRow
from cleanroom.matching.local import LocalEngine
from cleanroom.worker.pieces import Counting
from tests.rooms import Stage, clients, people

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

YOUNG = {
    "young": {"attribute": "age", "op": "<", "value": 30},
    "women": {"attribute": "sex", "op": "==", "value": "F"},
}
WIDE = {"kind": "profile", "segments": YOUNG, "breakdowns": [["sex", "age"]], "labels": True, "per_key": True}


def begin(stage: Stage, grant, **changed):
    with stage.room.db.transaction() as tx:
        begun = stage.room.analyses.begin(
            tx,
            stage.question(**changed),
            grant_id=grant.id,
            asker_id=stage.advertiser.organisation_id,
        )
    stage.room.analyses.settle(begun)
    return begun


def follow(stage: Stage, analysis_id: str):
    with stage.room.db.reading() as tx:
        return stage.room.analyses.reading.analysis(
            tx, analysis_id, organisation_id=stage.advertiser.organisation_id
        )


def result(stage: Stage, analysis_id: str):
    return stage.room.analyses.result(analysis_id, organisation_id=stage.advertiser.organisation_id)


def cancel(stage: Stage, analysis_id: str):
    with stage.room.db.transaction() as tx:
        return stage.room.analyses.cancel(tx, analysis_id, organisation_id=stage.advertiser.organisation_id)


def moved(stage: Stage, analysis_id: str) -> list[str]:
    with stage.room.db.reading() as tx:
        rows = select(LedgerRow.kind).where(LedgerRow.subject_id == analysis_id).order_by(LedgerRow.kind)
        return list(tx.session.scalars(rows))


def later(stage: Stage) -> None:
    stage.clock.move(seconds=60)


def once(stage: Stage, analysis_id: str) -> None:
    """It is released once and charged once."""
    assert [one["subject"] for one in stage.events(RELEASED)].count(analysis_id) == 1
    assert moved(stage, analysis_id) == ["reserved", "settled"]


def test_another_process_completes_a_question(stage: Stage) -> None:
    grant = stage.grant()
    begun = begin(stage, grant, **WIDE)
    assert begun.answer is None
    assert begun.analysis.state is State.RUNNING
    other = open_room(stage.room.settings, clock=stage.clock)
    counted = other.analyses.queue.count(begun.analysis.id)
    assert other.analyses.queue.count(begun.analysis.id) is None
    assert follow(stage, begun.analysis.id).state is State.RUNNING
    with pytest.raises(NotReadyError):
        result(stage, begun.analysis.id)
    assert other.analyses.queue.release(counted) is Outcome.RELEASED
    assert other.analyses.complete(begun.analysis.id) is None
    other.close()
    analysis = follow(stage, begun.analysis.id)
    assert (analysis.state, analysis.progress) == (State.RELEASED, 1.0)
    answer = result(stage, analysis.id)
    assert answer.charged_micro == analysis.charged_micro > 0
    assert answer.left_micro == stage.left(grant)
    once(stage, analysis.id)
    # Asked by this process, the very same figures come from the store, laid out alike.
    again = stage.ask(grant, **WIDE)
    assert again.outcome is Outcome.STORED
    assert (again.figures, again.ratios, again.suggestions) == (
        answer.figures,
        answer.ratios,
        answer.suggestions,
    )


def test_what_is_reserved_for_a_worker_is_what_a_process_of_its_own_would_count(
    make_room, monkeypatch
) -> None:
    stage = make_room()
    grant, plans, count = stage.grant(), [], LocalEngine.count

    def counting(self, view, base, plan):
        plans.append(plan)
        return count(self, view, base, plan)

    monkeypatch.setattr(LocalEngine, "count", counting)
    begun = begin(stage, grant, **WIDE)
    stage.room.analyses.complete(begun.analysis.id)
    stage.ask(grant, **WIDE, precision="fine")
    assert plans[0] == plans[1]


def test_stored_answers_and_refusals_are_there_at_once_and_again(stage: Stage) -> None:
    grant = stage.grant()
    first = stage.ask(grant)
    stored = begin(stage, grant)
    assert stored.analysis.state is State.STORED
    assert stored.answer.figures == first.figures
    read = result(stage, stored.analysis.id)
    assert read == replace(stored.answer, left_micro=stage.left(grant))
    receipt = stage.room.analyses.receipt(
        stored.analysis.id, organisation_id=stage.advertiser.organisation_id
    )
    assert receipt == first.receipt
    refused = begin(stage, grant, purpose="research")
    assert refused.analysis.state is State.REFUSED
    assert refused.answer.receipt.exists()
    assert result(stage, refused.analysis.id) == refused.answer
    assert refused.answer.reasons


def test_a_foreign_question_is_unknown(make_room) -> None:
    stage = make_room()
    begun = begin(stage, stage.grant())
    rival = stage.party("rival").organisation_id
    for organisation_id in (rival, stage.provider.organisation_id):
        for look in (stage.room.analyses.result, stage.room.analyses.receipt):
            with pytest.raises(UnknownAnalysisError):
                look(begun.analysis.id, organisation_id=organisation_id)


def test_a_room_that_opens_leaves_what_waits_to_a_worker(stage: Stage) -> None:
    begun = begin(stage, stage.grant())
    stage.reopen()
    counting = Counting(stage.room, lambda *_: None)
    assert counting()
    counting.close()
    assert follow(stage, begun.analysis.id).state is State.RELEASED
    assert not Counting(stage.room, lambda *_: None)()


def test_consents_that_changed_while_it_waited_are_honoured(make_room, while_counting) -> None:
    stage = make_room()
    begun = begin(stage, stage.grant())
    stage.withdraw(0, 1, 2)
    counts = while_counting(lambda: None)
    assert stage.room.analyses.complete(begun.analysis.id) is Outcome.RELEASED
    # Counted once: not first under the consents of asking.
    assert counts == [1]
    later(stage)
    with stage.room.db.reading() as tx:
        epoch = stage.room.consents.epoch(tx, stage.dataset_id)
    assert result(stage, begun.analysis.id).consent_epoch == epoch


def test_a_kill_switch_stops_what_waited(make_room) -> None:
    stage = make_room()
    begun = begin(stage, stage.grant())
    stage.stop()
    assert stage.room.analyses.complete(begun.analysis.id) is Outcome.REFUSED
    refused = result(stage, begun.analysis.id)
    assert [reason.rule for reason in refused.reasons] == ["kill_switch"]
    assert refused.charged_micro == begun.analysis.charged_micro
    assert moved(stage, begun.analysis.id) == ["reserved"]


def test_a_restored_room_answers_nothing_that_waited(stage: Stage) -> None:
    begun = begin(stage, stage.grant())
    assert stage.room.analyses.recover(queued=True) == (begun.analysis.id,)
    assert stage.room.analyses.complete(begun.analysis.id) is None
    later(stage)
    with pytest.raises(NoResultError, match="lost"):
        result(stage, begun.analysis.id)


def test_one_that_waits_can_be_cancelled_and_stays_spent(stage: Stage) -> None:
    grant = stage.grant()
    begun = begin(stage, grant)
    left = stage.left(grant)
    assert cancel(stage, begun.analysis.id).state is State.CANCELLING
    assert stage.room.analyses.complete(begun.analysis.id) is None
    later(stage)
    assert follow(stage, begun.analysis.id).state is State.CANCELLED
    assert stage.left(grant) == left
    assert moved(stage, begun.analysis.id) == ["reserved"]
    with pytest.raises(NoResultError, match="cancelled"):
        result(stage, begun.analysis.id)
    with pytest.raises(EndedError):
        cancel(stage, begun.analysis.id)


def test_one_that_is_being_counted_is_dropped_when_cancelled(stage: Stage, while_counting) -> None:
    begun = begin(stage, stage.grant())
    counts = while_counting(lambda: cancel(stage, begun.analysis.id))
    assert stage.room.analyses.complete(begun.analysis.id) is None
    assert counts == [1]
    later(stage)
    assert follow(stage, begun.analysis.id).state is State.CANCELLED
    assert moved(stage, begun.analysis.id) == ["reserved"]
    kinds = [one["kind"] for one in stage.events() if one["subject"] == begun.analysis.id]
    assert "analyses.cancelled" in kinds
    assert RELEASED not in kinds


def test_cancelling_does_not_tell_whether_the_answer_was_there(make_room) -> None:
    stage = make_room()
    grant = stage.grant()
    done, waiting = begin(stage, grant), begin(stage, grant, labels=True)
    counted = stage.room.analyses.queue.count(done.analysis.id)
    told = [cancel(stage, begun.analysis.id) for begun in (done, waiting)]
    assert [one.state for one in told] == [State.CANCELLING, State.CANCELLING]
    assert stage.room.analyses.queue.release(counted) is None
    later(stage)
    for begun in (done, waiting):
        assert follow(stage, begun.analysis.id).state is State.CANCELLED
        assert moved(stage, begun.analysis.id) == ["reserved"]


def test_a_question_that_fails_thrice_is_lost(stage: Stage, monkeypatch) -> None:
    begun = begin(stage, stage.grant())

    def failing(*_arguments):
        raise MemoryError

    monkeypatch.setattr(LocalEngine, "count", failing)
    for _ in range(3):
        with pytest.raises(MemoryError):
            stage.room.analyses.complete(begun.analysis.id)
    assert stage.room.analyses.complete(begun.analysis.id) is Outcome.LOST
    assert [one["subject"] for one in stage.events("analyses.lost")] == [begun.analysis.id]


def test_the_next_question_is_counted_while_an_answer_waits_for_its_tick(make_room, monkeypatch) -> None:
    stage = make_room()
    grant = stage.grant()
    waiting = [begin(stage, grant, labels=labels).analysis.id for labels in (False, True)]
    ticked = Event()
    monkeypatch.setattr(type(stage.clock), "wait_until", lambda *_: ticked.wait())
    counting = Counting(stage.room, lambda *_: None)
    assert counting()
    assert counting()
    # Both are counted, nobody else takes them up, and nothing of them is in the log.
    assert not counting()
    assert not Counting(stage.room, lambda *_: None)()
    assert stage.events(RELEASED) == []
    ticked.set()
    counting.close()
    for analysis_id in waiting:
        once(stage, analysis_id)


def test_a_ticket_that_does_not_fit_the_question_is_not_counted(make_room) -> None:
    stage = make_room()
    begun = begin(stage, stage.grant())
    with stage.room.db.transaction() as tx:
        row = tx.session.get_one(AnalysisRow, begun.analysis.id)
        row.question = {**row.question, "labels": True}
    told = []
    counting = Counting(stage.room, lambda event, error: told.append(error.code))
    assert counting()
    assert told == ["analyses.ticket"]
    # It waits before the next attempt, and nothing else does.
    assert not counting()


def test_two_workers_at_once_release_once(stage: Stage) -> None:
    grant = stage.grant()
    wishes = [{"labels": labels, "per_key": keys} for labels in (False, True) for keys in (False, True)]
    waiting = [begin(stage, grant, **wish).analysis.id for wish in wishes]
    others = [open_room(stage.room.settings, clock=stage.clock) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(room.analyses.complete, one) for one in waiting for room in others]
        done = [job.result() for job in jobs]
    assert sorted(filter(None, done)) == ["released"] * 4
    for room in others:
        room.close()
    for analysis_id in waiting:
        once(stage, analysis_id)


def test_answers_come_out_at_moments_that_do_not_depend_on_the_data(make_room, while_counting) -> None:
    """Many or few matches, and a count that takes longer for it: the same moments, in the log too."""
    moments = []
    for rows, base_rows, took in ((people(), clients(), 310), (people(1_500), clients(10, 1_490), 20)):
        stage = make_room(rows=rows, base_rows=base_rows)
        stage.clock.move(seconds=-(stage.clock.instant.timestamp() % 60))
        begun = begin(stage, stage.grant())
        asked = begun.analysis.asked_at

        def slow(stage=stage, took=took) -> None:
            stage.clock.move(milliseconds=took)

        while_counting(slow)
        assert stage.room.analyses.complete(begun.analysis.id) is Outcome.RELEASED
        seen = []
        for ms in range(325, 700, 25):
            stage.clock.instant = asked
            stage.clock.move(milliseconds=ms)
            analysis = follow(stage, begun.analysis.id)
            seen.append((ms, analysis.state, round(analysis.progress, 3)))
        (released,) = stage.events(RELEASED)
        logged = [datetime.fromisoformat(at) for at in (released["at"], released["body"]["released_at"])]
        moments.append((seen, [(at - asked) // timedelta(milliseconds=1) for at in logged]))
    assert moments[0] == moments[1]
    seen, logged = moments[0]
    assert {state for _, state, _ in seen} == {State.RUNNING, State.RELEASED}
    assert logged == [500, 500]
