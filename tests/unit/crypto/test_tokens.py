"""Tokens meet inside one workspace, key type and hash family, and nowhere else."""

import hashlib
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.tokens import DigestLengthError, TokenKeyError, derive_token_key, invert, retokenise, tokenise

SECRET = bytes(range(32))
WORKSPACE = UUID(int=7)
KEY, OTHER = bytes(32), bytes([1]) * 32


def derive(**changes: object) -> bytes:
    arguments = {
        "workspace": WORKSPACE,
        "version": 1,
        "key_type": "email/room",
        "hash_family": "sha256",
    } | changes
    return derive_token_key(SECRET, **arguments)  # type: ignore[arg-type]


def digests(count: int) -> bytes:
    return b"".join(hashlib.sha256(number.to_bytes(8)).digest() for number in range(count))


def test_a_key_is_the_published_hkdf_of_its_parts() -> None:
    # Computed with HMAC alone: extract with an empty salt, expand one block.
    import hmac

    info = b"cleanroom/token-key/v1\n" + WORKSPACE.bytes + (1).to_bytes(4) + b"\x0aemail/room" + b"\x06sha256"
    extracted = hmac.digest(bytes(32), SECRET, "sha256")
    assert derive() == hmac.digest(extracted, info + b"\x01", "sha256")


@pytest.mark.parametrize(
    "change",
    [
        {"workspace": UUID(int=8)},
        {"version": 2},
        {"key_type": "phone/room"},
        {"hash_family": "md5-sha256"},
        {"key_type": "email", "hash_family": "/roomsha256"},
    ],
)
def test_every_part_changes_the_key(change: dict[str, object]) -> None:
    assert derive(**change) != derive()


@pytest.mark.parametrize(
    "change",
    [{"version": 0}, {"version": 1 << 32}, {"key_type": ""}, {"key_type": "x" * 256}, {"hash_family": ""}],
)
def test_parts_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(TokenKeyError):
        derive(**change)


def test_secrets_and_keys_of_another_length_are_refused() -> None:
    with pytest.raises(TokenKeyError, match="32 bytes"):
        derive_token_key(bytes(16), workspace=WORKSPACE, version=1, key_type="email", hash_family="sha256")
    for key in (b"", bytes(16), bytes(33)):
        with pytest.raises(TokenKeyError, match="32 bytes"):
            tokenise(digests(1), key=key)


@given(count=st.one_of(st.integers(0, 40), st.sampled_from([32_767, 32_768, 32_769, 70_000])))
def test_tokens_come_back_to_the_halves_of_their_digests_in_order(count: int) -> None:
    data = digests(count)
    halves = b"".join(data[start : start + 16] for start in range(0, len(data), 32))
    tokens = tokenise(data, key=KEY)
    assert len(tokens) == 16 * count
    assert invert(tokens, key=KEY) == halves
    assert retokenise(tokens, old_key=KEY, new_key=OTHER) == tokenise(data, key=OTHER)


def test_equal_digests_meet_under_one_key_and_not_under_two() -> None:
    one, two = digests(2)[:32], digests(2)[32:]
    tokens = bytes(tokenise(one + two + one, key=KEY))
    assert tokens[:16] == tokens[32:] != tokens[16:32]
    assert bytes(tokenise(one, key=OTHER)) != tokens[:16]


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_any_buffer_is_taken_and_left_as_it_was(wrap: type) -> None:
    data = wrap(digests(3))
    assert tokenise(data, key=KEY) == tokenise(digests(3), key=KEY)
    assert bytes(data) == digests(3)


def test_a_strided_array_is_read_in_its_own_order() -> None:
    table = np.frombuffer(digests(6), np.uint8).reshape(3, 2, 32)
    second = b"".join(digests(6)[start : start + 32] for start in range(32, 192, 64))
    assert tokenise(table[:, 1], key=KEY) == tokenise(second, key=KEY)


def test_buffers_that_are_not_whole_are_refused_without_showing_them() -> None:
    with pytest.raises(DigestLengthError, match="32-byte"):
        tokenise(b"secret", key=KEY)
    for function in (
        lambda data: invert(data, key=KEY),
        lambda data: retokenise(data, old_key=KEY, new_key=OTHER),
    ):
        with pytest.raises(DigestLengthError, match="16-byte") as caught:
            function(b"secret")
        assert "secret" not in str(caught.value)
