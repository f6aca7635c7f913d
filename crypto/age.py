"""The age format, version 1, between one X25519 recipient and one identity: header, and chunks of a stream.

The primitives are those of `cryptography`, four times as fast as the library that serves as this module's reference
in tests and makes and checks keys. Source: age-encryption.org/v1.
"""

import base64
import binascii
import hmac
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.errors import CryptoError
from crypto.limits import KEY_BYTES, TAG_BYTES

CHUNK_BYTES = 1 << 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
MAX_HEADER_BYTES = 1 << 16
"""A package has one recipient, and its header 200 bytes."""

_INTRODUCTION = b"age-encryption.org/v1\n"
_X25519 = b"X25519"
_FILE_KEY_BYTES = 16
_NONCE_BYTES = 16
_NO_NONCE = bytes(12)  # each key of a stanza encrypts once
_BODY_COLUMNS = 64
_STANZA = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)\n")
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class AgeFormatError(CryptoError):
    """These bytes are not a complete age file."""

    code = "crypto.age_format"


class NoRecipientError(CryptoError):
    """The file is encrypted to other keys."""

    code = "crypto.age_no_recipient"


def key_bytes(text: str) -> bytes:
    """Return the 32 bytes of a recipient or an identity whose checksum was verified before."""
    digits = text.lower().rpartition("1")[2][:-6]
    number = 0
    for digit in digits:
        number = number << 5 | _BECH32.index(digit)
    return (number >> (len(digits) * 5 - KEY_BYTES * 8)).to_bytes(KEY_BYTES)


def seal_header(recipient: bytes) -> tuple[bytes, "Stream"]:
    """Begin a file.

    Args:
        recipient: 32 bytes, the X25519 public key.

    Returns:
        The header with the stream's nonce, and what encrypts the chunks.
    """
    file_key, ephemeral = os.urandom(_FILE_KEY_BYTES), X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    body = _wrapping(shared, share, recipient).encrypt(_NO_NONCE, file_key, None)
    header = _INTRODUCTION + b"-> X25519 " + _encode(share) + b"\n" + _encode(body) + b"\n---"
    nonce = os.urandom(_NONCE_BYTES)
    return header + b" " + _encode(_mac(file_key, header)) + b"\n" + nonce, Stream(file_key, nonce)


def open_header(file: BinaryIO, identity: bytes) -> tuple[bytes, "Stream"]:
    """Read the header of a file and find its key.

    Args:
        file: at its beginning; left where the chunks begin.
        identity: 32 bytes, the X25519 private key.

    Returns:
        The header with the stream's nonce, and what decrypts the chunks.

    Raises:
        AgeFormatError: the header is malformed or its authentication code is wrong.
        NoRecipientError: none of its recipients is this identity.
    """
    header = bytearray()
    lines = _lines(file, header)
    if next(lines) != _INTRODUCTION:
        raise AgeFormatError("The file does not begin as an age file does.")
    private = X25519PrivateKey.from_private_bytes(identity)
    file_key, line = None, next(lines)
    while not line.startswith(b"---"):
        arguments = _arguments(line)
        body = _body(lines)
        if arguments[0] == b"scrypt":
            raise AgeFormatError("The file is encrypted to a passphrase.")
        if arguments[0] == _X25519:
            file_key = file_key or _unwrapped(private, arguments, body)
        line = next(lines)
    if file_key is None:
        raise NoRecipientError("The file is encrypted to other keys.")
    signed = bytes(header[: len(header) - len(line) + 3])
    code = _decode(line[4:-1])
    if line[:4] != b"--- " or not hmac.compare_digest(code, _mac(file_key, signed)):
        raise AgeFormatError("The header was changed.")
    nonce = file.read(_NONCE_BYTES)
    if len(nonce) < _NONCE_BYTES:
        raise AgeFormatError("The file ends before its first chunk.")
    return bytes(header) + nonce, Stream(file_key, nonce)


class Stream:
    """Encrypts or decrypts the chunks of one file, in order; a chunk that was left out or moved is noticed."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = ChaCha20Poly1305(_derived(file_key, salt=nonce, info=b"payload"))
        self._chunks = 0

    def seal(self, plaintext: memoryview, out: memoryview, *, last: bool) -> int:
        """Encrypt the next chunk into `out`; returns the bytes written, its tag included."""
        length = len(plaintext) + TAG_BYTES
        self._cipher.encrypt_into(self._nonce(last=last), plaintext, None, out[:length])
        return length

    def open(self, sealed: memoryview, out: memoryview, *, last: bool) -> int:
        """Decrypt the next chunk into `out`, and return its bytes.

        Raises:
            AgeFormatError: the chunk is damaged, another one, or not the last one as it should be.
        """
        length = len(sealed) - TAG_BYTES
        # Only a file without content has a chunk without any.
        if length < 0 or (length == 0 and self._chunks):
            raise AgeFormatError("The file ends inside a chunk.")
        try:
            self._cipher.decrypt_into(self._nonce(last=last), sealed, None, out[:length])
        except InvalidTag:
            raise AgeFormatError("A chunk is damaged, or the file is cut off.") from None
        return length

    def _nonce(self, *, last: bool) -> bytes:
        nonce = self._chunks.to_bytes(11) + (b"\1" if last else b"\0")
        self._chunks += 1
        return nonce


def _lines(file: BinaryIO, header: bytearray) -> Iterator[bytes]:
    while True:
        line = file.readline(MAX_HEADER_BYTES - len(header))
        if not line.endswith(b"\n"):
            raise AgeFormatError("The header does not end, or is too long.")
        header += line
        yield line


def _arguments(line: bytes) -> list[bytes]:
    found = _STANZA.fullmatch(line)
    if found is None:
        raise AgeFormatError("The header has a malformed line.")
    return found[1].split(b" ")


def _body(lines: Iterator[bytes]) -> bytes:
    """Read a stanza's body: full lines of base64, and a last one that is shorter, maybe empty."""
    body = b""
    while True:
        line = next(lines)[:-1]
        if len(line) > _BODY_COLUMNS:
            raise AgeFormatError("The header has a line that is too long.")
        body += _decode(line)
        if len(line) < _BODY_COLUMNS:
            return body


def _unwrapped(private: X25519PrivateKey, arguments: list[bytes], body: bytes) -> bytes | None:
    if len(arguments) != 2 or len(body) != _FILE_KEY_BYTES + TAG_BYTES:
        raise AgeFormatError("The header has a malformed recipient.")
    share = _decode(arguments[1])
    if len(share) != KEY_BYTES:
        raise AgeFormatError("The header has a malformed recipient.")
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise AgeFormatError("The header has a recipient of low order.") from None
    cipher = _wrapping(shared, share, private.public_key().public_bytes_raw())
    try:
        return cipher.decrypt(_NO_NONCE, body, None)
    except InvalidTag:
        return None


def _wrapping(shared: bytes, share: bytes, recipient: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(_derived(shared, salt=share + recipient, info=b"age-encryption.org/v1/X25519"))


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, salt=None, info=b"header"), header, "sha256")


def _derived(secret: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(secret)


def _encode(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    """Decode base64 without padding, in its one canonical spelling."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise AgeFormatError("The header has malformed base64.") from None
    if _encode(data) != text:
        raise AgeFormatError("The header has base64 in another spelling.")
    return data
