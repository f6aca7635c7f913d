"""Our reader and writer of the age format against the library of its authors' specification."""

import io
import os

import pyrage
import pytest

from crypto import age
from crypto.age import (
    CHUNK_BYTES,
    SEALED_CHUNK_BYTES,
    AgeFormatError,
    NoRecipientError,
    Stream,
    key_bytes,
    open_header,
    seal_header,
)

OWN = pyrage.x25519.Identity.generate()
IDENTITY, RECIPIENT = key_bytes(str(OWN)), key_bytes(str(OWN.to_public()))
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 5)
FAILED = (AgeFormatError, NoRecipientError)


def sealed(plaintext: bytes) -> bytes:
    header, stream = seal_header(RECIPIENT)
    starts = range(0, len(plaintext) or 1, CHUNK_BYTES)
    parts = [header]
    for start in starts:
        chunk = memoryview(plaintext)[start : start + CHUNK_BYTES]
        room = memoryview(bytearray(SEALED_CHUNK_BYTES))
        parts.append(bytes(room[: stream.seal(chunk, room, last=start == starts[-1])]))
    return b"".join(parts)


def opened(data: bytes, identity: bytes = IDENTITY) -> bytes:
    file = io.BytesIO(data)
    _, stream = open_header(file, identity)
    rest, plain = file.read(), b""
    for start in range(0, len(rest) or 1, SEALED_CHUNK_BYTES):
        chunk = memoryview(rest)[start : start + SEALED_CHUNK_BYTES]
        room = memoryview(bytearray(CHUNK_BYTES))
        plain += room[: stream.open(chunk, room, last=start + SEALED_CHUNK_BYTES >= len(rest))]
    return plain


def header_with(stanzas: bytes, file_key: bytes) -> bytes:
    """A header of any recipients, with the code that belongs to it, and a file without content."""
    header = b"age-encryption.org/v1\n" + stanzas + b"---"
    nonce, room = bytes(16), memoryview(bytearray(16))
    Stream(file_key, nonce).seal(memoryview(b""), room, last=True)
    return header + b" " + age._encode(age._mac(file_key, header)) + b"\n" + nonce + room


def own_stanza(file_key: bytes) -> bytes:
    share = bytes(range(32))
    private = age.X25519PrivateKey.from_private_bytes(share)
    public = private.public_key().public_bytes_raw()
    shared = private.exchange(age.X25519PublicKey.from_public_bytes(RECIPIENT))
    body = age._wrapping(shared, public, RECIPIENT).encrypt(bytes(12), file_key, None)
    return b"-> X25519 " + age._encode(public) + b"\n" + age._encode(body) + b"\n"


KEY = bytes(range(16))
STANZA = own_stanza(KEY)


@pytest.mark.parametrize("size", SIZES)
def test_both_read_what_either_writes(size: int) -> None:
    plaintext = os.urandom(size)
    assert pyrage.decrypt(sealed(plaintext), [OWN]) == plaintext
    assert opened(pyrage.encrypt(plaintext, [OWN.to_public()])) == plaintext


def test_other_recipients_are_passed_over() -> None:
    others = [pyrage.x25519.Identity.generate().to_public() for _ in range(2)]
    assert opened(pyrage.encrypt(b"content", [others[0], OWN.to_public(), others[1]])) == b"content"
    with pytest.raises(NoRecipientError):
        opened(pyrage.encrypt(b"content", others))


@pytest.mark.parametrize("stanzas", [b"-> a-grease x !~\n" + b"A" * 64 + b"\n\n", b"-> g\nAAAA\n"])
def test_unknown_kinds_of_recipients_are_passed_over(stanzas: bytes) -> None:
    for both in (stanzas + STANZA, STANZA + stanzas):
        assert opened(header_with(both, KEY)) == pyrage.decrypt(header_with(both, KEY), [OWN]) == b""


def test_what_the_reference_refuses_is_refused() -> None:
    data = pyrage.encrypt(b"content", [OWN.to_public()])
    for position in range(len(data)):
        for changed in (
            data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :],
            data[:position] + bytes([data[position] ^ 0x20]) + data[position + 1 :],
            data[:position],
            data[:position] + b"\n" + data[position:],
            data[:position] + data[position + 1 :],
        ):
            with pytest.raises(pyrage.DecryptError):
                pyrage.decrypt(changed, [OWN])
            with pytest.raises(FAILED):
                opened(changed)


@pytest.mark.parametrize(
    "stanzas",
    [
        STANZA + b"-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\n" + b"A" * 43 + b"\n",
        STANZA.replace(b"X25519 ", b"X25519  "),
        STANZA.replace(b"-> ", b"->  "),
        STANZA.replace(b"-> X25519 ", b"-> X25519 x "),
        b"-> X25519 " + b"A" * 42 + b"\n" + STANZA.split(b"\n")[1] + b"\n",
        b"-> X25519 " + b"A" * 43 + b"\n" + STANZA.split(b"\n")[1] + b"\n",
        STANZA[:-1] + b"AA\n",
        STANZA[:-1] + b"=\n",
        STANZA + b"-> x\n" + b"A" * 65 + b"\n\n",
        STANZA + b"-> x\n" + b"A" * 64 + b"\n",
        STANZA + b"-> x\nAB\n",
        STANZA + b"-> x\n!!\n",
        STANZA + b"-> \xc3\xa9\n\n",
    ],
    ids=[
        "another recipient beside a passphrase",
        "two spaces between words",
        "two spaces before them",
        "one word more",
        "a short share",
        "a share out of form",
        "a long body",
        "padding",
        "a long line",
        "no short line at the end",
        "bits beyond the end",
        "another alphabet",
        "a letter beyond ASCII",
    ],
)
def test_a_header_out_of_form_is_refused_whatever_its_code_says(stanzas: bytes) -> None:
    with pytest.raises(FAILED):
        opened(header_with(stanzas, KEY))


def test_a_header_without_end_is_not_read_for_ever() -> None:
    for endless in (bytes(1 << 20), b"age-encryption.org/v1\n" + b"-> x\n\n" * 20_000):
        file = io.BytesIO(endless)
        with pytest.raises(AgeFormatError):
            open_header(file, IDENTITY)
        assert file.tell() <= age.MAX_HEADER_BYTES


def test_chunks_that_are_cut_off_moved_or_added_are_noticed() -> None:
    data = sealed(os.urandom(3 * CHUNK_BYTES))
    body = len(data) - 3 * SEALED_CHUNK_BYTES
    chunks = [data[body + at * SEALED_CHUNK_BYTES :][:SEALED_CHUNK_BYTES] for at in range(3)]
    empty = memoryview(bytearray(16))
    header, stream = data[:body], open_header(io.BytesIO(data), IDENTITY)[1]
    stream._chunks = 3
    stream.seal(memoryview(b""), empty, last=True)
    for changed in (
        [],
        chunks[:1],
        chunks[:2],
        [chunks[1], chunks[0], chunks[2]],
        [*chunks, chunks[2]],
        [*chunks[:2], chunks[2][:-1]],
        [*chunks[:2], chunks[2][:15]],
        [*chunks, bytes(empty)],
    ):
        with pytest.raises(AgeFormatError):
            opened(header + b"".join(changed))
