"""Packages: strict manifests, clean failure of the streams; damage is in tests/properties."""

import base64
import json
import os
import shutil
import subprocess
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from crypto import payload
from crypto.channel import Abandoned, Channel
from crypto.keys import generate_signing_key, public_key, verify
from crypto.package import (
    DamagedPackageError,
    Manifest,
    ManifestFormatError,
    PackageWriter,
    UnknownSignerError,
    WrongRecipientError,
    generate_identity,
    open_payload,
    read_manifest,
    recipient_key_id,
    sign_manifest,
    verify_manifest,
)

IDENTITY, RECIPIENT = generate_identity()
SEED = generate_signing_key()
MANIFEST = Manifest(
    package_id="pk_1",
    workspace_id="ws_1",
    dataset_id="ds_1",
    mode="delta",
    expected_version_id="dv_1",
    schema_sha256="0" * 64,
    recipient_key_id="1" * 32,
    rows=3,
    ciphertext_sha256="2" * 64,
    ciphertext_bytes=100,
    signer_key_id="ek_1",
    created_at="2026-01-01T00:00:00Z",
    expires_at="2026-01-08T00:00:00Z",
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("v", True),
        ("package_id", "PK"),
        ("package_id", ""),
        ("package_id", "x" * 65),
        ("workspace_id", None),
        ("dataset_id", "a\n"),
        ("signer_key_id", 5),
        ("mode", "append"),
        ("expected_version_id", ""),
        ("schema_sha256", "0" * 63),
        ("ciphertext_sha256", "A" * 64),
        ("recipient_key_id", "0" * 64),
        ("rows", -1),
        ("rows", True),
        ("rows", (1 << 40) + 1),
        ("ciphertext_bytes", 1 << 53),
        ("created_at", "2026-01-01"),
        ("expires_at", "2026-02-30T00:00:00Z"),
        ("expires_at", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_a_field_out_of_form_is_refused_by_name_and_without_its_value(name: str, value: Any) -> None:
    with pytest.raises(ManifestFormatError, match="version" if name == "v" else name) as caught:
        replace(MANIFEST, **{name: value})
    assert not isinstance(value, str) or len(value) < 9 or value not in str(caught.value)


def file_of(manifest: Any, signature: Any = "A" * 86 + "==") -> bytes:
    return json.dumps(
        {"manifest": manifest, "signature": signature}, separators=(",", ":"), sort_keys=True
    ).encode()


def test_the_helper_of_this_test_writes_what_is_accepted() -> None:
    assert read_manifest(file_of(asdict(MANIFEST))) == (MANIFEST, bytes(64))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 60_000,
        file_of(5),
        file_of(asdict(MANIFEST), 5),
        file_of(asdict(MANIFEST), "A"),
        file_of(asdict(MANIFEST), base64.b64encode(bytes(63)).decode()),
        file_of(asdict(MANIFEST)) + b" ",
        file_of(asdict(MANIFEST)).replace(b'"v":1', b'"v":1,"v":1'),
        file_of(asdict(MANIFEST)).replace(b'"rows":3', b'"rows":3.0'),
        file_of(asdict(MANIFEST)).replace(b'"rows":3', b'"rows":NaN'),
        file_of({**asdict(MANIFEST), "extra": 1}),
        file_of({name: value for name, value in asdict(MANIFEST).items() if name != "rows"}),
        b" " * 70_000,
    ],
)
def test_a_file_that_is_not_a_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestFormatError):
        read_manifest(data)


def test_an_unknown_signer_is_told_what_to_do() -> None:
    with pytest.raises(UnknownSignerError, match="Enrol"):
        verify_manifest(sign_manifest(MANIFEST, SEED), public_keys={"ek_2": public_key(SEED)})


def test_a_recipient_has_one_name_and_other_texts_have_none() -> None:
    assert (
        recipient_key_id(RECIPIENT) == recipient_key_id(RECIPIENT) != recipient_key_id(generate_identity()[1])
    )
    assert len(recipient_key_id(RECIPIENT)) == 32
    with pytest.raises(WrongRecipientError, match="age1"):
        recipient_key_id(IDENTITY)


def test_an_identity_that_is_none_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(WrongRecipientError) as caught, open_payload(tmp_path / "x", "AGE-SECRET-KEY-1X"):
        pass
    assert "AGE-SECRET" not in str(caught.value)


def test_a_payload_is_an_age_file(tmp_path: Path) -> None:
    with PackageWriter(tmp_path / "p.age", RECIPIENT) as writer:
        writer.write(b"content")
    data = (tmp_path / "p.age").read_bytes()
    assert pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(IDENTITY)]) == b"content"
    assert writer.result.size == len(data)
    if age := shutil.which("age"):
        (tmp_path / "key").write_text(IDENTITY)
        command = [age, "--decrypt", "--identity", str(tmp_path / "key"), str(tmp_path / "p.age")]
        assert subprocess.run(command, check=True, capture_output=True).stdout == b"content"


def test_a_block_that_raises_leaves_no_package(tmp_path: Path) -> None:
    path = tmp_path / "p.age"
    with pytest.raises(ZeroDivisionError), PackageWriter(path, RECIPIENT) as writer:  # noqa: PT012
        writer.write(bytes(3 << 20))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DamagedPackageError, match="not complete"):
        _ = writer.result


def test_a_disk_that_refuses_stops_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "p.age"
    with pytest.raises(FileNotFoundError), PackageWriter(path, RECIPIENT) as writer:  # noqa: PT012
        for _ in range(100):
            writer.write(bytes(1 << 20))


def test_a_full_disk_at_the_end_is_not_taken_for_success(tmp_path: Path) -> None:
    (tmp_path / "p.age.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"), PackageWriter(tmp_path / "p.age", RECIPIENT) as writer:
        writer.write(b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_stops_early_leaves_no_thread(tmp_path: Path) -> None:
    with PackageWriter(tmp_path / "p.age", RECIPIENT) as writer:
        writer.write(os.urandom(16 << 20))
    before = threading.active_count()
    with open_payload(tmp_path / "p.age", IDENTITY) as stream:
        assert len(stream.read(10)) == 10
    assert threading.active_count() == before


def test_anothers_payload_is_named_as_such(tmp_path: Path) -> None:
    with PackageWriter(tmp_path / "p.age", RECIPIENT) as writer:
        writer.write(b"content")
    with (
        open_payload(tmp_path / "p.age", generate_identity()[0]) as stream,
        pytest.raises(WrongRecipientError),
    ):
        stream.read()


def test_a_missing_payload_is_named_as_such(tmp_path: Path) -> None:
    with open_payload(tmp_path / "none", IDENTITY) as stream, pytest.raises(FileNotFoundError):
        stream.read()


def test_whatever_stops_the_decryption_reaches_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("none left")

    with PackageWriter(tmp_path / "p.age", RECIPIENT) as writer:
        writer.write(b"content")
    monkeypatch.setattr(payload, "open_header", fail)
    found: list[BaseException] = []

    def read() -> None:
        with open_payload(tmp_path / "p.age", IDENTITY) as stream:
            try:
                stream.read()
            except MemoryError as failure:
                found.append(failure)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(60)
    assert [str(failure) for failure in found] == ["none left"]


def test_an_abandoned_channel_takes_nothing_more_and_ends() -> None:
    channel = Channel()
    channel.put(b"one")
    channel.abandon()
    assert channel.get() == b""
    with pytest.raises(Abandoned):
        channel.put(b"two")


def test_a_channel_holds_few_chunks_at_a_time() -> None:
    channel, passed = Channel(), []

    def fill() -> None:
        for number in range(20):
            channel.put(b"chunk")
            passed.append(number)
        channel.end()

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join(0.2)
    assert len(passed) == 4
    while channel.get():
        pass
    thread.join()
    assert len(passed) == 20


def test_a_manifests_signature_is_of_no_other_kind_of_message() -> None:
    manifest, signature = read_manifest(sign_manifest(MANIFEST, SEED))
    canonical = json.dumps(asdict(manifest), separators=(",", ":"), sort_keys=True).encode()
    verify(public_key(SEED), b"cleanroom/package-manifest/v1\n" + canonical, signature)
