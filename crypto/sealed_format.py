"""The bytes of a sealed file: its header, its chunks, and the errors that name what is damaged.

    0    512 bytes  fixed header: magic, format version, chunk size, file id, context, zeros, SHA-256 of these
    512  512 bytes  the wrapped data key: length (2 bytes), the wrapped key, zeros
    1024            chunks: up to `chunk_bytes` of ciphertext and a 16-byte tag each; the last is marked

The wrapped key stands in a sector of its own and outside everything else that is authenticated or hashed, so
rotation of the key-encryption key rewrites that sector alone and leaves hashes and receipts valid.
"""

import hashlib
import struct
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.errors import CryptoError
from crypto.limits import KEY_BYTES, MAX_CHUNK_BYTES, MAX_WRAPPED_KEY_BYTES, MIN_CHUNK_BYTES, TAG_BYTES

FORMAT_VERSION = 1
FIXED_BYTES = 512
SLOT_BYTES = 512
HEADER_BYTES = FIXED_BYTES + SLOT_BYTES

_MAGIC = b"CLNRSEAL"
_CONTEXT = struct.Struct(">I16s16s16sI")
_FIXED = struct.Struct(f">8sHI16s{_CONTEXT.size}s")
_ASSOCIATED = struct.Struct(f">HI16s{_CONTEXT.size}sQB")
_KEY_PURPOSE = b"cleanroom/sealed/v1/chunks\n"
_WRAP_PURPOSE = b"cleanroom/sealed/v1/data-key\n"


class SealedFileError(CryptoError):
    """A sealed file cannot be used; subclasses name what is wrong with it."""

    code = "crypto.sealed_file"


class SealedHeaderError(SealedFileError):
    """The header is damaged or not one of ours."""

    code = "crypto.sealed_header"


class SealedContextError(SealedFileError):
    """The file is intact but belongs elsewhere: another dataset, version, column or write attempt."""

    code = "crypto.sealed_context"


class SealedKeyError(SealedFileError):
    """The data key in the header does not open under this key-encryption key."""

    code = "crypto.sealed_key"


class SealedTruncatedError(SealedFileError):
    """The end of the file is missing."""

    code = "crypto.sealed_truncated"


class SealedChunkError(SealedFileError):
    """A chunk is damaged, swapped or not of this file.

    Attributes:
        index: which chunk, counted from 0.
    """

    code = "crypto.sealed_chunk"

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message, remedy="Restore the file from a backup or load the version again.")
        self.index = index


@dataclass(frozen=True)
class SealedContext:
    """What a sealed file is, bound into every chunk: it opens in this place and in no other.

    Attributes:
        kind: the kind of stream, 0 to 2^32 - 1; the numbers belong to the slice that writes.
        workspace: whose keys it stands under.
        dataset: which dataset.
        version: which immutable version of it.
        column: which of the version's columns or parts, 0 to 2^32 - 1.
    """

    kind: int
    workspace: UUID
    dataset: UUID
    version: UUID
    column: int

    def encoded(self) -> bytes:
        """Write the fields at fixed widths, so that no two contexts share their bytes."""
        return _CONTEXT.pack(
            self.kind, self.workspace.bytes, self.dataset.bytes, self.version.bytes, self.column
        )


@dataclass(frozen=True)
class Header:
    """The fixed part of the header.

    Attributes:
        chunk_bytes: plaintext bytes of every chunk but the last.
        file_id: random, new for every write attempt.
        context: the encoded context.
    """

    chunk_bytes: int
    file_id: UUID
    context: bytes

    def encoded(self) -> bytes:
        """Write the 512 bytes of the fixed header."""
        body = _FIXED.pack(_MAGIC, FORMAT_VERSION, self.chunk_bytes, self.file_id.bytes, self.context)
        padded = body.ljust(FIXED_BYTES - 32, b"\0")
        # Unkeyed: it only tells damage from a replay in the message; the chunks' tags bind the same fields.
        return padded + hashlib.sha256(padded).digest()

    def wrap_context(self) -> bytes:
        """Return what the data key's wrapping is bound to."""
        return _WRAP_PURPOSE + self.file_id.bytes + self.context

    def associated(self, index: int, *, last: bool) -> bytes:
        """Return what chunk `index` is bound to."""
        return _ASSOCIATED.pack(
            FORMAT_VERSION, self.chunk_bytes, self.file_id.bytes, self.context, index, last
        )


def decode_header(data: bytes) -> Header:
    """Read the fixed header; raises SealedHeaderError or SealedTruncatedError."""
    if len(data) < FIXED_BYTES:
        raise SealedTruncatedError("The sealed file ends inside its header.")
    padded, checksum = data[:-32], data[-32:]
    magic, version, chunk_bytes, file_id, context = _FIXED.unpack_from(padded)
    if magic != _MAGIC or hashlib.sha256(padded).digest() != checksum:
        raise SealedHeaderError("The header is damaged, or this is not a sealed file.")
    if version != FORMAT_VERSION:
        raise SealedHeaderError(
            f"The sealed file has format {version}; this release reads {FORMAT_VERSION}.",
            remedy="Upgrade first.",
        )
    header = Header(chunk_bytes=chunk_bytes, file_id=UUID(bytes=file_id), context=context)
    if not MIN_CHUNK_BYTES <= chunk_bytes <= MAX_CHUNK_BYTES or header.encoded() != data:
        raise SealedHeaderError("The header holds values that no writer of this format makes.")
    return header


def encode_slot(wrapped: bytes) -> bytes:
    """Write the 512 bytes of the wrapped data key; raises SealedKeyError when it does not fit."""
    if len(wrapped) > MAX_WRAPPED_KEY_BYTES:
        raise SealedKeyError(f"A wrapped data key has at most {MAX_WRAPPED_KEY_BYTES} bytes.")
    return (len(wrapped).to_bytes(2) + wrapped).ljust(SLOT_BYTES, b"\0")


def decode_slot(data: bytes) -> bytes:
    """Read the wrapped data key; raises SealedHeaderError or SealedTruncatedError."""
    if len(data) < SLOT_BYTES:
        raise SealedTruncatedError("The sealed file ends inside its header.")
    wrapped = data[2 : 2 + int.from_bytes(data[:2])]
    if int.from_bytes(data[:2]) > MAX_WRAPPED_KEY_BYTES or encode_slot(wrapped) != data:
        raise SealedHeaderError("The data key's place in the header is damaged.")
    return wrapped


class ChunkCipher:
    """AES-256-GCM over the chunks of one file; safe to use from several threads.

    A chunk's nonce is its number: the key is fresh for every file, so no nonce is ever used twice.
    """

    def __init__(self, data_key: bytes, header: Header) -> None:
        salt, info = header.file_id.bytes, _KEY_PURPOSE
        self._key = algorithms.AES(
            HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(data_key)
        )
        self._header = header

    def seal(self, index: int, plaintext: memoryview, out: memoryview, *, last: bool) -> int:
        """Encrypt a chunk into `out` and return the bytes written, its tag included."""
        return gcm_seal(self._key, _nonce(index), self._header.associated(index, last=last), plaintext, out)

    def open(self, index: int, sealed: memoryview, out: memoryview, *, last: bool) -> bool:
        """Decrypt a chunk into `out`; False, and zeros in `out`, when the tag does not verify."""
        return gcm_open(self._key, _nonce(index), self._header.associated(index, last=last), sealed, out)


def gcm_seal(
    key: algorithms.AES, nonce: bytes, associated: bytes, plaintext: memoryview, out: memoryview
) -> int:
    """Write ciphertext and tag of AES-GCM into `out`; returns their length (NIST SP 800-38D)."""
    encryptor = Cipher(key, modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(associated)
    length = encryptor.update_into(plaintext, out)
    encryptor.finalize()
    out[length : length + TAG_BYTES] = encryptor.tag
    return length + TAG_BYTES


def gcm_open(
    key: algorithms.AES, nonce: bytes, associated: bytes, sealed: memoryview, out: memoryview
) -> bool:
    """Write the plaintext of AES-GCM into `out`, or zeros and False when the tag does not verify."""
    length = len(sealed) - TAG_BYTES
    decryptor = Cipher(key, modes.GCM(nonce, bytes(sealed[length:]))).decryptor()
    decryptor.authenticate_additional_data(associated)
    decryptor.update_into(sealed[:length], out)
    try:
        decryptor.finalize()
    except InvalidTag:
        # Nobody may see unverified plaintext, not even in a buffer that the caller keeps.
        out[:length] = bytes(length)
        return False
    return True


def _nonce(index: int) -> bytes:
    return index.to_bytes(12)
