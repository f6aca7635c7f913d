"""A stored answer found before its transaction is given while everything it depends on stands, and never longer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event
from time import sleep
from typing import Any

import pytest

from cleanroom.analyses.facts import FactFinder
from cleanroom.analyses.foreseeing import FRESH_FOR, Foreseen
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome, State
from policies.codec import load_preset
from policies.rules import Rate
from tests.integration.analyses.questions import RICH, status_of
from tests.rooms import BASE_HEADER, DATASET_HEADER, PURPOSE, Stage, clients, people

QUESTION = {"segments": RICH["segments"], "precision": "rough"}


@pytest.fixture
def stage(make_room: Any) -> Stage:
    """On SQLite alone: nowhere else do writers wait for each other from their first statement on."""
    stage: Stage = make_room()
    return stage


def look(stage: Stage, grant: Any, asker: Any = None, **changed: Any) -> Any:
    asker_id = (asker or stage.advertiser).organisation_id
    with stage.room.db.reading() as tx:
        found = stage.room.analyses.foresee(
            tx, stage.question(**QUESTION | changed), grant_id=grant.id, asker_id=asker_id
        )
        # Whoever looks writes nothing, not even what is rolled back: that would take the lock.
        assert tx.events == []
    return found


def enter(stage: Stage, foreseen: Foreseen) -> bool:
    with stage.room.db.transaction() as tx:
        return stage.room.analyses.enter(tx, foreseen)


def entered(stage: Stage) -> int:
    with stage.room.db.reading() as tx:
        return tx.session.query(AnalysisRow).count()


def test_what_is_foreseen_is_what_asking_answers(stage: Stage) -> None:
    grant = stage.grant()
    first = stage.ask(grant, **QUESTION)
    foreseen, begun = look(stage, grant)
    assert entered(stage) == 1
    assert enter(stage, foreseen)
    asked = stage.ask(grant, **QUESTION)
    assert begun.answer == replace(asked, analysis_id=foreseen.analysis_id)
    assert (begun.analysis.state, begun.analysis.answered, begun.event) == (State.STORED, True, None)
    assert status_of(stage, foreseen.analysis_id) == "stored"
    one, other = stage.events("analyses.answered_again")
    assert one["body"] == other["body"] == {"answer_of": first.analysis_id, "consent_epoch": 0}
    with stage.room.db.reading() as tx:
        seen = stage.room.analyses.reading.analysis(
            tx, foreseen.analysis_id, organisation_id=stage.advertiser.organisation_id
        )
    assert seen == begun.analysis
    assert (
        stage.room.analyses.result(
            foreseen.analysis_id, organisation_id=stage.advertiser.organisation_id
        ).figures
        == first.figures
    )


def test_other_stored_answers_do_not_stand_in_its_way(stage: Stage) -> None:
    grant = stage.grant()
    stage.ask(grant, **QUESTION)
    (one, _), (other, _) = look(stage, grant), look(stage, grant)
    assert enter(stage, other)
    assert enter(stage, one)


def test_nothing_is_foreseen_where_there_is_no_stored_answer(stage: Stage) -> None:
    grant = stage.grant()
    assert look(stage, grant) is None
    stage.ask(grant, **QUESTION)
    assert look(stage, grant) is not None
    assert look(stage, grant, precision="fine") is None
    # Refused.
    assert look(stage, grant, purpose="research") is None


def test_an_agency_whose_mandate_has_ended_has_nothing_foreseen(stage: Stage) -> None:
    agency = stage.party("agency", "agency")
    parties = {"agency_id": agency.organisation_id, "advertiser_id": stage.advertiser.organisation_id}
    with stage.room.db.transaction() as tx:
        mandate = stage.room.accounts.grant_mandate(tx, **parties)
    grant = stage.grant(agency_id=agency.organisation_id)
    stage.ask(grant, **QUESTION)
    foreseen, _ = look(stage, grant, asker=agency)
    with stage.room.db.transaction() as tx:
        stage.room.accounts.revoke_mandate(tx, mandate.id)
    assert not enter(stage, foreseen)
    assert look(stage, grant, asker=agency) is None
    assert look(stage, grant) is not None


def test_a_limit_on_how_often_one_may_ask_is_decided_in_the_transaction(stage: Stage) -> None:
    document = load_preset("standard", purposes=[PURPOSE])
    stage.rule(replace(document, rules=(*document.rules, Rate(per_hour=2))))
    grant = stage.grant()
    stage.ask(grant, **QUESTION)
    assert look(stage, grant) is None


def stop(stage: Stage, _grant: Any) -> None:
    stage.stop()


def new_rule(stage: Stage, _grant: Any) -> None:
    stage.rule(load_preset("standard", purposes=[PURPOSE], blocked=["likes"]))


def withdrawal(stage: Stage, _grant: Any) -> None:
    stage.withdraw(5)


def new_version(stage: Stage, _grant: Any) -> None:
    stage.load(stage.dataset_id, DATASET_HEADER, people())


def new_base_version(stage: Stage, _grant: Any) -> None:
    stage.load(stage.base_id, BASE_HEADER, clients(1_100))


def revocation(stage: Stage, grant: Any) -> None:
    with stage.room.db.transaction() as tx:
        stage.room.grants.revoke(tx, grant.id)


def fresh_question(stage: Stage, grant: Any) -> None:
    stage.ask(grant, precision="normal")


def key_rotation(stage: Stage, _grant: Any) -> None:
    stage.room.rotation.rotate_token_key(stage.provider.workspace_id)


def end_of_dataset(stage: Stage, _grant: Any) -> None:
    with stage.room.db.transaction() as tx:
        stage.room.removing.delete(tx, stage.dataset_id, organisation_id=stage.provider.organisation_id)


def sector(stage: Stage, _grant: Any) -> None:
    with stage.room.db.transaction() as tx:
        stage.room.accounts.set_sector(tx, stage.advertiser.organisation_id, "banking")


def time(stage: Stage, _grant: Any) -> None:
    stage.clock.move(seconds=FRESH_FOR.total_seconds())


CHANGES = (
    stop,
    new_rule,
    withdrawal,
    new_version,
    new_base_version,
    revocation,
    fresh_question,
    key_rotation,
    end_of_dataset,
    sector,
    time,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_happens_in_between_has_the_question_decided_anew(
    stage: Stage, change: Callable[[Stage, Any], None]
) -> None:
    grant = stage.grant()
    stage.ask(grant, **QUESTION)
    foreseen, _ = look(stage, grant)
    change(stage, grant)
    before = entered(stage)
    assert not enter(stage, foreseen)
    assert entered(stage) == before


@pytest.mark.parametrize(
    "change", [*CHANGES, None], ids=lambda change: getattr(change, "__name__", "nothing")
)
def test_whoever_asks_next_is_told_what_was_remembered_only_while_it_holds(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: Callable[[Stage, Any], None] | None
) -> None:
    grant, question = stage.grant(), stage.question(**QUESTION)
    asking = {"grant_id": grant.id, "asker_id": stage.advertiser.organisation_id}
    stage.ask(grant, question)
    reads: list[str] = []
    find = FactFinder.find_settled

    def counted(self: FactFinder, *args: Any, **options: Any) -> Any:
        reads.append("facts")
        return find(self, *args, **options)

    monkeypatch.setattr(FactFinder, "find_settled", counted)

    def look_up() -> Any:
        with stage.room.db.reading() as tx:
            return stage.room.analyses.foresee(tx, question, **asking)

    first, second = look_up(), look_up()
    assert reads == ["facts"]
    assert second[0].analysis_id != first[0].analysis_id
    assert second[0].at > first[0].at
    assert second[1].analysis.asked_at == second[0].at
    assert replace(second[1].answer, analysis_id="") == replace(first[1].answer, analysis_id="")
    if change is None:
        assert enter(stage, look_up()[0])
        assert reads == ["facts"]
        return
    change(stage, grant)
    third = look_up()
    assert reads == ["facts", "facts"]
    # These leave the answer as it was.
    assert (third is not None) is (change in (fresh_question, key_rotation, sector, time))


def test_a_right_that_ends_while_it_is_remembered_ends_at_its_instant(stage: Stage) -> None:
    grant = stage.grant(expires_at=stage.clock.now() + timedelta(seconds=30))
    question = stage.question(**QUESTION)
    asking = {"grant_id": grant.id, "asker_id": stage.advertiser.organisation_id}
    stage.ask(grant, question)
    stage.clock.wait_until(grant.expires_at - timedelta(milliseconds=300))
    for found in (True, True, False):
        with stage.room.db.reading() as tx:
            looked = stage.room.analyses.foresee(tx, question, **asking)
        assert (looked is not None) is found
        stage.clock.move(milliseconds=200)


def test_what_others_do_in_the_same_commit_counts_too(stage: Stage) -> None:
    grant = stage.grant()
    stage.ask(grant, **QUESTION)
    foreseen, _ = look(stage, grant)
    db, begun, go_on = stage.room.db, Event(), Event()

    def first(_tx: Any) -> None:
        begun.set()
        assert go_on.wait(120)

    def stopping(tx: Any) -> None:
        stage.room.rules.stop(tx, stage.dataset_id, organisation_id=stage.provider.organisation_id)

    with ThreadPoolExecutor(3) as pool:
        leading = pool.submit(db.together, first)
        assert begun.wait(120)
        stopped = pool.submit(db.together, stopping)
        sleep(0.1)
        asked = pool.submit(db.together, lambda tx: stage.room.analyses.enter(tx, foreseen))
        sleep(0.1)
        go_on.set()
        leading.result(120)
        stopped.result(120)
        assert asked.result(120) is False


def test_a_restored_room_gives_no_stored_answer(stage: Stage) -> None:
    grant = stage.grant()
    stage.ask(grant, **QUESTION)
    foreseen, _ = look(stage, grant)
    head = stage.room.settings.head_path
    head.unlink()
    assert not enter(stage, foreseen)
    assert stage.ask(grant, **QUESTION).outcome is Outcome.REFUSED


def test_consents_that_end_by_the_calendar_begin_their_epoch_first(expiring: Stage) -> None:
    grant = expiring.grant(purposes=["research"], expires_at=expiring.clock.now() + timedelta(days=30))
    plain = {"segments": None, "purpose": "research"}
    expiring.ask(grant, **{**QUESTION, **plain})
    assert look(expiring, grant, **plain) is not None
    expiring.clock.move(days=1)
    assert look(expiring, grant, **plain) is None
