"""A root key that people open together: any of them that are enough, and nobody else, and no mistake goes unnoticed."""

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.key_file import LocalKeyFile, read_seal
from crypto.key_file_format import KeyFileError, Lock
from crypto.keys import KeyDestroyedError
from crypto.shares import KeysSealedError, Seal, Share, ShareError, read_share, split_root


def test_any_shares_that_are_enough_open_the_root_in_any_order() -> None:
    root = os.urandom(32)
    seal, shares = split_root(root, shares=5, threshold=3)
    for chosen in itertools.permutations(shares, 3):
        assert seal.open(chosen) == root
    assert root not in seal.sealed


def test_fewer_shares_wrong_ones_and_those_of_another_split_open_nothing() -> None:
    seal, shares = split_root(os.urandom(32), shares=5, threshold=3)
    _, others = split_root(os.urandom(32), shares=5, threshold=3)
    wrong = Share(seal.id, shares[0].index, bytes([shares[0].secret[0] ^ 1]) + shares[0].secret[1:])
    for chosen in (
        shares[:2],
        shares[:1],
        [wrong, *shares[1:3]],
        [others[0], *shares[1:3]],
        others[:3],
        [shares[0], shares[0], shares[1]],
    ):
        with pytest.raises(ShareError) as caught:
            seal.open(list(chosen))
        assert not any(share.secret.hex() in str(caught.value) for share in chosen)


def test_the_numbers_are_part_of_the_seal() -> None:
    root = os.urandom(32)
    seal, shares = split_root(root, shares=5, threshold=3)
    lowered = Seal(seal.id, seal.shares, 2, seal.sealed)
    with pytest.raises(ShareError):
        lowered.open(shares[:3])
    assert Seal.from_dict(json.loads(json.dumps(seal.as_dict()))) == seal


@pytest.mark.parametrize(("shares", "threshold"), [(5, 1), (5, 6), (1, 1), (17, 3), (0, 0), (3, 0)])
def test_numbers_that_protect_nothing_are_refused(shares: int, threshold: int) -> None:
    with pytest.raises(ShareError, match="at least 2"):
        split_root(bytes(32), shares=shares, threshold=threshold)


@given(st.binary(min_size=8, max_size=8), st.integers(1, 16), st.binary(min_size=16, max_size=16))
def test_what_is_typed_carelessly_is_the_share_that_was_written(
    seal_id: bytes, index: int, secret: bytes
) -> None:
    share = Share(seal_id, index, secret)
    text = share.text()
    assert read_share(text) == share
    assert read_share(f" {text.lower().replace('-', ' ')}\n") == share
    assert secret.hex() not in repr(share)


def test_every_slip_of_a_finger_is_noticed() -> None:
    _, (share, *_) = split_root(os.urandom(32), shares=2, threshold=2)
    text = share.text()
    for position, letter in enumerate(text):
        if letter == "-":
            continue
        other = "A" if letter != "A" else "B"
        with pytest.raises(ShareError, match="mistyped"):
            read_share(text[:position] + other + text[position + 1 :])
    for broken in ("", text[:-5], text + text[:4], "ы" + text[1:], "1" * len(text)):
        with pytest.raises(ShareError, match="mistyped"):
            read_share(broken)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


def test_a_sealed_key_file_holds_no_key_in_clear_and_opens_with_its_root_alone(path: Path) -> None:
    keys = LocalKeyFile.create(path)
    first, gone = keys.create_kek("ws_1"), keys.create_kek("ws_2")
    keys.destroy(gone)
    wrapped = keys.wrap(first, b"secret", context=b"c")
    clear = json.loads(path.read_bytes())["keys"][first]["key"]
    root = os.urandom(32)
    seal, _ = split_root(root, shares=3, threshold=2)
    with path.open("rb") as old:
        keys.relock(Lock(seal, root))
        assert clear.encode() not in old.read()
    assert clear not in path.read_text()
    assert keys.unwrap(first, wrapped, context=b"c") == b"secret"
    second = keys.create_kek("ws_3")
    assert read_seal(path) == seal
    with pytest.raises(KeysSealedError):
        LocalKeyFile.open(path)
    asked: list[bytes] = []

    def root_of(known: Seal) -> bytes:
        asked.append(known.id)
        return root

    opened = LocalKeyFile.open(path, root_of=root_of)
    assert opened.kek_ids() == (first, second)
    assert opened.unwrap(first, wrapped, context=b"c") == b"secret"
    with pytest.raises(KeyDestroyedError):
        opened.wrap(gone, b"k", context=b"")
    # Others' changes are read without asking again.
    keys.create_kek("ws_4")
    assert len(opened.kek_ids()) == 3
    assert asked == [seal.id]
    with pytest.raises(KeyFileError, match="damaged"):
        LocalKeyFile.open(path, root_of=lambda _seal: os.urandom(32))
    opened.relock(None)
    assert read_seal(path) is None
    assert LocalKeyFile.open(path).unwrap(first, wrapped, context=b"c") == b"secret"


def test_a_sealed_key_cannot_be_put_in_the_place_of_another(path: Path) -> None:
    keys = LocalKeyFile.create(path)
    first, second = keys.create_kek("ws_1"), keys.create_kek("ws_2")
    root = os.urandom(32)
    seal, _ = split_root(root, shares=3, threshold=2)
    keys.relock(Lock(seal, root))
    document = json.loads(path.read_bytes())
    document["keys"][first], document["keys"][second] = document["keys"][second], document["keys"][first]
    path.write_bytes(json.dumps(document).encode())
    with pytest.raises(KeyFileError, match="damaged"):
        LocalKeyFile.open(path, root_of=lambda _seal: root)
    for root_part in ({}, None, {**seal.as_dict(), "threshold": 0}, {**seal.as_dict(), "sealed": "AAAA"}):
        path.write_bytes(json.dumps({**document, "root": root_part}).encode())
        with pytest.raises(KeyFileError, match="damaged"):
            LocalKeyFile.open(path, root_of=lambda _seal: root)
