"""Whatever is done to a manifest, a payload or a signed checkpoint is noticed."""

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import checkpoint, keys
from crypto.errors import CryptoError
from crypto.package import (
    DamagedPackageError,
    Manifest,
    ManifestFormatError,
    PackageWriter,
    TruncatedPackageError,
    UnknownSignerError,
    WrongRecipientError,
    check_ciphertext,
    generate_identity,
    open_payload,
    recipient_key_id,
    sign_manifest,
    verify_manifest,
)

SEED = bytes(range(32))
KEYS = {"ek_1": keys.public_key(SEED)}
IDENTITY, RECIPIENT = generate_identity()
MANIFEST = Manifest(
    package_id="pk_1",
    workspace_id="ws_1",
    dataset_id="ds_1",
    mode="full",
    expected_version_id=None,
    schema_sha256="0" * 64,
    recipient_key_id=recipient_key_id(RECIPIENT),
    rows=3,
    ciphertext_sha256="1" * 64,
    ciphertext_bytes=100,
    signer_key_id="ek_1",
    created_at="2026-01-01T00:00:00Z",
    expires_at="2026-01-08T00:00:00.123456Z",
)


def packed(path: Path, plaintext: bytes) -> Manifest:
    with PackageWriter(path, RECIPIENT) as writer:
        writer.write(plaintext)
    return replace(MANIFEST, ciphertext_sha256=writer.result.sha256, ciphertext_bytes=writer.result.size)


def unpacked(path: Path, identity: str = IDENTITY) -> bytes:
    with open_payload(path, identity) as stream:
        return stream.read()


@given(
    rows=st.integers(0, 1 << 40),
    size=st.integers(0, (1 << 53) - 1),
    mode=st.sampled_from(["full", "delta"]),
    expected=st.none() | st.from_regex(r"\A[a-z0-9_]{1,64}\Z"),
)
def test_a_manifest_comes_back_as_it_was_signed(
    rows: int, size: int, mode: str, expected: str | None
) -> None:
    manifest = replace(MANIFEST, rows=rows, ciphertext_bytes=size, mode=mode, expected_version_id=expected)
    assert verify_manifest(sign_manifest(manifest, SEED), public_keys=KEYS) == manifest


def test_every_flipped_bit_of_a_manifest_is_noticed() -> None:
    data = sign_manifest(MANIFEST, SEED)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << (position % 8)
        with pytest.raises((ManifestFormatError, UnknownSignerError, keys.SignatureError)):
            verify_manifest(bytes(changed), public_keys=KEYS)


def test_every_truncation_or_addition_to_a_manifest_is_noticed() -> None:
    data = sign_manifest(MANIFEST, SEED)
    for changed in [*(data[:length] for length in range(len(data))), data + b"\n", data + data]:
        with pytest.raises(ManifestFormatError):
            verify_manifest(changed, public_keys=KEYS)


@pytest.mark.parametrize("name", sorted(set(asdict(MANIFEST)) - {"v", "mode", "expected_version_id"}))
def test_no_field_can_be_taken_from_another_manifest(name: str) -> None:
    others = {"rows": 4, "ciphertext_bytes": 5, "signer_key_id": "ek_2", "schema_sha256": "2" * 64}
    others |= {"ciphertext_sha256": "2" * 64, "recipient_key_id": "2" * 32}
    others |= {"created_at": "2027-01-01T00:00:00Z", "expires_at": "2027-01-01T00:00:00Z"}
    other = replace(MANIFEST, **{name: others.get(name, "zz_2")})
    stolen = sign_manifest(MANIFEST, SEED).rpartition(b'"signature"')[2]
    forged = sign_manifest(other, SEED).rpartition(b'"signature"')[0] + b'"signature"' + stolen
    with pytest.raises(keys.SignatureError):
        verify_manifest(forged, public_keys=KEYS | {"ek_2": KEYS["ek_1"]})


@given(size=st.one_of(st.integers(0, 200), st.integers(0, 3 << 20)))
@settings(deadline=None, max_examples=15)
def test_a_payload_comes_back_whole(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path, plaintext = tmp_path_factory.mktemp("package") / "PAYLOAD.age", os.urandom(size)
    check_ciphertext(path, packed(path, plaintext))
    assert unpacked(path) == plaintext


def test_every_flipped_byte_of_a_payload_is_noticed_by_hash_and_by_age(tmp_path: Path) -> None:
    path = tmp_path / "PAYLOAD.age"
    manifest = packed(path, os.urandom(300))
    data = path.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        path.write_bytes(changed)
        with pytest.raises(DamagedPackageError):
            check_ciphertext(path, manifest)
        with pytest.raises((DamagedPackageError, WrongRecipientError)):
            unpacked(path)


def test_every_truncation_of_a_payload_is_noticed_by_size_and_by_age(tmp_path: Path) -> None:
    path = tmp_path / "PAYLOAD.age"
    manifest = packed(path, os.urandom(140_000))
    data = path.read_bytes()
    # age encrypts 64 KiB at a time; a cut right between two pieces is the one that a careless reader misses.
    last_piece = 140_000 - 2 * 65_536 + 16
    borders = [len(data) - last_piece - 65_552, len(data) - last_piece, len(data) - 1]
    for length in [*range(0, 400), *borders]:
        path.write_bytes(data[:length])
        with pytest.raises(TruncatedPackageError, match=str(manifest.ciphertext_bytes)):
            check_ciphertext(path, manifest)
        with pytest.raises((DamagedPackageError, WrongRecipientError)):
            unpacked(path)


def test_a_payload_with_something_behind_it_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "PAYLOAD.age"
    manifest = packed(path, b"content")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DamagedPackageError):
        check_ciphertext(path, manifest)


def test_every_flipped_byte_of_a_checkpoint_is_noticed() -> None:
    name = "room.example/log"
    verifier = checkpoint.verifier_key(name, keys.public_key(SEED))
    note = checkpoint.sign_note(checkpoint.format_checkpoint(name, 1234, bytes(32)), name=name, seed=SEED)
    assert checkpoint.open_note(note, verifier).size == 1234
    data = note.encode()
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << (position % 8)
        with pytest.raises(CryptoError):
            checkpoint.open_note(changed.decode(errors="replace"), verifier)
    for length in range(len(note)):
        with pytest.raises(CryptoError):
            checkpoint.open_note(note[:length], verifier)
