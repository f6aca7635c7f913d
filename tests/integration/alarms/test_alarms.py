"""Alarms: each pattern raises its own, once while it is open; ordinary use raises none; a killed worker loses none."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from cleanroom.alarms.detecting import FORGOTTEN_AFTER, FRESH
from cleanroom.alarms.errors import AcknowledgedError, AlarmNoteError, UnknownAlarmError
from cleanroom.alarms.models import AlarmRow, AlarmStateRow, AlarmWatchRow
from cleanroom.alarms.patterns import LEAST_DAYS
from cleanroom.alarms.reading import SORTS, alarm, alarms, newest_alarms, open_alarms
from cleanroom.alarms.sightings import BULK_KINDS, WITNESS_KINDS
from cleanroom.alarms.types import Alarm, AlarmKind, AlarmState, Whose
from cleanroom.analyses.types import Outcome
from cleanroom.settings.alarms import USUAL
from policies.codec import load_preset
from policies.model import PolicyDocument
from policies.rules import BaseFloor
from tests.people_rooms import person, quick_hashes
from tests.rooms import PURPOSE, Stage

__all__ = ["quick_hashes"]
pytestmark = [pytest.mark.usefixtures("quick_hashes"), pytest.mark.slow_on("postgresql")]
ROOM = Whose("", whole_room=True)
OLD = {"attribute": "age", "op": ">=", "value": 45}
WOMEN = {"attribute": "sex", "op": "==", "value": "F"}


def look(stage: Stage) -> tuple[Alarm, ...]:
    stage.room.alarms.detecting.catch_up(stage.room.db)
    with stage.room.db.reading() as tx:
        return alarms(tx, ROOM, descending=False, limit=100)[0]


def note(stage: Stage, kind: str, subject: str = "x", owner: str | None = None, **body: Any) -> None:
    with stage.room.db.transaction() as tx:
        tx.audit(kind, subject_id=subject, organisation_id=owner, body=body)


def asked(stage: Stage) -> None:
    note(
        stage,
        "analyses.asked",
        "an_1",
        stage.provider.organisation_id,
        dataset_id=stage.dataset_id,
        advertiser_id=stage.advertiser.organisation_id,
    )


def use(stage: Stage) -> None:
    """What a buyer and its provider do on an ordinary day: questions, a refusal, a mistyped password."""
    grant = stage.grant()
    for number in range(6):
        segments = {"some": {"attribute": "age", "op": ">=", "value": 20 + 10 * number}}
        assert stage.ask(grant, segments=segments, precision="rough").outcome is Outcome.RELEASED
        stage.clock.move(minutes=7)
    stage.rule(
        PolicyDocument("wants more", (*load_preset("strict", purposes=[PURPOSE]).rules, BaseFloor(9_999_999)))
    )
    for _ in range(3):
        assert stage.ask(grant).outcome is Outcome.REFUSED
    who = person(stage.room, stage.provider.organisation_id, "officer", "olga@example.org")
    for _ in range(3):
        who.sign_in("a wrong password, once more")
    stage.clock.move(hours=1)
    who.sign_in()
    stage.withdraw(1, 2)


def test_ordinary_use_raises_nothing(stage: Stage) -> None:
    # The usual rule looks for questions that hardly differ; those of `use` do, and others would not.
    stage.rule(load_preset("standard", purposes=[PURPOSE]))
    use(stage)
    assert {one.kind for one in look(stage)} <= {AlarmKind.DIFFERENCE}


def test_questions_that_hardly_differ_are_gathered_under_one_alarm(stage: Stage) -> None:
    grant = stage.grant()
    stage.ask(grant, segments={"old": OLD})
    for changed in ({"all": [OLD, WOMEN]}, OLD | {"value": 46}):
        stage.ask(grant, segments={"old": changed})
    (found,) = look(stage)
    assert (found.kind, found.occurrences) == (AlarmKind.DIFFERENCE, 2)
    assert (found.party, found.organisation_id) == ("advertiser", stage.provider.organisation_id)
    assert found.dataset_id == stage.dataset_id
    events = stage.events("analyses.difference_alarm")
    assert found.raised_at.isoformat() == events[0]["at"].replace("Z", "+00:00")
    (raised,) = stage.events("alarms.raised")
    assert (raised["subject"], raised["organisation"]) == (found.id, stage.provider.organisation_id)
    assert raised["body"] == {
        "alarm": "difference",
        "party_id": stage.advertiser.organisation_id,
        "dataset_id": stage.dataset_id,
        "event": found.first_index,
        "at": events[0]["at"],
    }


def test_refusals_one_after_another_raise_one(stage: Stage) -> None:
    grant = stage.grant()
    floor = BaseFloor(9_999_999)
    stage.rule(PolicyDocument("wants more", (*load_preset("strict", purposes=[PURPOSE]).rules, floor)))
    for _ in range(USUAL.refusals - 1):
        stage.ask(grant)
    assert look(stage) == ()
    stage.ask(grant)
    (found,) = look(stage)
    assert (found.kind, found.party, found.dataset) == (AlarmKind.REFUSALS, "advertiser", "")


def test_many_who_draw_on_a_grant_that_is_nearly_spent_are_a_race(stage: Stage) -> None:
    grant = stage.grant("S")
    # Whoever spends it all and goes on asking is refused for the budget, again and again.
    while stage.ask(grant, precision="fine").outcome is Outcome.RELEASED:
        assert [one.kind for one in look(stage)] == []
    for _ in range(USUAL.race):
        stage.ask(grant, precision="fine")
    (found,) = look(stage)
    assert (found.kind, found.dataset_id) == (AlarmKind.BUDGET_RACE, stage.dataset_id)


def test_a_race_is_seen_before_anything_is_refused(stage: Stage) -> None:
    grant = stage.grant("L")
    left = grant.allocated.rho_micro // 10
    for number in range(USUAL.race):
        assert look(stage) == ()
        note(
            stage,
            "grants.budget_reserved",
            f"an_{number}",
            stage.advertiser.organisation_id,
            grant_id=grant.id,
            left_micro=left - number,
        )
    assert [one.kind for one in look(stage)] == [AlarmKind.BUDGET_RACE]


def test_many_at_once_with_plenty_left_are_none(stage: Stage) -> None:
    grant = stage.grant("L")
    for number in range(2 * USUAL.race):
        left = grant.allocated.rho_micro // 2 - number
        note(stage, "grants.budget_reserved", f"an_{number}", None, grant_id=grant.id, left_micro=left)
    assert look(stage) == ()


def test_the_same_at_leisure_is_none(stage: Stage) -> None:
    grant = stage.grant("L")
    for number in range(3 * USUAL.race):
        share = grant.allocated.rho_micro if number % 2 else 1
        note(stage, "grants.budget_reserved", f"an_{number}", None, grant_id=grant.id, left_micro=share)
        stage.clock.move(seconds=20)
    assert look(stage) == ()


def test_a_question_in_the_night_is_odd_once_there_is_a_habit(stage: Stage) -> None:
    for _ in range(LEAST_DAYS + 1):
        for _ in range(6):
            asked(stage)
            stage.clock.move(minutes=10)
        stage.clock.move(hours=23)
    assert look(stage) == ()
    stage.clock.move(hours=12)
    asked(stage)
    (found,) = look(stage)
    assert (found.kind, found.party) == (AlarmKind.ODD_HOURS, "advertiser")


def test_a_newcomer_has_no_odd_hours(stage: Stage) -> None:
    for _ in range(LEAST_DAYS - 1):
        asked(stage)
        stage.clock.move(days=1)
    stage.clock.move(hours=12)
    asked(stage)
    assert look(stage) == ()


def with_settings(stage: Stage, **changed: Any) -> None:
    detecting = replace(stage.room.alarms.detecting, settings=replace(USUAL, **changed))
    stage.room = replace(stage.room, alarms=replace(stage.room.alarms, detecting=detecting))


def test_hours_that_the_operator_names_count_from_the_first_question_on(stage: Stage) -> None:
    with_settings(stage, hours=(7, 22))
    asked(stage)
    assert look(stage) == ()
    stage.clock.move(hours=11)
    asked(stage)
    assert [one.kind for one in look(stage)] == [AlarmKind.ODD_HOURS]


def test_failed_sign_ins_concern_the_organisation_whose_people_they_are_or_the_room(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    for number in range(USUAL.sign_ins):
        note(stage, "signin.failed", f"us_{number}", owner, step="password")
    found = look(stage)
    assert [(one.kind, one.organisation_id) for one in found] == [(AlarmKind.SIGN_IN, owner)]
    for _ in range(USUAL.sign_ins):
        note(stage, "signin.failed", "unknown", None, step="password")
    assert [one.organisation_id for one in look(stage)] == [owner, None]


def test_people_looked_up_in_bulk_and_a_witness_that_refuses(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    for number in range(USUAL.bulk):
        note(stage, BULK_KINDS[number % len(BULK_KINDS)], stage.dataset_id, owner)
    note(stage, WITNESS_KINDS[0], "witness", None)
    found = look(stage)
    assert [(one.kind, one.organisation_id) for one in found] == [
        (AlarmKind.BULK, owner),
        (AlarmKind.WITNESS, None),
    ]


def test_a_damaged_log_and_a_witness_that_stays_away_are_told(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    note(stage, "audit.witness_unreachable", "witness", None)
    assert look(stage) == ()
    note(stage, "audit.witness_away", "witness", None)
    note(stage, "audit.damaged", "ck_1", None)
    note(stage, "audit.damaged", "ck_2", owner)
    found = look(stage)
    assert [(one.kind, one.organisation_id, one.occurrences) for one in found] == [
        (AlarmKind.WITNESS_AWAY, None, 1),
        (AlarmKind.DAMAGED, None, 2),
        (AlarmKind.DAMAGED, owner, 1),
    ]


def test_what_happened_long_ago_raises_nothing_and_is_learned_from(stage: Stage) -> None:
    for _ in range(USUAL.sign_ins):
        note(stage, "signin.failed", "unknown", None)
    stage.clock.move(days=FRESH.days, minutes=1)
    assert look(stage) == ()
    for _ in range(LEAST_DAYS * 6):
        asked(stage)
        stage.clock.move(hours=4)
    stage.clock.move(days=FRESH.days)
    assert look(stage) == ()
    with stage.room.db.reading() as tx:
        rows = select(AlarmWatchRow.data).where(AlarmWatchRow.key.startswith("hours:"))
        (habit,) = tx.session.scalars(rows).all()
    assert sum(habit["counts"]) == LEAST_DAYS * 6


def test_a_worker_that_is_killed_loses_nothing_and_tells_nothing_twice(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    for number in range(USUAL.sign_ins + 3):
        note(stage, "signin.failed", f"us_{number}", owner)
    room = stage.room

    def killed() -> None:
        with room.db.transaction() as tx:
            assert room.alarms.detecting.look(tx) == USUAL.sign_ins + 3
            assert open_alarms(tx, ROOM) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    with room.db.reading() as tx:
        assert open_alarms(tx, ROOM) == 0
        assert tx.session.scalar(select(func.count()).select_from(AlarmWatchRow)) == 0
    # Batch after batch of one.
    for _ in range(USUAL.sign_ins + 3):
        with room.db.transaction() as tx:
            assert room.alarms.detecting.look(tx, limit=1) == 1
    with room.db.transaction() as tx:
        assert room.alarms.detecting.look(tx) == 0
    assert [one.occurrences for one in look(stage)] == [1]
    assert len(stage.events("alarms.raised")) == 1


def test_reading_an_idle_log_writes_nothing(stage: Stage) -> None:
    asked(stage)
    look(stage)
    note(stage, "access.role_changed", "us_1", stage.provider.organisation_id)
    with stage.room.db.reading() as tx:
        before = tx.session.get_one(AlarmStateRow, 1).next_index
    look(stage)
    with stage.room.db.reading() as tx:
        assert tx.session.get_one(AlarmStateRow, 1).next_index == before


def test_what_is_remembered_of_parties_long_gone_goes(stage: Stage) -> None:
    asked(stage)
    look(stage)
    sweep: Callable[[Any], None] = stage.room.alarms.detecting.sweep
    for moved, left in ((timedelta(), 1), (FORGOTTEN_AFTER, 0)):
        stage.clock.move(days=moved.days)
        with stage.room.db.transaction() as tx:
            sweep(tx)
            assert tx.session.scalar(select(func.count()).select_from(AlarmWatchRow)) == left


def test_an_alarm_is_acknowledged_once_with_words_by_those_whose_it_is(stage: Stage) -> None:
    owner, room = stage.provider.organisation_id, stage.room
    officer = person(room, owner, "officer", "olga@example.org").user.id
    for _ in range(USUAL.sign_ins):
        note(stage, "signin.failed", "us_1", owner)
    (found,) = look(stage)
    acknowledge = room.alarms.acknowledge
    for whose, text, error in (
        (Whose(owner), " \n", AlarmNoteError),
        (Whose(owner), "x" * 501, AlarmNoteError),
        (Whose(stage.advertiser.organisation_id), "seen", UnknownAlarmError),
        (ROOM, "seen", UnknownAlarmError),
    ):
        with pytest.raises(error), room.db.transaction() as tx:
            acknowledge(tx, found.id, whose, by=officer, note=text)
    with room.db.transaction() as tx:
        acknowledge(tx, found.id, Whose(owner), by=officer, note=" A password was forgotten. ")
    with pytest.raises(AcknowledgedError), room.db.transaction() as tx:
        acknowledge(tx, found.id, Whose(owner), by=officer, note="again")
    with room.db.reading() as tx:
        done = alarm(tx, found.id, Whose(owner))
        assert open_alarms(tx, Whose(owner)) == 0
    assert (done.open, done.acknowledged_by_id, done.acknowledged_by, done.note) == (
        False,
        officer,
        "olga@example.org",
        "A password was forgotten.",
    )
    (event,) = stage.events("alarms.acknowledged")
    assert event["body"] == {
        "by": officer,
        "note": "A password was forgotten.",
        "occurrences": 1,
        "last": found.last_index,
    }
    # The same pattern is news again.
    for _ in range(USUAL.sign_ins):
        note(stage, "signin.failed", "us_1", owner)
    assert [one.open for one in look(stage)] == [False, True]


def test_the_rooms_own_alarm_is_its_operators_to_acknowledge_by_a_program_too(stage: Stage) -> None:
    owner, room = stage.provider.organisation_id, stage.room
    for _ in range(USUAL.sign_ins):
        note(stage, "signin.failed")
    (found,) = look(stage)
    with room.db.transaction() as tx:
        client = room.access.clients.register(
            tx, organisation_id=owner, name="Nightly look", role="officer"
        ).client
    with pytest.raises(UnknownAlarmError), room.db.transaction() as tx:
        room.alarms.acknowledge(tx, found.id, Whose(owner), by=client.id, note="seen")
    with room.db.transaction() as tx:
        room.alarms.acknowledge(tx, found.id, ROOM, by=client.id, note="seen")
        done = alarm(tx, found.id, ROOM)
    assert (done.acknowledged_by_id, done.acknowledged_by) == (client.id, "Nightly look")


def test_whoever_goes_on_at_the_last_alarm_misses_none_though_some_are_acknowledged_meanwhile(
    stage: Stage,
) -> None:
    owner, buyer = stage.provider.organisation_id, stage.advertiser.organisation_id
    for number in range(5):
        about = {"dataset_id": f"ds_{number}", "advertiser_id": buyer}
        note(stage, "analyses.difference_alarm", f"an_{number}", owner, **about)
    for _ in range(USUAL.sign_ins):
        note(stage, "signin.failed", "us_1", buyer)
    whole, seen, before = look(stage), list[Alarm](), ""
    while True:
        with stage.room.db.transaction() as tx:
            found = newest_alarms(tx, ROOM, state=AlarmState.OPEN, before=before, limit=2)
            for one in found:
                stage.room.alarms.acknowledge(
                    tx, one.id, Whose(one.organisation_id or ""), by="cl_1", note="seen"
                )
        if not found:
            break
        seen, before = [*seen, *found], found[-1].id
    assert [one.id for one in seen] == sorted((one.id for one in whole), reverse=True)
    with stage.room.db.reading() as tx:
        for whose, kinds, state, count in (
            (ROOM, (), None, 6),
            (Whose(owner), (), AlarmState.ACKNOWLEDGED, 5),
            (Whose(buyer), (), None, 1),
            (ROOM, (), AlarmState.OPEN, 0),
            (ROOM, (AlarmKind.SIGN_IN,), None, 1),
            (ROOM, (AlarmKind.SIGN_IN, AlarmKind.DIFFERENCE), None, 6),
            (ROOM, (AlarmKind.BULK,), None, 0),
        ):
            assert len(newest_alarms(tx, whose, kinds=kinds, state=state)) == count


def test_pages_of_alarms(stage: Stage) -> None:
    owner, buyer = stage.provider.organisation_id, stage.advertiser.organisation_id
    for whose in (owner, buyer, None):
        for _ in range(USUAL.sign_ins):
            note(stage, "signin.failed", "us_1", whose)
    for number in range(3):
        note(
            stage,
            "analyses.difference_alarm",
            f"an_{number}",
            owner,
            dataset_id=f"ds_{number}",
            advertiser_id=buyer,
        )
    look(stage)
    with stage.room.db.reading() as tx:
        assert alarms(tx, ROOM)[1] == 6
        assert alarms(tx, Whose(owner))[1] == 4
        assert {one.organisation_id for one in alarms(tx, Whose(buyer))[0]} == {buyer}
        assert alarms(tx, ROOM, kind=AlarmKind.SIGN_IN)[1] == 3
        for sort in (*SORTS, "nonsense"):
            whole, _ = alarms(tx, ROOM, sort=sort)
            paged = [
                one for offset in (0, 2, 4) for one in alarms(tx, ROOM, sort=sort, offset=offset, limit=2)[0]
            ]
            assert paged == list(whole)
        with pytest.raises(UnknownAlarmError):
            alarm(tx, alarms(tx, Whose(buyer))[0][0].id, Whose(owner))
    with stage.room.db.reading() as tx:
        assert tx.session.scalar(select(func.count()).select_from(AlarmRow)) == 6
