"""Requests, acts and coming ends in pages: whose they are, in which order, and in how few statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from cleanroom.datasets.types import DatasetKind
from cleanroom.rights import browsing
from cleanroom.rights.ending import endings, without_period
from cleanroom.rights.errors import UnknownErasureError
from cleanroom.rights.models import CompactionRow
from cleanroom.rights.schedule import schedule
from cleanroom.rights.types import ActKind, ErasureState, PassState, RetentionRule, Why
from tests.rights_rooms import DATED_HEADER, DATED_SCHEMA, asked, compact, dated, erase
from tests.rooms import DATASET_HEADER, Stage, email, people

pytestmark = pytest.mark.slow_on("postgresql")


@contextmanager
def counted(stage: Stage) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            said.append(statement)

    event.listen(stage.room.db.engine, "before_cursor_execute", note)
    yield said
    event.remove(stage.room.db.engine, "before_cursor_execute", note)


def test_requests_stand_with_the_pass_that_did_them_or_is_to(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    first = erase(stage, 3).erasure
    done = compact(stage)
    stage.clock.move(minutes=1)
    second, third = (erase(stage, number).erasure for number in (4, 5))
    of_base = stage.room.rights.erasures.ask(
        stage.base_id,
        asked(("email/room", email(6))),
        organisation_id=stage.advertiser.organisation_id,
        kind=DatasetKind.BASE,
        by="us_2",
    ).erasure
    with stage.room.db.reading() as tx, counted(stage) as said:
        found, total = browsing.erasures(tx, owner)
    assert (total, len(said)) == (3, 4)
    by_id = {one.erasure.id: one for one in found}
    assert {one.erasure.id for one in found[:2]} == {second.id, third.id}
    assert found[2].erasure.id == first.id
    ran = by_id[first.id].ran
    assert ran is not None
    assert (ran.id, ran.state, by_id[first.id].erasure.compaction_id) == (done.id, PassState.DONE, done.id)
    coming = by_id[second.id].ran
    assert coming is not None
    assert (coming.why, coming.state, coming.due_at) == (Why.ERASURE, PassState.WAITING, second.erase_by)
    assert by_id[second.id].erasure == second
    with stage.room.db.reading() as tx:
        everything, total = browsing.erasures(tx, None, limit=2)
        assert (len(everything), total) == (2, 4)
        rest, _ = browsing.erasures(tx, None, offset=2, limit=5)
        assert {one.erasure.id for one in (*everything, *rest)} == {first.id, second.id, third.id, of_base.id}
        for descending in (True, False):
            by_end, _ = browsing.erasures(tx, owner, sort="erased", descending=descending)
            assert by_end[0].erasure.id == first.id
        erased, total = browsing.erasures(tx, owner, state=ErasureState.ERASED)
        assert ([one.erasure.id for one in erased], total) == ([first.id], 1)
        assert browsing.erasures(tx, owner, dataset_id=stage.base_id) == ((), 0)
        assert browsing.asked_about(tx, owner, limit=5) == {stage.dataset_id: "people"}
        assert set(browsing.asked_about(tx, None, limit=5)) == {stage.dataset_id, stage.base_id}
        # Who has it erased, and the operator, and nobody else.
        for seen_by in (stage.advertiser.organisation_id, None):
            assert browsing.erasure(tx, of_base.id, organisation_id=seen_by).erasure.id == of_base.id
        for nothing in (of_base.id, "er_0"):
            with pytest.raises(UnknownErasureError):
                browsing.erasure(tx, nothing, organisation_id=owner)


def test_the_next_pass_is_the_one_that_is_due_first_of_those_that_erase(stage: Stage) -> None:
    room, owner = stage.room, stage.provider.organisation_id
    waits = erase(stage, 3).erasure
    begun = stage.clock.now()

    def plan(why: Why, **step: float) -> str:
        with room.db.transaction() as tx:
            room.datasets.lock(tx, stage.dataset_id)
            due_at = begun + timedelta(**step)
            return schedule(
                tx, room.clock, stage.dataset_id, organisation_id=owner, why=why, due_at=due_at
            ).id

    # It lets the pass that waits begin earlier; once begun, another one is planned beside it.
    first = plan(Why.ERASURE, hours=5)
    with room.db.transaction() as tx:
        tx.session.get_one(CompactionRow, first).started_at = begun
    plan(Why.ERASURE, hours=9)
    plan(Why.RETENTION, hours=1)
    with room.db.reading() as tx:
        found = browsing.erasure(tx, waits.id, organisation_id=owner)
        assert found.ran is not None
        assert (found.ran.id, found.erasure.erase_by) == (first, begun + timedelta(hours=5))
        assert room.rights.erasures.erasure(tx, stage.dataset_id, waits.id) == found.erasure


def test_requests_that_wait_too_long_are_counted(stage: Stage) -> None:
    owner = stage.provider.organisation_id
    erase(stage, 3)
    compact(stage)
    waits = erase(stage, 4).erasure
    with stage.room.db.reading() as tx:
        just_after = waits.asked_at + timedelta(microseconds=1)
        assert (
            browsing.asked_before(tx, owner, just_after) == browsing.asked_before(tx, None, just_after) == 1
        )
        assert browsing.asked_before(tx, owner, waits.asked_at) == 0
        assert browsing.asked_before(tx, stage.advertiser.organisation_id, just_after) == 0


def test_acts_name_what_was_destroyed_and_read_no_document(stage: Stage) -> None:
    room, owner = stage.room, stage.provider.organisation_id
    erase(stage, 3)
    done = compact(stage)
    with room.db.reading() as tx:
        first = room.datasets.current(tx, stage.dataset_id)
    stage.load(stage.dataset_id, DATASET_HEADER, people(30))
    with room.db.transaction() as tx:
        room.removing.delete_version(tx, stage.dataset_id, first.id)
    while room.rights.acts.catch_up():
        stage.clock.move(milliseconds=2)
    with room.db.transaction() as tx:
        room.removing.delete(tx, stage.dataset_id, organisation_id=owner)
    stage.clock.move(milliseconds=2)
    room.rights.acts.catch_up()
    with room.db.reading() as tx, counted(stage) as said:
        found, total = browsing.acts(tx, owner)
    assert total == 3
    assert len(said) == 4
    assert not [one for one in said if "document" in one]
    told = {one.kind: (one.subject_id, one.about, one.version) for one in found}
    assert told == {
        ActKind.ROWS_ERASED: (done.id, stage.dataset_id, None),
        ActKind.VERSION_DELETED: (first.id, stage.dataset_id, first.number),
        ActKind.DATASET_DELETED: (stage.dataset_id, stage.dataset_id, None),
    }
    assert found[0].kind is ActKind.DATASET_DELETED
    with room.db.reading() as tx:
        whole = room.rights.acts.act(tx, found[0].id, organisation_id=owner)
        assert (whole.number, whole.event_index) == (found[0].number, found[0].event_index)
        assert browsing.acts(tx, None, kind=ActKind.ROWS_ERASED)[1] == 1
        assert browsing.acts(tx, stage.advertiser.organisation_id) == ((), 0)
        assert browsing.acts(tx, owner, offset=2, limit=1)[0] == found[2:]


def test_what_ends_first_comes_first_with_the_versions_that_go_then(stage: Stage) -> None:
    room, owner = stage.room, stage.provider.organisation_id
    second = stage.register("dataset", DATED_SCHEMA)
    stage.load(second, DATED_HEADER, [dated(number) for number in range(30)])
    third = stage.register("dataset", DATED_SCHEMA)
    stage.clock.move(days=10)
    stage.load(stage.dataset_id, DATASET_HEADER, people(30), publish=False)

    def put(dataset_id: str, rule: RetentionRule) -> None:
        with room.db.transaction() as tx:
            room.rights.periods.put(tx, dataset_id, rule, organisation_id=owner, by="us_1")

    with room.db.reading() as tx:
        assert endings(tx, owner) == ((), 0)
        assert (without_period(tx, owner), without_period(tx, None)) == (3, 4)
    put(stage.dataset_id, RetentionRule(version_days=30, warn_days=7))
    put(second, RetentionRule(retain_until=date(2026, 12, 10), collected_days=900))
    put(third, RetentionRule(version_days=1))
    with room.db.reading() as tx:
        with counted(stage) as said:
            found, total = endings(tx, owner)
        assert (total, len(said)) == (3, 2)
        assert [(one.dataset_id, one.next_on, one.versions, one.later) for one in found] == [
            # The last day still counts.
            (second, date(2026, 12, 11), (1,), 0),
            (stage.dataset_id, date(2026, 12, 22), (1,), 1),
            # Nothing was loaded into it.
            (third, None, (), 0),
        ]
        assert found[1].told_on == date(2026, 12, 15)
        assert found[2].told_on is None
        # As the room itself keeps them.
        for one in found:
            retention = room.rights.periods.of(tx, one.dataset_id)
            assert min(retention.ends.values(), default=None) == one.next_on
            assert retention.rule == one.rule
        assert endings(tx, None, offset=1, limit=1) == ((found[1],), 3)
        assert endings(tx, stage.advertiser.organisation_id) == ((), 0)
        assert without_period(tx, owner) == 0
    with room.db.transaction() as tx:
        room.removing.delete(tx, second, organisation_id=owner)
    with room.db.reading() as tx:
        assert [one.dataset_id for one in endings(tx, owner)[0]] == [stage.dataset_id, third]
