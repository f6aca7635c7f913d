"""Keys in AWS KMS: deletion is scheduled, what is wrong is said without quoting the service, calls end in time."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from crypto.key_memory import KeyMemory
from crypto.key_services import KeyServiceRefusedError, KeyServiceUnavailableError
from crypto.keys import KeyDestroyedError, UnwrapError
from crypto.kms_keys import KmsKeys, KmsPlace
from tests.aws import REGION


@pytest.fixture
def destroyed(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder / "destroyed"


@pytest.fixture
def place(kms_endpoint: str, tmp_path: Path) -> KmsPlace:
    return KmsPlace(REGION, f"cleanroom/{tmp_path.name}", kms_endpoint, deletion_days=9)


@pytest.fixture
def keys(place: KmsPlace, destroyed: Path, caplog: pytest.LogCaptureFixture) -> KmsKeys:
    caplog.set_level("WARNING")
    return KmsKeys.open(place, destroyed=destroyed)


@pytest.fixture
def raw(kms_endpoint: str) -> Any:
    return boto3.client("kms", region_name=REGION, endpoint_url=kms_endpoint)


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address that takes calls and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_key_carries_the_rooms_alias_and_tag_until_its_deletion_is_scheduled(
    keys: KmsKeys, place: KmsPlace, raw: Any
) -> None:
    kek_id = keys.create_kek("ws_1")
    key_id = kek_id.partition("-")[2]
    tags = raw.list_resource_tags(KeyId=key_id)["Tags"]
    assert tags == [{"TagKey": "cleanroom", "TagValue": place.alias}]
    aliases = [one["AliasName"] for one in raw.list_aliases(KeyId=key_id)["Aliases"]]
    assert aliases == [f"alias/{place.alias}/{kek_id}"]
    keys.destroy(kek_id)
    described = raw.describe_key(KeyId=key_id)["KeyMetadata"]
    assert described["KeyState"] == "PendingDeletion"
    assert 8 < (described["DeletionDate"].timestamp() - time.time()) / 86_400 <= 9
    assert raw.list_aliases(KeyId=key_id)["Aliases"] == []


def test_keys_of_another_room_in_the_account_are_not_listed(
    keys: KmsKeys, place: KmsPlace, destroyed: Path
) -> None:
    other = KmsKeys.open(replace(place, alias=f"{place.alias}-other"), destroyed=destroyed)
    theirs, ours = other.create_kek("ws_2"), keys.create_kek("ws_1")
    assert keys.kek_ids() == (ours,)
    assert other.kek_ids() == (theirs,)


def test_a_destruction_that_a_crash_cut_short_is_finished(keys: KmsKeys, destroyed: Path, raw: Any) -> None:
    kek_id = keys.create_kek("ws_1")
    destroyed.write_text(f"{kek_id}\n")
    assert keys.kek_ids() == (kek_id,)
    keys.destroy(kek_id)
    assert keys.kek_ids() == ()
    assert raw.describe_key(KeyId=kek_id.partition("-")[2])["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_service_that_is_away_or_silent_is_said_in_time(
    place: KmsPlace, destroyed: Path, deaf: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for endpoint in (nobody, deaf):
        brief = replace(place, endpoint=endpoint, connect_seconds=0.2, read_seconds=0.2, attempts=2)
        begun = time.monotonic()
        with pytest.raises(KeyServiceUnavailableError):
            KmsKeys.open(brief, destroyed=destroyed)
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", KeyServiceRefusedError),
        ("UnrecognizedClientException", KeyServiceRefusedError),
        ("ThrottlingException", KeyServiceUnavailableError),
        ("DisabledException", KeyServiceUnavailableError),
        ("KMSInvalidStateException", KeyDestroyedError),
    ],
)
def test_refusals_are_told_by_their_code_and_never_quote_the_service(
    keys: KmsKeys, raw: Any, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    kek_id = keys.create_kek("ws_1")
    # By somebody else: the room does not know.
    raw.schedule_key_deletion(KeyId=kek_id.partition("-")[2], PendingWindowInDays=7)
    client = keys._client()

    def refused(**_: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "arn:aws:iam::1:user/anna"}}, "Encrypt")

    monkeypatch.setattr(client, "encrypt", refused)
    with pytest.raises(error) as caught:
        keys.wrap(kek_id, b"k", context=b"")
    assert "anna" not in str(caught.value)


def test_without_credentials_nothing_is_tried(
    place: KmsPlace, destroyed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(KeyServiceRefusedError, match="credentials"):
        KmsKeys.open(place, destroyed=destroyed)


def test_a_probe_asks_the_service_at_most_twice_a_minute(
    keys: KmsKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    client = keys._client()
    answer = client.list_aliases

    def counted(**options: object) -> object:
        nonlocal asked
        asked += 1
        return answer(**options)

    monkeypatch.setattr(client, "list_aliases", counted)
    for _ in range(5):
        keys.check()
    assert asked == 0
    keys._checked_at -= 31
    for _ in range(5):
        keys.check()
    assert asked == 1


def test_a_key_is_unwrapped_once_a_minute_and_not_after_its_destruction_anywhere(
    keys: KmsKeys, place: KmsPlace, destroyed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    client = keys._client()
    answer = client.decrypt

    def counted(**options: object) -> object:
        nonlocal asked
        asked += 1
        return answer(**options)

    monkeypatch.setattr(client, "decrypt", counted)
    kek_id = keys.create_kek("ws_1")
    wrapped = keys.wrap(kek_id, b"secret", context=b"c")
    for _ in range(5):
        assert keys.unwrap(kek_id, wrapped, context=b"c") == b"secret"
    assert asked == 1
    # What is kept is kept for its place alone.
    with pytest.raises(UnwrapError):
        keys.unwrap(kek_id, wrapped, context=b"d")
    later = time.monotonic() + 61
    with monkeypatch.context() as patch:
        patch.setattr("crypto.key_memory.time.monotonic", lambda: later)
        assert keys.unwrap(kek_id, wrapped, context=b"c") == b"secret"
    assert asked == 3
    KmsKeys.open(place, destroyed=destroyed).destroy(kek_id)
    with pytest.raises(KeyDestroyedError):
        keys.unwrap(kek_id, wrapped, context=b"c")
    assert asked == 3


def test_memory_of_keys_is_bounded_and_forgets_the_oldest() -> None:
    memory = KeyMemory(seconds=60, most=2)
    for number in range(3):
        memory.put(("kms_1", bytes([number]), b""), bytes([number]))
    assert [memory.get(("kms_1", bytes([number]), b"")) for number in range(3)] == [None, b"\1", b"\2"]
    memory.forget("kms_1")
    assert memory.get(("kms_1", b"\2", b"")) is None
