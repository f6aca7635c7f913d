"""Announcing, receiving and ending uploads, on both databases."""

import contextlib
import hashlib
import os
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.ingestion.errors import ManifestMismatchError, PackageUsedError
from cleanroom.uploads import appending as appending_module
from cleanroom.uploads import files as files_module
from cleanroom.uploads.errors import (
    ChecksumError,
    NoSpaceError,
    OffsetError,
    PackageUploadingError,
    TooManyUploadsError,
    UploadBusyError,
    UploadGoneError,
    UploadLengthError,
    UploadNotFoundError,
    UploadStatusError,
    UploadTooLargeError,
)
from cleanroom.uploads.service import Uploads
from cleanroom.uploads.types import Checksum, Limits, UploadStatus
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from crypto.package import UnknownSignerError
from tests.packages import announce, look, on_disk, real, send, signed
from tests.rooms import Stage, clients

# PostgreSQL with the long runs.
pytestmark = pytest.mark.slow_on("postgresql")

PAYLOAD = bytes(range(256)) * 40


def sha256(data: bytes) -> Checksum:
    return Checksum("sha256", hashlib.sha256(data).digest())


def limited(stage: Stage, **changed: int) -> None:
    uploads: Uploads = stage.room.uploads
    uploads.limits = replace(uploads.limits, **changed)


def test_an_upload_in_pieces_is_received_byte_for_byte_and_every_change_is_in_the_log(stage):
    upload = announce(stage, signed(stage, PAYLOAD))
    assert (upload.status, upload.offset, upload.length) == (UploadStatus.RECEIVING, 0, len(PAYLOAD))
    assert send(stage, upload.id, PAYLOAD[:100], 0).offset == 100
    done = send(stage, upload.id, PAYLOAD[100:], 100)
    assert (done.status, done.offset) == (UploadStatus.RECEIVED, len(PAYLOAD))
    assert done.received_at is not None
    assert on_disk(stage, upload.id) == PAYLOAD
    stage.room.uploads.terminate(upload.id, organisation_id=stage.advertiser.organisation_id)
    events = stage.events("uploads.created", "uploads.received", "uploads.terminated")
    assert [event["kind"] for event in events] == [
        "uploads.created",
        "uploads.received",
        "uploads.terminated",
    ]
    assert {event["subject"] for event in events} == {upload.id}


def test_the_bytes_are_their_owners_alone(stage):
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    directory = stage.room.settings.uploads_path
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in directory.iterdir()] == [0o600]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"schema_sha256": "0" * 64}, ManifestMismatchError),
        ({"recipient_key_id": "0" * 32}, ManifestMismatchError),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ManifestMismatchError),
        ({"expected_version_id": "dv_1"}, ManifestMismatchError),
        ({"mode": "delta"}, ManifestMismatchError),
        ({"workspace_id": "ws_1"}, ManifestMismatchError),
        ({"signer_key_id": "key_1"}, UnknownSignerError),
        ({"dataset_id": "ds_1"}, DatasetNotFoundError),
    ],
)
def test_a_manifest_that_ingestion_would_refuse_is_refused_before_a_byte_is_taken(make_room, changed, error):
    stage = make_room()
    with pytest.raises(error):
        announce(stage, signed(stage, PAYLOAD, **changed))
    assert stage.events("uploads.created") == []


def test_a_foreign_dataset_is_answered_as_one_that_does_not_exist(make_room):
    stage = make_room()
    other = stage.party("other")
    with pytest.raises(DatasetNotFoundError) as foreign:
        announce(stage, signed(stage, PAYLOAD), organisation_id=other.organisation_id)
    with pytest.raises(DatasetNotFoundError) as unknown:
        announce(stage, signed(stage, PAYLOAD, dataset_id="ds_1"), organisation_id=other.organisation_id)
    assert str(foreign.value) == str(unknown.value)


def test_a_package_that_is_a_version_is_refused(make_room, tmp_path):
    stage = make_room()
    package = real(stage, clients(20, 0), tmp_path / "desk")
    payload = tmp_path / "payload"
    payload.write_bytes(package.payload)
    stage.room.ingestion.ingest(package.manifest, payload)
    with pytest.raises(PackageUsedError):
        announce(stage, package)


def test_a_destroyed_workspace_takes_no_upload(make_room):
    stage = make_room()
    package = signed(stage, PAYLOAD)
    with stage.room.db.transaction() as tx:
        stage.room.workspaces.destroy(tx, stage.advertiser.workspace_id)
    with pytest.raises(WorkspaceDestroyedError):
        announce(stage, package)


@pytest.mark.parametrize("length", [0, len(PAYLOAD) - 1, len(PAYLOAD) + 1])
def test_another_length_than_the_signed_one_is_refused(make_room, length):
    stage = make_room()
    with pytest.raises(UploadLengthError, match=f"signed for {len(PAYLOAD)} bytes"):
        announce(stage, signed(stage, PAYLOAD), length=length)


def test_an_empty_package_is_refused(make_room):
    stage = make_room()
    with pytest.raises(UploadLengthError, match="never empty"):
        announce(stage, signed(stage, b""))


def test_the_limits_of_size_and_number_are_named(make_room):
    stage = make_room()
    limited(stage, max_bytes=len(PAYLOAD), open_uploads=2)
    with pytest.raises(UploadTooLargeError, match=f"at most {len(PAYLOAD)}") as caught:
        announce(stage, signed(stage, PAYLOAD + b"x"))
    assert "CLEANROOM_UPLOAD_MAX_BYTES" in caught.value.remedy
    first = announce(stage, signed(stage, PAYLOAD))
    announce(stage, signed(stage, PAYLOAD))
    with pytest.raises(TooManyUploadsError, match="2 uploads under way"):
        announce(stage, signed(stage, PAYLOAD))
    stage.room.uploads.terminate(first.id, organisation_id=stage.advertiser.organisation_id)
    announce(stage, signed(stage, PAYLOAD))


def test_of_many_announcements_at_once_only_as_many_pass_as_may(stage):
    limited(stage, open_uploads=3)
    packages = [signed(stage, PAYLOAD) for _ in range(8)]
    passed = []

    def one(package):
        with contextlib.suppress(TooManyUploadsError):
            passed.append(announce(stage, package).id)

    threads = [threading.Thread(target=one, args=(package,)) for package in packages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 3


def test_announcing_again_finds_the_same_upload_until_bytes_have_come(stage):
    package = signed(stage, PAYLOAD)
    upload = announce(stage, package)
    assert announce(stage, package).id == upload.id
    assert len(stage.events("uploads.created")) == 1
    with pytest.raises(PackageUploadingError, match=upload.id):
        announce(stage, package, publish=True)
    send(stage, upload.id, PAYLOAD[:1], 0)
    with pytest.raises(PackageUploadingError, match=upload.id):
        announce(stage, package)


def test_a_full_disk_is_told_before_bytes_are_taken(make_room, monkeypatch):
    stage = make_room()
    first = announce(stage, signed(stage, PAYLOAD))
    free = files_module.RESERVE_BYTES + len(PAYLOAD)
    monkeypatch.setattr(files_module.shutil, "disk_usage", lambda _place: Disk(free))
    with pytest.raises(NoSpaceError, match=f"has {len(PAYLOAD)} bytes left.*{2 * len(PAYLOAD)} are needed"):
        announce(stage, signed(stage, PAYLOAD))
    send(stage, first.id, PAYLOAD[:10], 0)
    monkeypatch.setattr(files_module.shutil, "disk_usage", lambda _place: Disk(files_module.RESERVE_BYTES))
    with pytest.raises(NoSpaceError) as caught:
        send(stage, first.id, PAYLOAD[10:], 10)
    assert "nothing is lost" in caught.value.remedy
    assert on_disk(stage, first.id) == PAYLOAD[:10]


class Disk:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_disk_that_fills_up_in_the_middle_keeps_what_arrived(make_room, monkeypatch):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    write = os.pwrite

    def full(descriptor, data, offset):
        if offset >= 100:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data)[:60], offset)

    owner = stage.advertiser.organisation_id
    monkeypatch.setattr(os, "pwrite", full)
    with stage.room.uploads.append(upload.id, organisation_id=owner, offset=0) as appending:
        appending.write(PAYLOAD[:100])
        with pytest.raises(NoSpaceError):
            appending.write(PAYLOAD[100:])
    monkeypatch.undo()
    assert look(stage, upload.id).offset == 100
    send(stage, upload.id, PAYLOAD[100:], 100)
    assert on_disk(stage, upload.id) == PAYLOAD


@pytest.mark.parametrize("at", [1, 99, 101, len(PAYLOAD)])
def test_bytes_for_another_place_are_refused_and_the_place_is_named(make_room, at):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:100], 0)
    with pytest.raises(OffsetError, match=f"stands at 100, not at {at}"):
        send(stage, upload.id, b"x", at)
    assert on_disk(stage, upload.id) == PAYLOAD[:100]


def test_a_complete_upload_takes_nothing_more(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD, 0)
    with pytest.raises(OffsetError, match="is complete"):
        send(stage, upload.id, b"", len(PAYLOAD))


def test_more_bytes_than_signed_are_refused_announced_or_not(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    with pytest.raises(UploadTooLargeError):
        send(stage, upload.id, b"", 0, announced=len(PAYLOAD) + 1)
    with pytest.raises(UploadTooLargeError):
        send(stage, upload.id, PAYLOAD + b"x", 0)
    assert look(stage, upload.id).offset == 0


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_false_checksum_leaves_the_offset_and_a_true_one_moves_it(stage, algorithm):
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    good = Checksum(algorithm, hashlib.new(algorithm, PAYLOAD[10:20]).digest())
    with pytest.raises(ChecksumError, match="not those"):
        send(stage, upload.id, PAYLOAD[11:21], 10, checksum=good)
    assert look(stage, upload.id).offset == 10
    assert on_disk(stage, upload.id) == PAYLOAD[:10]
    assert send(stage, upload.id, PAYLOAD[10:20], 10, checksum=good).offset == 20


def test_what_a_checksum_could_not_check_does_not_count(make_room, monkeypatch):
    monkeypatch.setattr(appending_module, "ADVANCE_BYTES", 16)
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    owner = stage.advertiser.organisation_id
    options = {"organisation_id": owner, "offset": 0, "checksum": sha256(PAYLOAD)}
    with stage.room.uploads.append(upload.id, **options) as appending:
        appending.write(PAYLOAD[:100])
    assert look(stage, upload.id).offset == 0
    send(stage, upload.id, PAYLOAD, 0, checksum=sha256(PAYLOAD))
    assert on_disk(stage, upload.id) == PAYLOAD


def test_without_a_checksum_what_arrived_counts_however_the_request_ends(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    owner = stage.advertiser.organisation_id

    def broken_off() -> None:
        with stage.room.uploads.append(upload.id, organisation_id=owner, offset=0) as appending:
            appending.write(PAYLOAD[:70])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert look(stage, upload.id).offset == 70


def test_the_offset_moves_while_a_long_request_runs(make_room, monkeypatch):
    monkeypatch.setattr(appending_module, "ADVANCE_BYTES", 64)
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    owner = stage.advertiser.organisation_id
    with stage.room.uploads.append(upload.id, organisation_id=owner, offset=0) as appending:
        seen = []
        for at in range(0, 200, 40):
            appending.write(PAYLOAD[at : at + 40])
            seen.append(look(stage, upload.id).offset)
    assert seen == [0, 80, 80, 160, 160]
    assert look(stage, upload.id).offset == 200


def test_two_at_once_one_is_told_to_wait_and_nothing_is_mixed(stage):
    upload = announce(stage, signed(stage, PAYLOAD))
    owner = stage.advertiser.organisation_id
    with stage.room.uploads.append(upload.id, organisation_id=owner, offset=0) as appending:
        appending.write(PAYLOAD[:100])
        for work in (
            lambda: send(stage, upload.id, b"y" * 200, 0),
            lambda: stage.room.uploads.terminate(upload.id, organisation_id=owner),
            lambda: stage.room.uploads.ingest(upload.id),
        ):
            with pytest.raises(UploadBusyError):
                work()
    assert send(stage, upload.id, PAYLOAD[100:], 100).status is UploadStatus.RECEIVED
    assert on_disk(stage, upload.id) == PAYLOAD


def test_bytes_of_a_crash_are_cut_off(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    with (stage.room.settings.uploads_path / f"{upload.id}.part").open("ab") as file:
        file.write(b"never counted" * 2000)
    send(stage, upload.id, PAYLOAD[10:20], 10)
    assert on_disk(stage, upload.id) == PAYLOAD[:20]


@pytest.mark.parametrize("left", [None, 5])
def test_an_upload_whose_bytes_are_lost_fails_and_says_so(make_room, left):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    path = stage.room.settings.uploads_path / f"{upload.id}.part"
    path.unlink() if left is None else os.truncate(path, left)
    with pytest.raises(UploadGoneError, match="lost"):
        send(stage, upload.id, PAYLOAD[10:20], 10)
    seen = look(stage, upload.id)
    assert (seen.status, seen.failure) == (UploadStatus.FAILED, "uploads.bytes_lost")
    with pytest.raises(UploadGoneError):
        send(stage, upload.id, PAYLOAD[10:20], 10)


def test_ending_an_upload_removes_its_bytes_and_keeps_its_record(stage):
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    owner = stage.advertiser.organisation_id
    stage.room.uploads.terminate(upload.id, organisation_id=owner)
    assert on_disk(stage, upload.id) is None
    assert look(stage, upload.id).status is UploadStatus.TERMINATED
    for work in (
        lambda: stage.room.uploads.terminate(upload.id, organisation_id=owner),
        lambda: send(stage, upload.id, PAYLOAD[10:], 10),
    ):
        with pytest.raises(UploadGoneError, match="terminated"):
            work()


def test_uploads_of_others_are_answered_as_unknown(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    other = stage.party("other").organisation_id
    uploads = stage.room.uploads
    for upload_id in (upload.id, "up_" + "0" * 32, "../../etc/passwd", "up_\0"):
        with stage.room.db.reading() as tx, pytest.raises(UploadNotFoundError):
            uploads.upload(tx, upload_id, organisation_id=other)
        with pytest.raises(UploadNotFoundError):
            uploads.append(upload_id, organisation_id=other, offset=0)
        with pytest.raises(UploadNotFoundError):
            uploads.terminate(upload_id, organisation_id=other)


def test_an_upload_expires_is_swept_and_says_so_even_before(stage):
    upload = announce(stage, signed(stage, PAYLOAD))
    kept = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    send(stage, kept.id, PAYLOAD, 0)
    assert upload.expires_at - upload.created_at == timedelta(days=7)
    assert stage.room.uploads.sweep().expired == ()
    stage.clock.move(days=7)
    assert look(stage, upload.id).status is UploadStatus.EXPIRED
    with pytest.raises(UploadGoneError, match="expired"):
        send(stage, upload.id, PAYLOAD[10:20], 10)
    assert stage.room.uploads.sweep().expired == (upload.id,)
    assert stage.room.uploads.sweep().expired == ()
    assert on_disk(stage, upload.id) is None
    assert on_disk(stage, kept.id) == PAYLOAD
    assert look(stage, kept.id).status is UploadStatus.RECEIVED
    assert [event["subject"] for event in stage.events("uploads.expired")] == [upload.id]


def test_an_upload_does_not_outlive_its_manifest(make_room):
    stage = make_room()
    soon = (stage.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    upload = announce(stage, signed(stage, PAYLOAD, expires_at=soon))
    assert upload.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") == soon


def test_files_that_no_upload_needs_are_swept_at_the_start_and_others_stay(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    send(stage, upload.id, PAYLOAD[:10], 0)
    directory = stage.room.settings.uploads_path
    (directory / f"up_{'0' * 32}.part").write_bytes(b"orphan")
    (directory / "notes").write_bytes(b"not ours")
    stage.reopen()
    assert sorted(path.name for path in directory.iterdir()) == ["notes", f"{upload.id}.part"]
    assert look(stage, upload.id).offset == 10


def test_what_somebody_is_at_is_not_swept(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    owner = stage.advertiser.organisation_id
    with stage.room.uploads.append(upload.id, organisation_id=owner, offset=0) as appending:
        appending.write(PAYLOAD[:10])
        stage.clock.move(days=8)
        assert stage.room.uploads.sweep().expired == ()
    assert stage.room.uploads.sweep().expired == (upload.id,)


def test_an_upload_that_is_not_complete_is_not_ingested(make_room):
    stage = make_room()
    upload = announce(stage, signed(stage, PAYLOAD))
    with pytest.raises(UploadStatusError):
        stage.room.uploads.ingest(upload.id)
    assert stage.room.uploads.ingest_next() is None


def test_the_limits_come_from_the_settings(make_room):
    stage = make_room()
    assert stage.room.uploads.limits == Limits(64 << 30, 7, 20)
