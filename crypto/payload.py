"""The payload of an upload package: an age file to the workspace's key, written and read as a stream."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import pyrage  # type: ignore[import-untyped]

from crypto.age import (
    CHUNK_BYTES,
    SEALED_CHUNK_BYTES,
    AgeFormatError,
    NoRecipientError,
    key_bytes,
    open_header,
    seal_header,
)
from crypto.channel import Abandoned, Channel, ChannelReader
from crypto.errors import CryptoError
from crypto.limits import TAG_BYTES

_BUFFER_BYTES = 1 << 20
_PART_BYTES = 16 * SEALED_CHUNK_BYTES
_SYNC_BYTES = 16 << 20


class DamagedPackageError(CryptoError):
    """The payload is not the one that was signed, or cannot be decrypted to its end."""

    code = "crypto.package_damaged"


class WrongRecipientError(CryptoError):
    """The payload is encrypted to another workspace's key."""

    code = "crypto.wrong_recipient"


@dataclass(frozen=True)
class PackageInfo:
    """The payload file as it lies there.

    Attributes:
        sha256: 64 hex digits over the whole file.
        size: bytes.
    """

    sha256: str
    size: int


def generate_identity() -> tuple[str, str]:
    """Make a workspace's X25519 pair for packages: (identity, secret; recipient, public), both age's text."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def recipient_key_id(recipient: str) -> str:
    """Name a recipient by 32 hex digits of its SHA-256; raises WrongRecipientError for other texts."""
    return hashlib.sha256(str(_recipient(recipient)).encode()).hexdigest()[:32]


class PackageWriter:
    """Encrypts a payload to a file while it is being written.

    As a context manager it puts the file in place when its block ends well, and leaves nothing when the block
    raises. `result` tells hash and size afterwards.
    """

    def __init__(self, path: Path, recipient: str) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".part")
        self._recipient = key_bytes(str(_recipient(recipient)))
        self._channel = Channel()
        self._pending = _buffer()
        self._filled = 0
        self._thread = Thread(target=self._encrypt, name="package-writer", daemon=True)
        self._failure: BaseException | None = None
        self._result: PackageInfo | None = None

    @property
    def result(self) -> PackageInfo:
        """Hash and size of the finished file."""
        if self._result is None:
            raise DamagedPackageError("The package is not complete yet.")
        return self._result

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append plaintext; returns how many bytes were taken, which is all of them."""
        left = memoryview(data).cast("B")
        while left:
            count = min(len(left), _BUFFER_BYTES - self._filled)
            self._pending[self._filled : self._filled + count] = left[:count]
            self._filled += count
            left = left[count:]
            if self._filled == _BUFFER_BYTES:
                self._flush()
        return len(data)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                self._channel.end()
            else:
                self._channel.end(Abandoned())
            self._thread.join()
            if kind is None:
                self._raise_failure()
                self._partial.replace(self._path)
        finally:
            self._partial.unlink(missing_ok=True)

    def _flush(self) -> None:
        try:
            self._channel.put(self._pending[: self._filled])
        except Abandoned:
            self._thread.join()
            self._raise_failure()
        self._pending, self._filled = _buffer(), 0

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _encrypt(self) -> None:
        try:
            with self._partial.open("wb", buffering=_BUFFER_BYTES) as file:
                digest, size, synced = hashlib.sha256(), 0, 0
                for data in _encrypted(self._channel, self._recipient):
                    digest.update(data)
                    size += file.write(data)
                    if size - synced >= _SYNC_BYTES:
                        # While others still prepare: all at once at the end would keep them waiting.
                        _sync(file)
                        synced = size
                _sync(file)
            self._result = PackageInfo(sha256=digest.hexdigest(), size=size)
        except BaseException as failure:  # noqa: BLE001 - handed to the writing thread, which raises it
            self._failure = failure
            self._channel.abandon()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _buffer() -> memoryview:
    return np.empty(_BUFFER_BYTES, np.uint8).data


def _encrypted(channel: Channel, recipient: bytes) -> Iterator[memoryview | bytes]:
    """Yield the file's bytes; what comes through the channel is whole chunks, but for the last."""
    header, stream = seal_header(recipient)
    yield header
    part = memoryview(channel.get())
    while True:
        following = memoryview(channel.get())
        chunks = range(0, len(part) or 1, CHUNK_BYTES)
        sealed = np.empty(len(part) + len(chunks) * TAG_BYTES, np.uint8).data
        done = 0
        for start in chunks:
            last = not following and start + CHUNK_BYTES >= len(part)
            done += stream.seal(part[start : start + CHUNK_BYTES], sealed[done:], last=last)
        yield sealed
        if not following:
            return
        part = following


@contextmanager
def open_payload(path: Path, identity: str, *, sha256: str | None = None) -> Iterator[BufferedReader]:
    """Decrypt a payload as a stream; nothing of it is written anywhere.

    Up to a mebibyte can come out before a damage behind it is found, hence `check_ciphertext` first.

    Args:
        path: the payload file.
        identity: the workspace's secret identity, age's text.
        sha256: what the file's hash has to be, 64 hex digits; the stream does not end before it was compared.

    Yields:
        A binary stream with `read` and `readinto`; it raises what the decryption meets:

    Raises:
        WrongRecipientError: the payload is encrypted to another key.
        DamagedPackageError: it is not an age file, is cut off or changed, or has another hash.
    """
    channel = Channel()
    thread = Thread(
        target=_decrypt,
        args=(path, key_bytes(str(_identity(identity))), sha256, channel),
        name="package-reader",
        daemon=True,
    )
    thread.start()
    try:
        yield BufferedReader(ChannelReader(channel), _BUFFER_BYTES)
    finally:
        channel.abandon()
        thread.join()


def _decrypt(path: Path, identity: bytes, sha256: str | None, channel: Channel) -> None:
    damaged = DamagedPackageError(
        "The payload is not a complete age file.", remedy="Prepare and upload it again."
    )
    try:
        with BufferedReader(path.open("rb", buffering=0), _BUFFER_BYTES) as file:
            # The very bytes that are decrypted are hashed.
            digest = hashlib.sha256()
            for part in _decrypted(file, identity, digest):
                channel.put(part)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise DamagedPackageError(
                    "The payload is not the one that was signed: it was exchanged while it was read.",
                    remedy="Repeat the upload.",
                )
    except Abandoned:
        return
    except (FileNotFoundError, DamagedPackageError) as failure:
        channel.end(failure)
    except NoRecipientError:
        channel.end(
            WrongRecipientError(
                "The payload is encrypted to another key than this workspace's.",
                remedy="Prepare it again with this workspace's recipient.",
            )
        )
    except (OSError, AgeFormatError):
        channel.end(damaged)
    except BaseException as failure:  # noqa: BLE001 - handed to the reading thread, which would wait for ever
        channel.end(failure)
    else:
        channel.end()


def _decrypted(
    file: "BufferedReader[FileIO]", identity: bytes, digest: "hashlib._Hash"
) -> Iterator[memoryview]:
    """Yield the content part by part; what a chunk's tag does not verify is never yielded."""
    header, stream = open_header(file, identity)
    digest.update(header)
    left = os.fstat(file.fileno()).st_size - len(header)
    buffer = np.empty(_PART_BYTES, np.uint8).data
    while True:
        sealed = buffer[: file.readinto(buffer[: min(left, _PART_BYTES)])]
        digest.update(sealed)
        left -= len(sealed)
        room = np.empty(len(sealed), np.uint8).data
        done = 0
        for start in range(0, len(sealed) or 1, SEALED_CHUNK_BYTES):
            last = not left and start + SEALED_CHUNK_BYTES >= len(sealed)
            done += stream.open(sealed[start : start + SEALED_CHUNK_BYTES], room[done:], last=last)
        yield room[:done]
        if not left:
            return


def _recipient(text: str) -> Any:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise WrongRecipientError(
            "The recipient is not an age X25519 key.", remedy="It starts with age1."
        ) from None


def _identity(text: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise WrongRecipientError("The identity is not an age X25519 secret key.") from None
