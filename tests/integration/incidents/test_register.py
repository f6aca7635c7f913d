"""A register is only added to, its terms run from the discovery, and the log states every entry."""

from datetime import timedelta

import pytest

from cleanroom.incidents.errors import (
    DutiesOpenError,
    DutyEndedError,
    IncidentClosedError,
    IncidentFormError,
    IncidentScopeError,
    NotSharableError,
    UnknownIncidentError,
)
from cleanroom.incidents.rows import text_sha256
from cleanroom.incidents.types import Duty, DutyState, EntryKind, IncidentState, Scope, Severity
from tests.integration.incidents.conftest import Scene

SECRET_WORDS = "Ivan Petrov lost it"


# Each takes a second, and most of what breaks shows on one database.
pytestmark = pytest.mark.slow_on("postgresql")


def test_terms_run_from_the_discovery_and_are_shown_with_the_time_left(scene: Scene) -> None:
    found = scene.look(scene.open(ago=20))

    assert [one.duty for one in found.deadlines] == [Duty.RU_NOTICE, Duty.EU_NOTICE, Duty.RU_RESULTS]
    assert [one.due_at - found.discovered_at for one in found.deadlines] == [
        timedelta(hours=hours) for hours in (24, 72, 72)
    ]
    left = [round(one.left_seconds(scene.stage.clock.now()) / 3600) for one in found.deadlines]
    assert left == [4, 52, 52]
    assert found.next_due_at == found.deadlines[0].due_at


def test_every_entry_is_in_the_log_and_nobodys_words_are(scene: Scene) -> None:
    incident_id = scene.open()
    scene.act("note", incident_id, text=SECRET_WORDS)

    events = [
        one
        for one in scene.stage.events()
        if one["kind"].startswith("incidents.") and one["subject"] == incident_id
    ]
    assert [one["kind"] for one in events] == ["incidents.opened", "incidents.note"]
    assert SECRET_WORDS not in str(events)
    opened, note = scene.entries(incident_id)
    assert [one["body"]["text_sha256"] for one in events] == [opened.text_sha256, note.text_sha256]
    assert note.text_sha256 == text_sha256(note.salt, SECRET_WORDS) != text_sha256(note.salt, "another text")
    # The same words again give another hash: nobody can try guesses out.
    scene.act("note", incident_id, text=SECRET_WORDS)
    assert len({one.text_sha256 for one in scene.entries(incident_id)}) == 3


def test_an_incident_is_notified_when_every_duty_was_seen_to_and_closed_only_then(scene: Scene) -> None:
    incident_id = scene.open()
    with pytest.raises(DutiesOpenError):
        scene.act("close", incident_id, text="over")
    scene.act("end_duty", incident_id, Duty.RU_NOTICE, state=DutyState.DONE, text="notice 17")
    scene.act("end_duty", incident_id, Duty.RU_RESULTS, state=DutyState.DONE, text="results 18")
    assert scene.look(incident_id).state is IncidentState.OPEN
    scene.act("end_duty", incident_id, Duty.EU_NOTICE, state=DutyState.NOT_DUE, text="nobody in the Union")
    assert scene.look(incident_id).state is IncidentState.NOTIFIED
    assert scene.look(incident_id).next_due_at is None
    with pytest.raises(DutyEndedError):
        scene.act("end_duty", incident_id, Duty.EU_NOTICE, state=DutyState.DONE, text="after all")

    scene.act("close", incident_id, text="found, and wiped")

    assert scene.look(incident_id).state is IncidentState.CLOSED
    with pytest.raises(IncidentClosedError):
        scene.act("set_scope", incident_id, scope=Scope(dataset_id=scene.stage.dataset_id))
    scene.act("note", incident_id, text="the authority has answered")
    kinds = [one.kind for one in scene.entries(incident_id)]
    assert kinds == [EntryKind.OPENED, *[EntryKind.DUTY] * 3, EntryKind.CLOSED, EntryKind.NOTE]


def test_a_notice_that_came_late_stays_late(scene: Scene) -> None:
    incident_id = scene.open(ago=30)
    scene.act("end_duty", incident_id, Duty.RU_NOTICE, state=DutyState.DONE, text="notice 17")
    assert scene.entries(incident_id)[-1].facts["late"] is True

    early = scene.open(ago=30)
    told = scene.look(early).discovered_at + timedelta(hours=3)
    scene.act("end_duty", early, Duty.RU_NOTICE, state=DutyState.DONE, text="notice 16", at=told)
    assert scene.entries(early)[-1].facts["late"] is False


def test_what_cannot_be_entered(scene: Scene) -> None:
    incident_id = scene.open()
    for changed in (
        {"title": " "},
        {"title": "x" * 201},
        {"text": ""},
        {"text": "x" * 10_001},
        {"ago": -1.0},
    ):
        with pytest.raises(IncidentFormError):
            scene.open(**changed)
    with pytest.raises(IncidentFormError):
        scene.act("note", incident_id, text="  ")
    for at in (timedelta(hours=-2), timedelta(hours=1)):
        with pytest.raises(IncidentFormError):
            scene.act(
                "end_duty",
                incident_id,
                Duty.EU_NOTICE,
                state=DutyState.DONE,
                text="told",
                at=scene.stage.clock.now() + at,
            )
    with pytest.raises(UnknownIncidentError):
        scene.act("note", incident_id, who="advertiser", text="not theirs")
    with pytest.raises(UnknownIncidentError):
        scene.look(incident_id, "advertiser")


def test_a_register_is_paged_and_sorted(scene: Scene) -> None:
    made = [
        scene.open(severity=severity, ago=ago)
        for severity, ago in ((Severity.LOW, 5), (Severity.CRITICAL, 1), (Severity.MEDIUM, 30))
    ]
    scene.open("advertiser")
    for duty in Duty:
        scene.act("end_duty", made[1], duty, state=DutyState.NOT_DUE, text="a drill")

    def listed(**asked: object) -> list[int]:
        with scene.stage.room.db.reading() as tx:
            page, total = scene.incidents.register.page(tx, scene.own("provider"), **asked)
        assert total == (3 if not asked.keys() & {"state", "severity"} else 1)
        return [made.index(one.id) for one in page]

    assert listed() == [2, 1, 0]
    assert listed(sort="severity") == [1, 2, 0]
    assert listed(sort="discovered", descending=False) == [2, 0, 1]
    assert listed(sort="due", descending=False) == [2, 0, 1]
    assert listed(sort="due", descending=True) == [0, 2, 1]
    assert listed(state=IncidentState.NOTIFIED) == [1]
    assert listed(severity=Severity.MEDIUM) == [2]
    assert listed(offset=1, limit=1) == [1]


def test_people_are_reminded_once_before_and_once_after_a_term(scene: Scene) -> None:
    incident_id = scene.open(ago=0)
    remind, clock = scene.incidents.reminding, scene.stage.clock

    def reminded() -> list[tuple[str, str]]:
        remind.catch_up(scene.stage.room.db)
        kinds = ("incidents.deadline_near", "incidents.deadline_passed")
        return [(one["kind"].rpartition("_")[2], one["body"]["duty"]) for one in scene.stage.events(*kinds)]

    clock.move(hours=17)
    assert reminded() == []
    clock.move(hours=2)
    assert reminded() == [("near", "ru_notice")] == reminded()
    clock.move(hours=6)
    assert reminded() == [("near", "ru_notice"), ("passed", "ru_notice")] == reminded()
    scene.act("end_duty", incident_id, Duty.EU_NOTICE, state=DutyState.NOT_DUE, text="nobody there")
    clock.move(hours=100)
    assert reminded()[2:] == [("passed", "ru_results")]


def test_the_operator_shares_with_those_who_are_affected_and_they_see_their_part(scene: Scene) -> None:
    scene.market.question(scene.market.bought(size="M"))
    scene.stage.party("bystander", "provider")
    incident_id = scene.open("operator")
    with pytest.raises(IncidentScopeError):
        scene.act("share", incident_id, [scene.own("provider")], who="operator")
    scope = Scope(dataset_id=scene.stage.dataset_id)
    scene.act("set_scope", incident_id, who="operator", scope=scope, text="this disk")
    with pytest.raises(NotSharableError):
        scene.act("share", incident_id, [scene.own("bystander")], who="operator")

    added = scene.act("share", incident_id, [scene.own("provider")], who="operator")
    again = scene.act("share", incident_id, [scene.own("provider")], who="operator")
    scene.act("note", incident_id, who="operator", text="for us alone")
    scene.act("note", incident_id, who="operator", text="for you too", shown=True)

    assert (added, again) == ((scene.own("provider"),), ())
    seen = scene.look(incident_id, "provider")
    assert (seen.own, seen.scope, seen.deadlines) == (False, None, ())
    assert seen.opened_by == scene.own("operator")
    assert [(one.kind, one.by) for one in scene.entries(incident_id, "provider")] == [
        (EntryKind.OPENED, scene.own("operator")),
        (EntryKind.NOTE, scene.own("operator")),
    ]
    assert "scope" not in str([one.facts for one in scene.entries(incident_id, "provider")])
    (told,) = scene.stage.events("incidents.shared_with")
    assert (told["organisation"], told["subject"]) == (scene.own("provider"), incident_id)
    for who in ("advertiser", "bystander"):
        with pytest.raises(UnknownIncidentError):
            scene.look(incident_id, who)
    with pytest.raises(UnknownIncidentError):
        scene.act("note", incident_id, text="not ours to add to")
    with pytest.raises(NotSharableError):
        scene.act("share", scene.open(), [scene.own("advertiser")])
