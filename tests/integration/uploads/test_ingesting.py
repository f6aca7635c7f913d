"""A finished upload becomes a version once, whoever works on it and however often they are killed."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cleanroom.datasets.types import VersionStatus
from cleanroom.ingestion.service import Ingestion
from cleanroom.uploads.errors import UploadStatusError
from cleanroom.uploads.ingesting import MAX_ATTEMPTS
from cleanroom.uploads.types import UploadStatus
from tests.packages import announce, look, on_disk, real, send, signed
from tests.rooms import Stage, clients

CHILD = Path(__file__).with_name("killed_child.py")


@pytest.fixture
def finished(stage, tmp_path):
    """A real package that has arrived; to be called with the wish and the rows."""

    def make(*, publish: bool = False, rows: list[str] | None = None):
        package = real(stage, clients(40, 0) if rows is None else rows, tmp_path / "desk")
        upload = announce(stage, package, publish=publish)
        send(stage, upload.id, package.payload, 0)
        return upload, package

    return make


def versions(stage: Stage) -> list[VersionStatus]:
    with stage.room.db.reading() as tx:
        return [version.status for version in stage.room.datasets.versions(tx, stage.base_id)]


def current(stage: Stage) -> str | None:
    with stage.room.db.reading() as tx:
        return stage.room.datasets.dataset(tx, stage.base_id).current_version_id


def test_a_finished_upload_is_loaded_and_its_bytes_go(stage, finished):
    upload, _ = finished()
    done = stage.room.uploads.ingest_next()
    assert done is not None
    assert (done.id, done.status) == (upload.id, UploadStatus.LOADED)
    assert (done.rows_done, done.rows_total) == (40, 40)
    assert on_disk(stage, upload.id) is None
    assert versions(stage) == [VersionStatus.PUBLISHED, VersionStatus.LOADED]
    assert current(stage) != done.version_id
    kinds = [event["kind"] for event in stage.events() if event["subject"] == upload.id]
    assert kinds == ["uploads.created", "uploads.received", "uploads.ingesting", "uploads.loaded"]
    assert stage.room.uploads.ingest_next() is None
    with pytest.raises(UploadStatusError):
        stage.room.uploads.terminate(upload.id, organisation_id=stage.advertiser.organisation_id)


def test_it_is_published_at_once_when_its_owner_asked_for_it(stage, finished):
    upload, _ = finished(publish=True)
    done = stage.room.uploads.ingest(upload.id)
    assert done.status is UploadStatus.PUBLISHED
    assert current(stage) == done.version_id
    # Later versions do not change what became of this one.
    stage.load(stage.base_id, "email,phone,status", clients(10, 0))
    assert look(stage, upload.id).status is UploadStatus.PUBLISHED


def test_over_shared_values_hold_it_back_and_its_status_follows_the_version(stage, tmp_path):
    rows = [f"q{at},one@example.org,,F,20,sport,yes,yes" for at in range(8)]
    package = real(stage, rows, tmp_path / "desk", dataset=True)
    owner = stage.provider.organisation_id
    upload = announce(stage, package, publish=True, organisation_id=owner)
    send(stage, upload.id, package.payload, 0, organisation_id=owner)

    def status() -> UploadStatus:
        with stage.room.db.reading() as tx:
            return stage.room.uploads.upload(tx, upload.id, organisation_id=owner).status

    done = stage.room.uploads.ingest(upload.id)
    assert done.status is UploadStatus.AWAITING_JUNK
    assert done.version_id is not None
    with stage.room.db.transaction() as tx:
        stage.room.junk_lists.resolve_junk(tx, done.version_id)
    assert status() is UploadStatus.LOADED
    with stage.room.db.transaction() as tx:
        stage.room.ingestion.publish(tx, done.version_id)
    assert status() is UploadStatus.PUBLISHED


def test_a_payload_that_is_not_what_was_signed_fails_and_can_be_sent_again(stage, finished, tmp_path):
    package = real(stage, clients(40, 0), tmp_path / "desk")
    upload = announce(stage, package)
    send(stage, upload.id, bytes(len(package.payload)), 0)
    done = stage.room.uploads.ingest(upload.id)
    assert (done.status, done.failure) == (UploadStatus.FAILED, "crypto.package_damaged")
    assert on_disk(stage, upload.id) is None
    assert stage.room.uploads.ingest_next() is None
    again = announce(stage, package)
    send(stage, again.id, package.payload, 0)
    assert stage.room.uploads.ingest(again.id).status is UploadStatus.LOADED


def test_a_key_revoked_meanwhile_fails_it(stage, finished):
    upload, _ = finished()
    with stage.room.db.transaction() as tx:
        stage.room.accounts.revoke_key(tx, stage.advertiser.signer.key_id)
    done = stage.room.uploads.ingest(upload.id)
    assert (done.status, done.failure) == (UploadStatus.FAILED, "crypto.unknown_signer")


def test_what_is_not_the_packages_fault_is_tried_again_but_not_for_ever(stage, finished, monkeypatch):
    upload, package = finished()
    other = announce(stage, real(stage, clients(41, 0), Path(stage.home).parent / "desk2"))

    def broken(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Ingestion, "ingest", broken)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            with pytest.raises(OSError, match="No space"):
                stage.room.uploads.ingest_next()
            expected = UploadStatus.RECEIVED if attempt < MAX_ATTEMPTS else UploadStatus.FAILED
            assert look(stage, upload.id).status is expected
    assert look(stage, upload.id).failure == "uploads.OSError"
    assert look(stage, other.id).status is UploadStatus.RECEIVING
    assert announce(stage, package).id != upload.id


def test_one_that_was_put_off_is_loaded_later(stage, finished, monkeypatch):
    upload, _ = finished()
    with monkeypatch.context() as patch:
        patch.setattr(Ingestion, "ingest", lambda *_a, **_o: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(OSError, match="I/O"):
            stage.room.uploads.ingest_next()
    done = stage.room.uploads.ingest_next()
    assert done is not None
    assert (done.id, done.status, done.failure) == (upload.id, UploadStatus.LOADED, None)


def test_a_version_that_was_entered_is_found_and_not_made_twice(stage, finished, tmp_path):
    upload, package = finished(publish=True)
    payload = tmp_path / "payload"
    payload.write_bytes(package.payload)
    version_id = stage.room.ingestion.ingest(package.manifest, payload)
    done = stage.room.uploads.ingest(upload.id)
    assert (done.status, done.version_id) == (UploadStatus.PUBLISHED, version_id)
    assert len(versions(stage)) == 2


def test_a_version_overtaken_before_it_was_published_stays_loaded_and_says_why(stage, finished, tmp_path):
    upload, package = finished(publish=True)
    payload = tmp_path / "payload"
    payload.write_bytes(package.payload)
    version_id = stage.room.ingestion.ingest(package.manifest, payload)
    newer = stage.load(stage.base_id, "email,phone,status", clients(10, 0))
    done = stage.room.uploads.ingest(upload.id)
    assert (done.status, done.version_id) == (UploadStatus.LOADED, version_id)
    assert done.failure == "ingestion.stale_version"
    assert current(stage) == newer


def test_bytes_that_are_lost_before_ingestion_fail_it(stage, finished):
    upload, _ = finished()
    (stage.room.settings.uploads_path / f"{upload.id}.part").unlink()
    done = stage.room.uploads.ingest(upload.id)
    assert (done.status, done.failure) == (UploadStatus.FAILED, "uploads.bytes_lost")


def test_the_owner_sees_how_far_it_is_in_few_steps(stage, finished, monkeypatch):
    upload, _ = finished()
    seen = []

    def ingest(_self, _manifest, _payload, *, progress):
        for done in range(1001):
            progress(done, 1000)
            if done % 100 == 50:
                seen.append(look(stage, upload.id).rows_done)
        raise OSError

    monkeypatch.setattr(Ingestion, "ingest", ingest)
    with pytest.raises(OSError):
        stage.room.uploads.ingest(upload.id)
    assert seen == [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]


def killed(stage: Stage, *arguments: object) -> bool:
    """Run a worker that is killed before its so many-th durable operation; returns whether that came."""
    settings = stage.room.settings
    command = [sys.executable, str(CHILD), str(settings.home), settings.database_url, *map(str, arguments)]
    code = subprocess.run(command, check=False, cwd=Path(__file__).parents[3]).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


def one_fast(points: list[int], fast: int) -> list[Any]:
    """Points to kill at; all but one in the long run of the tests."""
    return [point if point == fast else pytest.param(point, marks=pytest.mark.slow) for point in points]


@pytest.mark.parametrize("operation", one_fast([1, 2, 3, 8, 20], 8))
def test_a_worker_killed_anywhere_is_followed_by_another_that_ends_its_work(stage, finished, operation):
    upload, _ = finished(publish=True)
    # From the first transaction to the last, whichever operation that is.
    assert killed(stage, "ingest", upload.id, operation)
    stage.room.ingestion.recover()
    done = stage.room.uploads.ingest_next()
    assert done is not None or look(stage, upload.id).status is UploadStatus.PUBLISHED
    seen = look(stage, upload.id)
    assert seen.status is UploadStatus.PUBLISHED
    assert current(stage) == seen.version_id
    assert versions(stage).count(VersionStatus.PUBLISHED) == 1
    stage.room.uploads.sweep()
    assert on_disk(stage, upload.id) is None


@pytest.mark.parametrize("commit", one_fast([1, 2, 3, 4, 5], 3))
def test_a_worker_killed_just_after_a_commit_is_followed_as_well(stage, finished, commit):
    upload, _ = finished(publish=True)
    killed(stage, "ingest-commits", upload.id, commit)
    stage.room.ingestion.recover()
    stage.room.uploads.ingest_next()
    seen = look(stage, upload.id)
    assert seen.status is UploadStatus.PUBLISHED
    assert current(stage) == seen.version_id
    assert [status for status in versions(stage) if status is not VersionStatus.FAILED] == [
        VersionStatus.RETIRED,
        VersionStatus.PUBLISHED,
    ]
    stage.room.uploads.sweep()
    assert on_disk(stage, upload.id) is None


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sqlite", "postgresql"], indirect=True)
def test_a_package_that_kills_every_worker_is_given_up(stage, finished):
    upload, _ = finished()
    for _ in range(MAX_ATTEMPTS):
        assert killed(stage, "ingest", upload.id, 3)
    done = stage.room.uploads.ingest_next()
    assert done is not None
    assert (done.status, done.failure) == (UploadStatus.FAILED, "uploads.given_up")


@pytest.mark.parametrize(
    "operations", [(2, 5), pytest.param((1, 2, 3, 5, 7, 9), marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize(
    "stage", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
def test_a_receiver_killed_again_and_again_ends_with_the_same_bytes(stage, operations):
    payload = bytes(at * 7 % 251 for at in range(200_000))
    upload = announce(stage, signed(stage, payload))
    source = Path(stage.home).parent / "payload"
    source.write_bytes(payload)
    owner = stage.advertiser.organisation_id
    kills, at = 0, 0
    for operation in (*operations, 100_000):
        died = killed(stage, "append", upload.id, operation, owner, source)
        kills += died
        seen = look(stage, upload.id)
        assert seen.offset >= at
        at = seen.offset
        stored = on_disk(stage, upload.id)
        assert at == 0 or (stored is not None and stored[:at] == payload[:at])
    assert kills >= len(operations) - 1
    assert look(stage, upload.id).status is UploadStatus.RECEIVED
    assert on_disk(stage, upload.id) == payload
