"""The log is looked through by kind, subject, organisation, dataset and time, page by page, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from cleanroom.audit.browsing import EventFilter, page_of_events, prove_event
from cleanroom.audit.errors import UnknownEventError
from cleanroom.audit.log import AuditLog
from cleanroom.db.database import Database
from crypto.checkpoint import open_note
from crypto.merkle import leaf_hash, verify_inclusion
from tests.rooms import MovableClock

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

DATASETS = ("ds_a", "ds_b")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def log(clock: MovableClock) -> AuditLog:
    return AuditLog(origin="test.room/log", seed=bytes(range(32)), clock=clock)


@pytest.fixture
def db(engine: Engine, log: AuditLog, clock: MovableClock) -> Database:
    """Thirty events, an hour after each other: of two organisations and of the room, about two datasets."""
    opened = Database(engine, log)
    for number in range(30):
        with opened.transaction() as tx:
            tx.audit(
                ("grants.grant_issued", "grants.grant_revoked", "rules.policy_set")[number % 3],
                subject_id=f"subject-{number % 5}",
                organisation_id=(None, "org_a", "org_b")[number % 3],
                body={"number": number, "dataset_id": DATASETS[number % 2]},
            )
        clock.move(hours=1)
    with opened.transaction() as tx:
        tx.audit("datasets.registered", subject_id="ds_c", organisation_id="org_a")
    return opened


def numbers(db: Database, wanted: EventFilter) -> list[int]:
    with db.reading() as tx:
        return [event.index for event in page_of_events(tx, wanted).events]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventFilter(), range(31)),
        (EventFilter(organisation_id="org_a"), [*range(1, 30, 3), 30]),
        (EventFilter(kinds=["grants.grant_revoked"]), range(1, 30, 3)),
        (EventFilter(kinds=["grants."]), [number for number in range(30) if number % 3 < 2]),
        (EventFilter(kinds=["rules.policy_set", "datasets."]), [*range(2, 30, 3), 30]),
        # An underscore stands for itself, not for any character.
        (EventFilter(kinds=["grants_"]), []),
        (EventFilter(subject_id="subject-3"), range(3, 30, 5)),
        (EventFilter(dataset_id="ds_b"), range(1, 30, 2)),
        (EventFilter(dataset_id="ds_c"), [30]),
        (EventFilter(dataset_id="ds_b", organisation_id="org_a"), [1, 7, 13, 19, 25]),
    ],
)
def test_a_filter_finds_what_it_names(db: Database, wanted: EventFilter, expected: list[int]) -> None:
    assert numbers(db, wanted) == sorted(expected, reverse=True)


def test_a_time_bounds_from_its_instant_on(db: Database) -> None:
    with db.reading() as tx:
        page = page_of_events(tx, EventFilter(kinds=["grants.grant_issued"]))
        instants = {event.index: event for event in page.events}
    first = MovableClock().instant
    since = EventFilter(since=first + timedelta(hours=3), until=first + timedelta(hours=6))
    assert numbers(db, since) == [5, 4, 3]
    assert instants[3].body == {"number": 3, "dataset_id": "ds_b"}


def test_pages_lead_back_and_forth_and_end(db: Database) -> None:
    wanted, seen = EventFilter(organisation_id="org_b"), list[int]()
    with db.reading() as tx:
        page = page_of_events(tx, wanted, limit=4)
        assert page.newer is None
        while True:
            seen += [event.index for event in page.events]
            if page.older is None:
                break
            page = page_of_events(tx, wanted, before=page.older, limit=4)
        assert seen == list(range(29, 0, -3))
        assert page.newer is not None
        back = page_of_events(tx, wanted, after=page.newer, limit=4)
        assert [event.index for event in back.events] == [17, 14, 11, 8]
        assert (back.newer, back.older) == (17, 8)
        first = page_of_events(tx, wanted, after=17, limit=4)
        assert [event.index for event in first.events] == [29, 26, 23, 20]
        assert first.newer is None


def test_an_event_is_shown_with_a_proof_to_its_owner_alone(db: Database, log: AuditLog) -> None:
    with db.reading() as tx:
        found = prove_event(tx, 4, organisation_id="org_a", verifier_key=log.verifier_key)
        with pytest.raises(UnknownEventError):
            prove_event(tx, 4, organisation_id="org_b", verifier_key=log.verifier_key)
        with pytest.raises(UnknownEventError):
            prove_event(tx, 31, organisation_id=None, verifier_key=log.verifier_key)
    head = open_note(found.checkpoint, log.verifier_key)
    assert (head.size, head.root) == (found.size, found.root)
    verify_inclusion(leaf_hash(found.event.record), 4, found.size, found.proof, head.root)
    assert (found.event.kind, found.event.dataset_id) == ("grants.grant_revoked", "ds_a")
