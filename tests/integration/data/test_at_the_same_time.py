"""What comes in between: publications, rotations, decisions and exchanged files, each at the worst moment."""

import os
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from cleanroom.consent.types import Withdrawal
from cleanroom.datasets.files import PlaceWriter
from cleanroom.datasets.types import VersionStatus
from cleanroom.ingestion import service as ingestion
from cleanroom.ingestion.errors import ManifestMismatchError, RotationError, StaleVersionError
from cleanroom.ingestion.loading import Load
from cleanroom.ingestion.rotation import Rotation
from cleanroom.storage.leases import Leases
from crypto.payload import DamagedPackageError

SCHEMA = """\
person_id: {column: id}
match_keys:
  email: {column: email}
  phone: {column: phone, default_region: RU}
attributes:
  age: {type: integer, bands: [18, 30]}
  likes: {type: set, values: [tea, cats], max_values: 2}
lawful_basis: consent
consent: {advertising: {column: ads, granted: ["yes"], collected_at: seen}}
"""
HEADER = "id,email,phone,age,likes,ads,seen"
SHARED = "+79990001122"
BASE = "match_keys: {email: {column: mail}}"


def row(number: int, *, phone: str = "", seen: str = "2026-01-01T00:00:00Z") -> str:
    return f"p{number},u{number}@example.org,{phone},20,tea,yes,{seen}"


def text(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


def people(count: int) -> str:
    return text(*(row(number) for number in range(count)))


def base_of(room, count: int) -> str:
    shop = room.register(BASE, party="shop", kind="base")
    mails = "".join(f"u{number}@example.org\n" for number in range(count))
    return room.load(shop, f"mail\n{mails}", party="shop")


def workspace(room) -> str:
    return room.party("provider").workspace_id


def test_consent_from_the_future_is_left_out_and_does_not_beat_a_withdrawal(room):
    dataset = room.register(SCHEMA)
    now = room.clock.instant
    soon, later = ((now + timedelta(hours=hours)).isoformat() for hours in (23, 25))
    version = room.load(dataset, text(row(0), row(1, seen=soon), row(2, seen=later)))
    assert room.report(version).rejected == {"bad_consent_date:advertising": 1}
    base = base_of(room, 3)
    assert room.count(version, base).overlap == 1
    room.clock.instant = datetime(2026, 11, 24, tzinfo=UTC)
    assert room.count(version, base).overlap == 2


def test_of_two_that_publish_at_once_the_older_never_replaces_the_newer(server_room):
    room = server_room
    dataset = room.register(SCHEMA)
    room.load(dataset, people(1))
    older, newer = (room.ingest(room.prepare(dataset, people(count))) for count in (3, 2))
    failures = []

    def publish_older() -> None:
        try:
            with room.db.transaction() as tx:
                # Read before the lock is free: nothing of it may be believed afterwards.
                room.datasets.current(tx, dataset)
                room.ingestion.publish(tx, older)
        except StaleVersionError as error:
            failures.append(error)

    thread = threading.Thread(target=publish_older)
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, newer)
        thread.start()
        time.sleep(0.5)
    thread.join()
    assert len(failures) == 1
    with room.db.reading() as tx:
        assert room.datasets.dataset(tx, dataset).current_version_id == newer
        statuses = [version.status for version in room.datasets.versions(tx, dataset)]
    assert statuses == [VersionStatus.RETIRED, VersionStatus.LOADED, VersionStatus.PUBLISHED]


def test_a_delta_of_a_version_that_is_replaced_meanwhile_is_not_published(server_room):
    room = server_room
    dataset = room.register(SCHEMA)
    first = room.load(dataset, people(1))
    full = room.ingest(room.prepare(dataset, people(2)))
    lines = f"_op,{HEADER}\ndelete,{row(0)}\n"
    delta = room.ingest(room.prepare(dataset, lines, mode="delta", expected_version_id=first))
    failures = []

    def publish_delta() -> None:
        try:
            with room.db.transaction() as tx:
                room.datasets.current(tx, dataset)
                room.ingestion.publish(tx, delta)
        except StaleVersionError as error:
            failures.append(error)

    thread = threading.Thread(target=publish_delta)
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, full)
        thread.start()
        time.sleep(0.5)
    thread.join()
    assert len(failures) == 1


def test_a_version_that_a_delta_empties_still_has_all_columns(room):
    dataset = room.register(SCHEMA)
    first = room.load(dataset, people(3))
    with room.db.reading() as tx:
        columns = {(file.role, file.column) for file in room.datasets.files(tx, first)}
    lines = "\n".join([f"_op,{HEADER}", *(f"delete,{row(number)}" for number in range(3))]) + "\n"
    empty = room.load(dataset, lines, mode="delta", expected_version_id=first)
    with room.db.reading() as tx:
        assert {(file.role, file.column) for file in room.datasets.files(tx, empty)} == columns
    assert room.count(empty, base_of(room, 3), breakdowns=(("likes",),)).overlap == 0


def test_a_decision_about_junk_during_a_token_rotation_is_not_undone(room, monkeypatch):
    dataset = room.register(SCHEMA)
    shared = text(*(row(number, phone=SHARED) for number in range(6)))
    version = room.ingest(room.prepare(dataset, shared))
    move = Rotation._version_files

    def decide_meanwhile(self, work, moved, meter):
        files = move(self, work, moved, meter)
        with room.db.transaction() as tx:
            room.junk.resolve_junk(tx, version)
        return files

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "_version_files", decide_meanwhile)
        with pytest.raises(RotationError, match="changed during the rotation"):
            room.rotation.rotate_token_key(workspace(room))
    with room.db.transaction() as tx:
        room.ingestion.publish(tx, version)
    room.rotation.rotate_token_key(workspace(room))


def test_the_two_rotations_of_a_workspace_do_not_run_at_once(room):
    room.load(room.register(SCHEMA), people(1))
    with Leases(room.home / "leases").try_hold(workspace(room)) as held:
        assert held
        with pytest.raises(RotationError, match="is running"):
            room.rotation.rotate_kek(workspace(room))
    room.rotation.rotate_kek(workspace(room))


def test_a_load_begun_during_a_key_rotation_holds_up_its_end_and_stays_readable(room, monkeypatch):
    dataset = room.register(SCHEMA)
    room.load(dataset, people(1))
    package = room.prepare(dataset, people(3))
    rewrap, run, versions = Rotation._rewrap, Load.run, []

    def finish_rotation(self, *arguments):
        with pytest.raises(RotationError, match="load into this workspace is running"):
            room.rotation.rotate_kek(workspace(room))
        return run(self, *arguments)

    def load_meanwhile(self, *arguments):
        if not versions:
            versions.append("")
            versions[0] = room.ingest(package)
        return rewrap(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Rotation, "_rewrap", load_meanwhile)
        room.rotation.rotate_kek(workspace(room))
    assert room.report(versions[0]).persons == 3
    again = room.prepare(dataset, people(4))
    with monkeypatch.context() as patch:
        patch.setattr(Load, "run", finish_rotation)
        room.ingest(again)
    room.rotation.rotate_kek(workspace(room))
    assert room.report(versions[0]).persons == 3


def test_a_load_that_still_runs_when_a_key_rotation_would_end_holds_it_up(room, monkeypatch):
    dataset = room.register(SCHEMA)
    room.load(dataset, people(1))
    package = room.prepare(dataset, people(3))
    rewrap, finished, go, threads = Rotation._rewrap, [], threading.Event(), []
    run = Load.run

    def wait(self, *arguments):
        started.set()
        assert go.wait(120)
        return run(self, *arguments)

    started = threading.Event()

    def load_meanwhile(self, *arguments):
        if not threads:
            threads.append(threading.Thread(target=lambda: finished.append(room.ingest(package))))
            threads[0].start()
            assert started.wait(120)
        return rewrap(self, *arguments)

    monkeypatch.setattr(Load, "run", wait)
    monkeypatch.setattr(Rotation, "_rewrap", load_meanwhile)
    with pytest.raises(RotationError, match="load into this workspace is running"):
        room.rotation.rotate_kek(workspace(room))
    go.set()
    threads[0].join()
    room.rotation.rotate_kek(workspace(room))
    assert room.report(finished[0]).persons == 3


def test_a_key_rotation_waits_for_a_withdrawal_that_is_being_written(server_room, monkeypatch):
    room = server_room
    dataset = room.register(SCHEMA)
    version = room.load(dataset, people(2))
    base = base_of(room, 2)
    begin, threads = PlaceWriter.__enter__, []

    def rotate_meanwhile(self):
        # The writer has its key; were it destroyed now, nobody could read what is written.
        if not threads:
            threads.append(threading.Thread(target=room.rotation.rotate_kek, args=(workspace(room),)))
            threads[0].start()
            threads[0].join(1)
        return begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(PlaceWriter, "__enter__", rotate_meanwhile)
        room.consents.withdraw(dataset, [Withdrawal("email/room", bytes(32))])
        threads[0].join()
    assert room.count(version, base).overlap == 2


def test_a_token_rotation_between_a_versions_row_and_its_files_is_noticed(server_room):
    room = server_room
    version = room.load(room.register(SCHEMA), people(2))
    base = base_of(room, 2)
    rotated = []

    def rotate_once(_connection, _cursor, statement, *_):
        # The version's row and its token key are read, its files are not.
        if "workspace_secrets" in statement and "JOIN" in statement and not rotated:
            rotated.append(True)
            rotated.append(room.rotation.rotate_token_key(room.party("shop").workspace_id))

    event.listen(room.engine, "after_cursor_execute", rotate_once)

    assert room.count(version, base).overlap == 2
    assert rotated == [True, 2]


def test_a_payload_exchanged_after_its_hash_was_checked_is_refused(room, monkeypatch):
    dataset = room.register(SCHEMA)
    other = room.prepare(dataset, people(2))
    evil = other.package_path.with_name("evil")
    shutil.copy(other.package_path, evil)
    good = room.prepare(dataset, text(row(8), row(9)))
    check = ingestion.check_ciphertext

    def exchange(path, manifest):
        check(path, manifest)
        shutil.copy(evil, path)

    monkeypatch.setattr(ingestion, "check_ciphertext", exchange)
    with pytest.raises(DamagedPackageError, match="not the one that was signed"):
        room.ingest(good)
    with room.db.reading() as tx:
        assert [version.status for version in room.datasets.versions(tx, dataset)] == [VersionStatus.FAILED]


def test_a_key_revoked_during_the_load_makes_no_version(room, monkeypatch):
    dataset = room.register(SCHEMA)
    package = room.prepare(dataset, people(2))
    run = Load.run

    def revoke(self, *arguments):
        with room.db.transaction() as tx:
            room.accounts.revoke_key(tx, room.party("provider").signer.key_id)
        return run(self, *arguments)

    monkeypatch.setattr(Load, "run", revoke)
    with pytest.raises(ManifestMismatchError, match="was revoked during the load"):
        room.ingest(package)


def test_a_lock_file_removed_between_opening_and_locking_is_not_held(tmp_path, monkeypatch):
    leases, opened, open_file = Leases(tmp_path), [], os.open

    def open_first(path, *arguments):
        descriptor = open_file(path, *arguments)
        if not opened:
            opened.append(path)
            # Its holder has just let go and removed it.
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", open_first)
    with leases.try_hold("work") as held, Leases(tmp_path).try_hold("work") as twice:
        assert (held, twice) == (True, False)
