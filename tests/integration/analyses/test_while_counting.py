"""What may happen between the two transactions of a question, while nothing is locked."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from cleanroom.analyses.types import Outcome
from cleanroom.release import gate
from cleanroom.release.models import StoredAnswer
from tests.integration.analyses.questions import OVERLAP, receipt_of, status_of


def test_a_withdrawal_while_counting_makes_the_room_count_once_more(stage, while_counting, monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))
    grant = stage.grant("S")
    pending = [50]
    counts = while_counting(lambda: pending and stage.withdraw(*range(pending.pop())) and None)

    answer = stage.ask(grant, precision="rough")

    assert counts == [1, 2]
    assert (answer.outcome, answer.consent_epoch, answer.charged_micro) == (Outcome.RELEASED, 1, 100)
    # Of the first fifty, five had withdrawn before.
    assert answer.figures[0].value == OVERLAP - 45
    assert stage.left(grant) == 2_000 - 100
    again = stage.ask(grant, precision="rough")
    assert (again.outcome, again.figures) == (Outcome.STORED, answer.figures)


def test_a_second_withdrawal_while_counting_refuses_and_the_budget_stays_spent(stage, while_counting):
    grant = stage.grant("S")
    numbers: Iterator[int] = iter(range(9))
    counts = while_counting(lambda: stage.withdraw(next(numbers)) and None)

    answer = stage.ask(grant, precision="rough")

    assert counts == [1, 2]
    assert answer.outcome is Outcome.REFUSED
    assert [reason.rule for reason in answer.reasons] == ["consent_epoch"]
    assert (answer.figures, answer.charged_micro, stage.left(grant)) == ((), 100, 1_900)
    assert receipt_of(stage, answer).record["body"]["outcome"] == "refused"
    with stage.room.db.reading() as tx:
        assert tx.session.scalars(select(StoredAnswer)).all() == []


def test_the_kill_switch_stops_a_question_that_is_being_counted(stage, while_counting):
    grant = stage.grant("S")
    counts = while_counting(stage.stop)

    answer = stage.ask(grant, precision="rough")

    assert counts == [1]
    assert [reason.rule for reason in answer.reasons] == ["kill_switch"]
    assert (answer.outcome, answer.figures, answer.charged_micro) == (Outcome.REFUSED, (), 100)
    assert stage.left(grant) == 1_900
    assert not stage.events("release.released")


def test_no_transaction_is_open_while_counting(stage, while_counting):
    def write() -> None:
        # On SQLite this would wait a minute for a writer that waits for us.
        with stage.room.db.transaction() as tx:
            stage.room.accounts.create_organisation(tx, name="Meanwhile", kind="advertiser")

    while_counting(write)

    assert stage.ask(stage.grant("S"), precision="rough").outcome is Outcome.RELEASED


def test_a_question_whose_process_died_is_marked_lost_and_its_budget_stays_spent(stage, while_counting):
    grant = stage.grant("S")

    def die() -> None:
        raise KeyboardInterrupt

    while_counting(die)
    with pytest.raises(KeyboardInterrupt):
        stage.ask(grant, precision="rough")
    (asked,) = stage.events("analyses.asked")
    assert status_of(stage, asked["subject"]) == "reserved"

    stage.reopen()

    assert status_of(stage, asked["subject"]) == "lost"
    assert stage.left(grant) == 1_900
    assert [event["subject"] for event in stage.events("analyses.lost")] == [asked["subject"]]
    # Once is enough.
    assert stage.room.analyses.recover() == ()
    assert len(stage.events("analyses.lost")) == 1


def test_a_question_that_another_process_is_counting_is_not_lost(stage, while_counting):
    found: list[tuple[str, ...]] = []
    while_counting(lambda: found.append(stage.room.analyses.recover()))

    answer = stage.ask(stage.grant("S"), precision="rough")

    assert found == [()]
    assert answer.outcome is Outcome.RELEASED


def test_a_question_that_is_counted_over_midnight_honours_the_new_day(expiring, while_counting, monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: list(counts))
    steps = [13]
    counts = while_counting(lambda: expiring.clock.move(hours=steps.pop()) if steps else None)

    answer = expiring.ask(expiring.grant("S", purposes=["research"]), purpose="research", precision="rough")

    assert counts == [1, 2]
    assert (answer.consent_epoch, answer.figures[0].value) == (1, 500)
