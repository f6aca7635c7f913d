"""Callers that come at the same time share a commit, and nothing else."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event
from time import sleep
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from cleanroom.accounts.errors import UnknownOrganisationError
from cleanroom.accounts.types import Organisation
from cleanroom.db import database
from cleanroom.db.database import Transaction
from tests.access_rooms import AccessRoom

Work = Callable[[Transaction], Any]
CALLERS = 12


def adding(room: AccessRoom, name: str) -> Work:
    def add(tx: Transaction) -> Organisation:
        return room.room.accounts.create_organisation(tx, name=name, kind="advertiser")

    return add


def names(room: AccessRoom) -> list[str]:
    with room.room.db.reading() as tx:
        return [found.name for found in room.room.accounts.organisations(tx)]


def at_once(room: AccessRoom, works: list[Work]) -> tuple[list[Any], int]:
    """Have pieces of work wait for one that is under way; returns what each made or raised, and their commits."""
    begun, go_on = Event(), Event()
    commits: list[object] = []
    db = room.room.db
    event.listen(db.engine, "commit", commits.append)

    def first(tx: Transaction) -> None:
        # So that it has a commit, which is its own and not counted.
        tx.connection.execute(text("SELECT 1"))
        begun.set()
        assert go_on.wait(120)

    def made(work: Work) -> Any:
        try:
            return db.together(work)
        except Exception as error:  # noqa: BLE001 - it is looked at
            return error

    with ThreadPoolExecutor(len(works) + 1) as pool:
        leading = pool.submit(db.together, first)
        assert begun.wait(120)
        waiting = [pool.submit(made, work) for work in works]
        sleep(0.3)
        shared = db.engine.dialect.name == "sqlite"
        if shared:
            assert not wait(waiting, timeout=0).done
        go_on.set()
        leading.result(120)
        return [future.result(120) for future in waiting], len(commits) - 1


def test_each_gets_what_its_work_made_and_an_error_undoes_its_own_work_alone(room: AccessRoom) -> None:
    def failing(tx: Transaction) -> None:
        adding(room, "never")(tx)
        room.room.accounts.organisation(tx, "org_nobody")

    works = [adding(room, f"party {number}") for number in range(CALLERS)]
    made, commits = at_once(room, [*works[:5], failing, *works[5:]])
    assert isinstance(made.pop(5), UnknownOrganisationError)
    assert [found.name for found in made] == [f"party {number}" for number in range(CALLERS)]
    assert sorted(names(room)) == sorted(found.name for found in made)
    if room.room.db.engine.dialect.name == "sqlite":
        assert commits == 1
    # Each has its entry in the log; the one that failed has none.
    entered = [each["subject"] for each in room.events("accounts.organisation_created")]
    assert sorted(entered) == sorted(found.id for found in made)
    with room.room.db.reading() as tx:
        assert room.room.settings.head_path.read_text() == room.room.audit.head(tx)


def test_when_the_database_fails_nothing_of_what_shared_a_commit_was_done(room: AccessRoom) -> None:
    if room.room.db.engine.dialect.name != "sqlite":
        pytest.skip("On PostgreSQL everybody has a transaction of its own.")

    def unlucky(_tx: Transaction) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    made, commits = at_once(room, [adding(room, "before"), unlucky, adding(room, "after")])
    assert [type(error) for error in made] == [OperationalError] * 3
    assert commits == 0
    assert names(room) == []
    # It was no fault of theirs: they may come again.
    assert room.room.db.together(adding(room, "before")).name == "before"
    assert names(room) == ["before"]


def test_nobody_is_told_before_the_commit(room: AccessRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*_args: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk I/O error"))

    monkeypatch.setattr(room.room.audit, "append", failed)
    with pytest.raises(OperationalError):
        room.room.db.together(adding(room, "lost"))
    monkeypatch.undo()
    assert names(room) == []


def test_whoever_waits_too_long_for_the_database_is_told_as_by_any_other_failure(
    room: AccessRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not room.room.db.one_writer:
        pytest.skip("On PostgreSQL nobody waits for the whole database.")
    monkeypatch.setattr(database, "_SQLITE_PATIENCE_SECONDS", 0)
    held = Event()

    def meanwhile() -> None:
        with pytest.raises(OperationalError, match="locked"), room.room.db.transaction() as tx:
            adding(room, "late")(tx)
        held.set()

    with room.room.db.transaction() as tx, ThreadPoolExecutor(1) as pool:
        adding(room, "first")(tx)
        pool.submit(meanwhile).result(120)
    assert held.is_set()
    assert names(room) == ["first"]


def test_whoever_comes_while_another_process_writes_shares_the_commit(room: AccessRoom) -> None:
    db = room.room.db
    if not db.one_writer:
        pytest.skip("On PostgreSQL nobody waits for the whole database.")
    commits: list[object] = []
    with ThreadPoolExecutor(2) as pool:
        with db.transaction() as tx:
            adding(room, "another")(tx)
            first = pool.submit(db.together, adding(room, "first"))
            sleep(0.3)
            second = pool.submit(db.together, adding(room, "second"))
            sleep(0.3)
            event.listen(db.engine, "commit", commits.append)
        assert [first.result(120).name, second.result(120).name] == ["first", "second"]
    # The other one's, and theirs.
    assert len(commits) == 2


def test_whoever_waits_for_the_database_does_not_hold_up_who_has_it(
    room: AccessRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = room.room.db
    # Long enough for the one who has it to end, were it not held up; so that a fault shows soon.
    monkeypatch.setattr(database, "_SQLITE_PATIENCE_SECONDS", 3)

    def meanwhile() -> int:
        with db.transaction() as tx:
            return int(tx.connection.scalar(text("SELECT 1")) or 0)

    with ThreadPoolExecutor(1) as pool:
        with db.transaction() as tx:
            adding(room, "first")(tx)
            waiting = pool.submit(meanwhile)
            sleep(0.3)
            # Its connection is asked for only now, and by its end at the latest.
            assert tx.connection.scalar(text("SELECT 1")) == 1
        assert waiting.result(120) == 1
    assert names(room) == ["first"]
