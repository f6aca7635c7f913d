"""The upload package: an age-encrypted payload, and a signed manifest that says what and whose it is.

Anyone can encrypt to a public key and age binds no context, so the manifest is what is trusted: check its
signature and the payload's size and hash first, then decrypt that same payload as a stream.
"""

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyrage  # type: ignore[import-untyped]
import rfc8785

from crypto.channel import Abandoned, Channel, ChannelReader
from crypto.errors import CryptoError
from crypto.keys import sign, verify
from crypto.limits import MAX_MANIFEST_BYTES, MAX_PACKAGE_ROWS

_PURPOSE = b"cleanroom/package-manifest/v1\n"
_ID = re.compile(r"[a-z0-9_]{1,64}")
_HEX_32 = re.compile(r"[0-9a-f]{32}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_BUFFER_BYTES = 1 << 20


class ManifestFormatError(CryptoError):
    """A manifest is not written as this format asks."""

    code = "crypto.manifest_format"


class UnknownSignerError(CryptoError):
    """The manifest names a key that is not enrolled."""

    code = "crypto.unknown_signer"


class TruncatedPackageError(CryptoError):
    """The payload is shorter than its manifest says."""

    code = "crypto.package_truncated"


class DamagedPackageError(CryptoError):
    """The payload is not the one that was signed, or cannot be decrypted to its end."""

    code = "crypto.package_damaged"


class WrongRecipientError(CryptoError):
    """The payload is encrypted to another workspace's key."""

    code = "crypto.wrong_recipient"


@dataclass(frozen=True)
class Manifest:
    """What a package is, signed by a key enrolled for the organisation.

    Attributes:
        package_id: used once.
        workspace_id: where it belongs.
        dataset_id: what it loads.
        mode: `full` or `delta`.
        expected_version_id: the version that a delta changes; None for the first load.
        schema_sha256: 64 hex digits, the schema with its consent mapping.
        recipient_key_id: 32 hex digits, which workspace key the payload is encrypted to.
        rows: rows in the payload.
        ciphertext_sha256: 64 hex digits over the whole payload file.
        ciphertext_bytes: its size.
        signer_key_id: which enrolled key signed.
        created_at: RFC 3339, UTC, ending in `Z`.
        expires_at: the same; not accepted afterwards.
        v: the format's version, 1.
    """

    package_id: str
    workspace_id: str
    dataset_id: str
    mode: str
    expected_version_id: str | None
    schema_sha256: str
    recipient_key_id: str
    rows: int
    ciphertext_sha256: str
    ciphertext_bytes: int
    signer_key_id: str
    created_at: str
    expires_at: str
    v: int = 1

    def __post_init__(self) -> None:
        """Refuse values that the format does not allow; raises ManifestFormatError naming the field."""
        if type(self.v) is not int or self.v != 1:
            raise ManifestFormatError("The manifest's version is not 1.", remedy="Upgrade the older side.")
        for name in ("package_id", "workspace_id", "dataset_id", "signer_key_id"):
            _require(
                name, getattr(self, name), _ID, "an identifier of 1 to 64 lower-case letters, digits and _"
            )
        if self.expected_version_id is not None:
            _require("expected_version_id", self.expected_version_id, _ID, "an identifier or null")
        if self.mode not in ("full", "delta"):
            raise ManifestFormatError("The manifest's mode is `full` or `delta`.")
        _require("recipient_key_id", self.recipient_key_id, _HEX_32, "32 lower-case hex digits")
        for name in ("schema_sha256", "ciphertext_sha256"):
            _require(name, getattr(self, name), _HEX_64, "64 lower-case hex digits")
        for name, most in (("rows", MAX_PACKAGE_ROWS), ("ciphertext_bytes", (1 << 53) - 1)):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= most:
                raise ManifestFormatError(f"The manifest's {name} is a whole number from 0 to {most}.")
        for name in ("created_at", "expires_at"):
            _require(name, getattr(self, name), _INSTANT, "an RFC 3339 instant in UTC, ending in Z")
            try:
                datetime.fromisoformat(getattr(self, name))
            except ValueError:
                raise ManifestFormatError(f"The manifest's {name} is not an instant that exists.") from None

    def signed_bytes(self) -> bytes:
        """Return what the signature is over: the format's label and the canonical JSON of all fields."""
        return _PURPOSE + rfc8785.dumps(asdict(self))


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
                pyrage.encrypt_io(ChannelReader(self._channel), hashing, [self._recipient])
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

    def flush(self) -> None:
        self._file.flush()


def sign_manifest(manifest: Manifest, seed: bytes) -> bytes:
    """Write the manifest file: one canonical JSON object with the manifest and its Ed25519 signature.

    Args:
        manifest: what to sign.
        seed: 32 bytes, the signer's Ed25519 seed.

    Returns:
        UTF-8 bytes.

    Raises:
        SignatureError: the seed is not 32 bytes.
    """
    return _envelope(manifest, sign(seed, manifest.signed_bytes()))


def read_manifest(data: bytes) -> tuple[Manifest, bytes]:
    """Read a manifest file WITHOUT checking its signature; `verify_manifest` checks it.

    Returns:
        The manifest and the 64 bytes of its signature.

    Raises:
        ManifestFormatError: too large, not canonical JSON, or a field is missing, unknown or malformed.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestFormatError(f"A manifest has at most {MAX_MANIFEST_BYTES} bytes.")
    malformed = ManifestFormatError("The manifest is malformed.", remedy="Prepare the package again.")
    try:
        envelope: Any = json.loads(data)
        stored = dict(envelope["manifest"])
        signature = base64.b64decode(envelope["signature"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise malformed from None
    names = {field.name for field in fields(Manifest)}
    if set(stored) != names:
        odd = sorted(names - set(stored))
        raise ManifestFormatError(
            f"The manifest lacks {odd}." if odd else "The manifest holds unknown fields."
        )
    manifest = Manifest(**stored)
    # One spelling only, so that not a single byte of the file can change unnoticed.
    if len(signature) != 64 or _envelope(manifest, signature) != data:
        raise malformed
    return manifest, signature


def verify_manifest(data: bytes, *, public_keys: Mapping[str, bytes]) -> Manifest:
    """Read a manifest file and check its signature; returning means that an enrolled key signed it.

    Args:
        data: the file.
        public_keys: the organisation's enrolled keys that are in force: key id to 32 bytes.

    Returns:
        The manifest; whether it belongs here and is still in time is the caller's to check.

    Raises:
        ManifestFormatError: it is malformed.
        UnknownSignerError: its key is not among these.
        SignatureError: the signature is not that key's.
    """
    manifest, signature = read_manifest(data)
    public = public_keys.get(manifest.signer_key_id)
    if public is None:
        raise UnknownSignerError(
            "The manifest is signed by a key that is not enrolled for this organisation, or was revoked.",
            remedy="Enrol the signer's public key, or prepare the package with an enrolled one.",
        )
    verify(public, manifest.signed_bytes(), signature)
    return manifest


def check_ciphertext(path: Path, manifest: Manifest) -> None:
    """Check the payload's size and hash against the manifest; returning means that it is the signed one.

    Raises:
        TruncatedPackageError: it is shorter than signed.
        DamagedPackageError: it is longer, or its bytes differ.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < manifest.ciphertext_bytes:
            raise TruncatedPackageError(
                f"The payload has {size} of {manifest.ciphertext_bytes} bytes.",
                remedy="Resume or repeat the upload.",
            )
        if size > manifest.ciphertext_bytes or (
            hashlib.file_digest(file, "sha256").hexdigest() != manifest.ciphertext_sha256
        ):
            raise DamagedPackageError(
                "The payload is not the one that was signed.", remedy="Repeat the upload."
            )


@contextmanager
def open_payload(path: Path, identity: str) -> Iterator[ChannelReader]:
    """Decrypt a payload as a stream; nothing of it is written anywhere.

    Up to 256 KiB can come out before age finds a damage behind them, hence `check_ciphertext` first.

    Args:
        path: the payload file.
        identity: the workspace's secret identity, age's text.

    Yields:
        A binary stream with `read` and `readinto`; it raises what the decryption meets:

    Raises:
        WrongRecipientError: the payload is encrypted to another key.
        DamagedPackageError: it is not an age file, or is cut off or changed.
    """
    channel = Channel()
    thread = Thread(
        target=_decrypt, args=(path, _identity(identity), channel), name="package-reader", daemon=True
    )
    thread.start()
    try:
        yield ChannelReader(channel)
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


def _decrypt(path: Path, identity: Any, channel: Channel) -> None:
    damaged = DamagedPackageError(
        "The payload is not a complete age file.", remedy="Prepare and upload it again."
    )
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            sink = _CollectingSink(channel)
            pyrage.decrypt_io(file, sink, [identity])
            sink.flush()
    except Abandoned:
        return
    except FileNotFoundError as failure:
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


def _envelope(manifest: Manifest, signature: bytes) -> bytes:
    return rfc8785.dumps({"manifest": asdict(manifest), "signature": base64.b64encode(signature).decode()})


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


def _require(name: str, value: object, pattern: re.Pattern[str], what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ManifestFormatError(f"The manifest's {name} is not {what}.")
