"""The payload of an upload package: an age file to the workspace's key, written and read as a stream."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyrage  # type: ignore[import-untyped]

from crypto.channel import Abandoned, Channel, ChannelReader
from crypto.errors import CryptoError

_BUFFER_BYTES = 1 << 20


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
        self._recipient = _recipient(recipient)
        self._channel = Channel()
        self._pending = bytearray()
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
        self._pending += data
        if len(self._pending) >= _BUFFER_BYTES:
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
            self._channel.put(bytes(self._pending))
        except Abandoned:
            self._thread.join()
            self._raise_failure()
        self._pending.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _encrypt(self) -> None:
        try:
            with self._partial.open("wb", buffering=_BUFFER_BYTES) as file:
                hashing = _HashingSink(file)
                source = BufferedReader(ChannelReader(self._channel), _BUFFER_BYTES)
                pyrage.encrypt_io(source, hashing, [self._recipient])
                file.flush()
                os.fsync(file.fileno())
            self._result = PackageInfo(sha256=hashing.digest.hexdigest(), size=hashing.size)
        except BaseException as failure:  # noqa: BLE001 - handed to the writing thread, which raises it
            self._failure = failure
            self._channel.abandon()


class _HashingSink:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


@contextmanager
def open_payload(path: Path, identity: str, *, sha256: str | None = None) -> Iterator[BufferedReader]:
    """Decrypt a payload as a stream; nothing of it is written anywhere.

    Up to 256 KiB can come out before age finds a damage behind them, hence `check_ciphertext` first.

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
        target=_decrypt, args=(path, _identity(identity), sha256, channel), name="package-reader", daemon=True
    )
    thread.start()
    try:
        yield BufferedReader(ChannelReader(channel), _BUFFER_BYTES)
    finally:
        channel.abandon()
        thread.join()


class _CollectingSink:
    """Gathers age's 8 KiB pieces, so that threads change hands rarely."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        self._pending += data
        if len(self._pending) >= _BUFFER_BYTES:
            self.flush()
        return len(data)

    def flush(self) -> None:
        self._channel.put(bytes(self._pending))
        self._pending.clear()


class _HashingSource:
    """Hashes the very bytes that are decrypted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        """Return the hash of the whole file, with whatever was not read yet."""
        while self.read(_BUFFER_BYTES):
            pass
        return self._digest.hexdigest()


def _decrypt(path: Path, identity: Any, sha256: str | None, channel: Channel) -> None:
    damaged = DamagedPackageError(
        "The payload is not a complete age file.", remedy="Prepare and upload it again."
    )
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            sink = _CollectingSink(channel)
            source = _HashingSource(file)
            pyrage.decrypt_io(source, sink, [identity])
            sink.flush()
            if sha256 is not None and source.hexdigest() != sha256:
                raise DamagedPackageError(
                    "The payload is not the one that was signed: it was exchanged while it was read.",
                    remedy="Repeat the upload.",
                )
    except Abandoned:
        return
    except (FileNotFoundError, DamagedPackageError) as failure:
        channel.end(failure)
    except pyrage.DecryptError as failure:
        # pyrage has one class for all; its text is the only way to tell a foreign key from a damaged header.
        foreign = "No matching keys" in str(failure)
        channel.end(
            WrongRecipientError(
                "The payload is encrypted to another key than this workspace's.",
                remedy="Prepare it again with this workspace's recipient.",
            )
            if foreign
            else damaged
        )
    except OSError:
        channel.end(damaged)
    else:
        channel.end()


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
