"""The local key file keeps keys to its owner, survives other processes, and forgets what is destroyed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crypto import key_file
from crypto.keys import (
    KeyDestroyedError,
    KeyFileError,
    KeyFileExposedError,
    LocalKeyFile,
    SignatureError,
    generate_signing_key,
    public_key,
    sign,
    verify,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "kek.json"


@pytest.fixture
def keys(path: Path) -> LocalKeyFile:
    return LocalKeyFile.create(path)


def test_a_destroyed_key_opens_nothing_and_says_so(keys: LocalKeyFile, path: Path) -> None:
    kek_id = keys.create_kek("one")
    wrapped = keys.wrap(kek_id, bytes(32), context=b"")
    stored = json.loads(path.read_bytes())["keys"][kek_id]["key"]
    keys.destroy(kek_id)
    keys.destroy(kek_id)
    for holder in (keys, LocalKeyFile.open(path)):
        with pytest.raises(KeyDestroyedError):
            holder.unwrap(kek_id, wrapped, context=b"")
        with pytest.raises(KeyDestroyedError):
            holder.wrap(kek_id, bytes(32), context=b"")
    assert all(stored not in file.read_text() for file in path.parent.iterdir())


def test_the_old_contents_are_overwritten_where_they_lay(keys: LocalKeyFile, path: Path) -> None:
    kek_id = keys.create_kek("one")
    stored = json.loads(path.read_bytes())["keys"][kek_id]["key"].encode()
    with path.open("rb") as old:
        keys.destroy(kek_id)
        remains = old.read()
    assert remains
    assert stored not in remains


def test_what_a_crash_left_beside_the_file_does_not_outlive_the_next_change(
    keys: LocalKeyFile, path: Path
) -> None:
    kek_id = keys.create_kek("one")
    left = path.with_name(f".{path.name}.1-1.partial")
    left.write_bytes(path.read_bytes())
    keys.destroy(kek_id)
    assert not left.exists()


def test_the_file_and_its_directory_are_the_owners_alone(keys: LocalKeyFile, path: Path) -> None:
    keys.create_kek("one")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.name for file in path.parent.iterdir()} == {"kek.json", "kek.json.lock"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(
    keys: LocalKeyFile, path: Path, mode: int
) -> None:
    kek_id = keys.create_kek("one")
    path.chmod(mode)
    with pytest.raises(KeyFileExposedError, match=r"chmod 600 kek\.json"):
        LocalKeyFile.open(path)
    with pytest.raises(KeyFileExposedError):
        keys.wrap(kek_id, bytes(32), context=b"")


def test_a_directory_that_others_can_enter_is_refused_with_the_remedy(keys: LocalKeyFile, path: Path) -> None:
    path.parent.chmod(0o755)
    with pytest.raises(KeyFileExposedError, match="chmod 700 keys"):
        LocalKeyFile.open(path)
    with pytest.raises(KeyFileExposedError, match="directory"):
        LocalKeyFile.create(path.with_name("second.json"))


def test_creating_never_replaces_and_opening_never_creates(keys: LocalKeyFile, path: Path) -> None:
    with pytest.raises(KeyFileError, match="already there"):
        LocalKeyFile.create(path)
    path.unlink()
    with pytest.raises(KeyFileError, match="missing"):
        LocalKeyFile.open(path)


def damage(document: dict[str, Any], kek_id: str) -> list[bytes]:
    other = json.loads(json.dumps(document))
    other["keys"][kek_id]["key"] = "A" * 43 + "="
    short = json.loads(json.dumps(document))
    short["keys"][kek_id]["key"] = "AAAA"
    unlabelled = json.loads(json.dumps(document))
    del unlabelled["keys"][kek_id]["label"]
    texts = [json.dumps(item).encode() for item in (other, short, unlabelled)]
    return [
        *texts,
        b"",
        b"{",
        b"[]",
        b'{"v":1,"keys":[]}',
        b"[" * 100_000,
        json.dumps(document).encode()[:-9],
    ]


def test_a_damaged_file_is_refused_and_its_keys_are_not_shown(keys: LocalKeyFile, path: Path) -> None:
    kek_id = keys.create_kek("one")
    document = json.loads(path.read_bytes())
    for data in damage(document, kek_id):
        path.write_bytes(data)
        with pytest.raises(KeyFileError, match="damaged") as caught:
            LocalKeyFile.open(path)
        assert document["keys"][kek_id]["key"] not in str(caught.value)


def test_a_file_of_a_later_version_is_named(keys: LocalKeyFile, path: Path) -> None:
    path.write_bytes(b'{"v":3,"keys":{}}')
    with pytest.raises(KeyFileError, match="version"):
        LocalKeyFile.open(path)


def test_what_another_process_creates_or_destroys_is_seen_at_once(keys: LocalKeyFile, path: Path) -> None:
    other = LocalKeyFile.open(path)
    kek_id = other.create_kek("theirs")
    wrapped = keys.wrap(kek_id, b"secret", context=b"")
    other.destroy(kek_id)
    with pytest.raises(KeyDestroyedError):
        keys.unwrap(kek_id, wrapped, context=b"")


def test_a_file_that_is_replaced_while_it_is_read_is_not_called_damaged(
    keys: LocalKeyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, made = LocalKeyFile.open(path), []

    def replaced_meanwhile(status: os.stat_result) -> key_file.FileStamp:
        # Between opening the file and reading it, another process replaces it, and overwrites the one before.
        if not made:
            made.append("")
            made.append(other.create_kek("theirs"))
        return key_file_stamp(status)

    key_file_stamp = key_file.file_stamp
    monkeypatch.setattr(key_file, "file_stamp", replaced_meanwhile)
    assert LocalKeyFile.open(path).kek_ids() == keys.kek_ids()
    assert made[1] in keys.kek_ids()
    made.clear()
    assert key_file.read_seal(path) is None


def test_processes_that_create_keys_at_once_lose_none(keys: LocalKeyFile, path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from crypto.keys import LocalKeyFile\n"
        "keys = LocalKeyFile.open(Path(sys.argv[1]))\n"
        "for _ in range(15): keys.create_kek('one of many')\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    root = Path(__file__).parents[3]
    workers = [subprocess.Popen(command, cwd=root) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert len(keys.kek_ids()) == 60


def test_signatures_are_rfc_8032s() -> None:
    # RFC 8032, section 7.1, test 2.
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert public_key(seed) == public
    assert sign(seed, b"\x72") == signature
    verify(public, b"\x72", signature)


def test_wrong_signatures_and_malformed_keys_are_refused() -> None:
    seed = generate_signing_key()
    public, signature = public_key(seed), sign(seed, b"message")
    cases = [
        (public, b"messagf", signature),
        (public, b"message", signature[:-1]),
        (public, b"message", b""),
        (public[:-1], b"message", signature),
        (public_key(generate_signing_key()), b"message", signature),
    ]
    for case in cases:
        with pytest.raises(SignatureError):
            verify(*case)
    for function in (public_key, lambda key: sign(key, b"message")):
        with pytest.raises(SignatureError, match="32 bytes"):
            function(bytes(31))
