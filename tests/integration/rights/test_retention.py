"""Periods end by themselves: told of before, kept to the day, with events and an act for each."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from cleanroom.datasets.types import VersionStatus
from cleanroom.notices.models import NoticeRow
from cleanroom.notices.types import NoticeType
from cleanroom.rights.errors import RetentionFormError
from cleanroom.rights.types import ActKind, RetentionRule, Why
from tests.rights_rooms import DATED_HEADER, DATED_SCHEMA, dated, problems
from tests.rooms import DATASET_HEADER, Stage, people

pytestmark = pytest.mark.slow_on("postgresql")


def put(stage: Stage, rule: RetentionRule, dataset_id: str = "") -> Any:
    with stage.room.db.transaction() as tx:
        return stage.room.rights.periods.put(
            tx,
            dataset_id or stage.dataset_id,
            rule,
            organisation_id=stage.provider.organisation_id,
            by="us_1",
        )


def work(stage: Stage) -> None:
    """What a worker does now and then."""
    rights = stage.room.rights
    rights.periods.keep()
    while rights.compactions.work():
        pass
    rights.acts.catch_up()


def statuses(stage: Stage, dataset_id: str = "") -> list[VersionStatus]:
    with stage.room.db.reading() as tx:
        versions = stage.room.datasets.versions(tx, dataset_id or stage.dataset_id)
    return [version.status for version in versions]


def test_a_version_is_told_of_and_then_goes_on_its_day_not_before(stage: Stage) -> None:
    room = stage.room
    put(stage, RetentionRule(version_days=30, warn_days=7))
    work(stage)
    assert stage.events("rights.retention_ends") == []
    stage.clock.move(days=23)
    work(stage)
    work(stage)
    (told,) = stage.events("rights.retention_ends")
    assert told["body"] == {"dataset_id": stage.dataset_id, "due_on": "2026-12-22"}
    stage.clock.move(days=6)
    work(stage)
    assert statuses(stage) == [VersionStatus.PUBLISHED]
    stage.clock.move(days=1)
    work(stage)
    assert statuses(stage) == [VersionStatus.DELETED]
    assert [event["kind"] for event in stage.events()][-4:] == [
        "datasets.version_retired",
        "datasets.version_deleted",
        "rights.retention_ended",
        "rights.act_made",
    ]
    with room.db.reading() as tx:
        (act,) = room.rights.acts.listed(tx, stage.provider.organisation_id, limit=5)
    assert act.kind is ActKind.VERSION_DELETED
    assert act.document["reason"]["code"] == "retention"
    assert act.document["reason"]["rule"]["version_days"] == 30
    assert problems(stage) == []


def test_the_last_day_counts_and_older_versions_go_too(stage: Stage) -> None:
    stage.load(stage.dataset_id, DATASET_HEADER, people(20))
    put(stage, RetentionRule(retain_until=date(2026, 11, 25), warn_days=0))
    stage.clock.move(days=3)
    work(stage)
    assert statuses(stage) == [VersionStatus.RETIRED, VersionStatus.PUBLISHED]
    stage.clock.move(days=1)
    work(stage)
    assert statuses(stage) == [VersionStatus.DELETED, VersionStatus.DELETED]
    assert not [key for key in stage.room.store.keys() if key.startswith(stage.provider.workspace_id)]  # noqa: SIM118


def test_people_whose_consents_are_too_old_go_and_a_new_epoch_begins(stage: Stage) -> None:
    room, dataset_id = stage.room, stage.register("dataset", DATED_SCHEMA)
    rows = [dated(number, seen=f"2026-{1 + number:02}-15T00:00:00Z") for number in range(10)]
    version_id = stage.load(dataset_id, DATED_HEADER, [*rows, dated(10, seen="")])
    # Of nobody whose consent is undated it is known to be old; the version's own period ends them.
    put(stage, RetentionRule(collected_days=100), dataset_id)
    with room.db.reading() as tx:
        before = room.consents.epoch(tx, dataset_id)
    work(stage)
    with room.db.reading() as tx:
        version = room.datasets.version(tx, version_id)
        report = room.datasets.report(tx, version_id)
        (one,) = room.rights.compactions.of(tx, dataset_id)
        assert room.consents.epoch(tx, dataset_id) == before + 1
    # 2026-11-22 less 100 days is 2026-08-14.
    assert (version.persons, report.outdated, report.erased) == (4, 7, 0)
    assert one.why is Why.RETENTION
    # Once a day, and the next day again: whether anybody is old must not show.
    work(stage)
    with room.db.reading() as tx:
        assert len(room.rights.compactions.of(tx, dataset_id)) == 1
    stage.clock.move(days=2)
    work(stage)
    with room.db.reading() as tx:
        assert len(room.rights.compactions.of(tx, dataset_id)) == 2
        assert room.datasets.version(tx, version_id).persons == 3
    assert problems(stage) == []


def test_a_version_that_a_question_reads_goes_later(stage: Stage, while_counting: Any) -> None:
    put(stage, RetentionRule(version_days=1, warn_days=0))
    stage.clock.move(hours=12)
    grant = stage.grant("S")

    def midnight() -> None:
        stage.clock.move(days=1)
        work(stage)

    while_counting(midnight)
    assert stage.ask(grant, precision="rough").outcome in ("released", "refused")
    assert statuses(stage) == [VersionStatus.PUBLISHED]
    work(stage)
    assert statuses(stage) == [VersionStatus.DELETED]


def test_a_longer_period_keeps_what_a_shorter_one_would_have_ended(stage: Stage) -> None:
    put(stage, RetentionRule(version_days=5))
    put(stage, RetentionRule(version_days=50))
    stage.clock.move(days=10)
    work(stage)
    assert statuses(stage) == [VersionStatus.PUBLISHED]
    put(stage, RetentionRule())
    stage.clock.move(days=100)
    work(stage)
    assert statuses(stage) == [VersionStatus.PUBLISHED]


@pytest.mark.parametrize(
    "rule",
    [
        RetentionRule(version_days=0),
        RetentionRule(version_days=36_501),
        RetentionRule(collected_days=30),
        RetentionRule(retain_until=date(2026, 11, 21)),
        RetentionRule(version_days=5, warn_days=366),
    ],
)
def test_periods_that_cannot_be_kept_are_refused(stage: Stage, rule: RetentionRule) -> None:
    with pytest.raises(RetentionFormError):
        put(stage, rule)
    assert put(stage, replace(RetentionRule(), version_days=1)).ends != {}


def test_the_owners_people_are_told_in_their_notices(stage: Stage) -> None:
    room = stage.room
    put(stage, RetentionRule(version_days=10))
    work(stage)
    room.notices.outbox.catch_up(room.db)
    with room.db.reading() as tx:
        told = tx.session.scalars(
            select(NoticeRow).where(NoticeRow.type == NoticeType.VERSION_ENDS.value)
        ).all()
        found = [(one.organisation_id, one.scope) for one in told]
    assert found == [(stage.provider.organisation_id, "datasets:read")]
