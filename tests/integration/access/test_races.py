"""The same assertion, the same idempotency key, at the same moment: one succeeds, on SQLite and on PostgreSQL."""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from joserfc.jwk import ECKey

from cleanroom.access.errors import (
    IdempotencyBusyError,
    IdempotencyKeyError,
    IdempotencyKeyMissingError,
    IdempotencyMismatchError,
    InvalidClientError,
)
from cleanroom.access.idempotency import Idempotency, part_of, replay_of
from cleanroom.access.types import Replay
from cleanroom.db.migrate import differences, downgrade, upgrade
from cleanroom.room import METADATA
from tests.access_rooms import AccessRoom
from tests.rooms import MovableClock

KEY = ECKey.generate_key("P-256")
THREADS = 6
ASKED = Idempotency(MovableClock(), bytes(32)).request_hash("POST", "/v1/bases", b"{}")


def at_once(work: Callable[[int], Any]) -> list[Any]:
    barrier = Barrier(THREADS)

    def one(number: int) -> Any:
        barrier.wait()
        try:
            return work(number)
        except (InvalidClientError, IdempotencyBusyError) as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


def test_an_assertion_shown_at_once_is_taken_once(room: AccessRoom) -> None:
    client = room.key_client(KEY)
    signed = room.assertion(client, KEY)
    outcomes = at_once(lambda _: room.room.access.client_by_assertion(signed))
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidClientError)]
    assert len(refused) == THREADS - 1
    assert {error.reason for error in refused} == {"assertion_used_before"}


def test_a_request_repeated_at_once_does_its_work_once(room: AccessRoom) -> None:
    caller = room.principal(room.secret_client()[0])
    access = room.room.access

    def work(number: int) -> Replay:
        with room.room.db.transaction() as tx:
            before = access.idempotent(tx, caller, "key", ASKED)
            if before is not None:
                return before
            made = room.room.accounts.create_organisation(tx, name=f"made {number}", kind="advertiser")
            answer = replay_of(201, made.id.encode())
            access.remember(tx, caller, "key", ASKED, answer)
            return answer

    outcomes = at_once(work)
    answers = [outcome for outcome in outcomes if isinstance(outcome, Replay)]
    assert len(set(answers)) == 1
    assert all(isinstance(outcome, Replay | IdempotencyBusyError) for outcome in outcomes)
    with room.room.db.reading() as tx:
        made = [one for one in room.room.accounts.organisations(tx) if one.name.startswith("made")]
    assert len(made) == 1
    assert work(9) == answers[0]


def test_while_the_first_is_running_the_second_is_told_or_waits_its_turn(room: AccessRoom) -> None:
    caller = room.principal(room.secret_client()[0])
    access = room.room.access
    claimed, go_on = Event(), Event()

    def first() -> None:
        with room.room.db.transaction() as tx:
            assert access.idempotent(tx, caller, "key", ASKED) is None
            claimed.set()
            go_on.wait(120)
            access.remember(tx, caller, "key", ASKED, replay_of(201, b"one"))

    def second() -> Replay | None:
        with room.room.db.transaction() as tx:
            return access.idempotent(tx, caller, "key", ASKED)

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(first)
        assert claimed.wait(120)
        if room.room.db.engine.dialect.name == "postgresql":
            with pytest.raises(IdempotencyBusyError):
                pool.submit(second).result(120)
            go_on.set()
        else:
            waiting = pool.submit(second)
            go_on.set()
            assert waiting.result(60) == replay_of(201, b"one")
        running.result(60)
    assert second() == replay_of(201, b"one")


def test_a_key_counts_for_its_client_and_request_for_a_day_and_not_when_the_work_failed(
    room: AccessRoom,
) -> None:
    caller, other = (room.principal(room.secret_client()[0]) for _ in range(2))
    access = room.room.access
    with room.room.db.rehearsing() as tx:
        access.remember(tx, caller, "key", ASKED, replay_of(201, b"x"))
    with room.room.db.transaction() as tx:
        assert access.idempotent(tx, caller, "key", ASKED) is None
        access.remember(tx, caller, "key", ASKED, replay_of(201, b"x"))
    changed = (
        access.request_hash("POST", "/v1/bases", b"{ }"),
        access.request_hash("POST", "/v1/uploads", b"{}"),
        access.request_hash("POST", "/v1/bases", b"{}", advertiser_id="org_1"),
    )
    with room.room.db.transaction() as tx:
        assert access.idempotent(tx, caller, "key", ASKED) == replay_of(201, b"x")
        assert access.idempotent(tx, other, "key", ASKED) is None
        for another in changed:
            with pytest.raises(IdempotencyMismatchError):
                access.idempotent(tx, caller, "key", another)
        for missing in (None, ""):
            with pytest.raises(IdempotencyKeyMissingError):
                access.idempotent(tx, caller, missing, ASKED)
        for bad in ("k" * 256, "a\nb", "ключ"):
            with pytest.raises(IdempotencyKeyError):
                access.idempotent(tx, caller, bad, ASKED)
    # However long and whatever it begins with, it is given back byte for byte.
    long = b"[" + b'{"value": 1},' * 10_000 + b"{}]"
    parts = (part_of(long),), (b"{", part_of(long), b"}"), (long,), (b"\0zlib\0",), (b"\0gzip\0",), (b"",), ()
    for number, body in enumerate(parts):
        with room.room.db.transaction() as tx:
            access.remember(tx, caller, f"body {number}", ASKED, replay_of(201, *body))
        with room.room.db.reading() as tx:
            assert access.idempotent(tx, caller, f"body {number}", ASKED) == replay_of(201, *body)
    # As it was kept by the versions before.
    with room.room.db.transaction() as tx:
        kept = Replay(201, long, b"\0zlib\0" + zlib.compress(long))
        access.remember(tx, caller, "earlier", ASKED, kept)
        assert access.idempotent(tx, caller, "earlier", ASKED) == kept
    room.clock.move(hours=24)
    with room.room.db.transaction() as tx:
        assert access.idempotent(tx, caller, "key", changed[0]) is None
        access.remember(tx, caller, "key", changed[0], replay_of(200, b"y"))


def test_the_tables_go_and_come_back_and_older_mandates_allow_everything(room: AccessRoom) -> None:
    engine = room.room.db.engine
    agency, advertiser = room.party("agency"), room.party()
    assert differences(engine, METADATA) == []
    with room.room.db.transaction() as tx:
        room.room.accounts.grant_mandate(tx, agency_id=agency.id, advertiser_id=advertiser.id)
    downgrade(engine, "0001")
    assert differences(engine, METADATA) != []
    upgrade(engine)
    assert differences(engine, METADATA) == []
    with room.room.db.reading() as tx:
        (mandate,) = room.room.accounts.mandates(tx, agency.id)
        assert len(mandate.limits.actions) == 3
        assert mandate.limits.purposes is None
        assert room.room.accounts.organisation(tx, advertiser.id).offboarded_at is None
