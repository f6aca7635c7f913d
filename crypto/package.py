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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785

from crypto.errors import CryptoError
from crypto.keys import SignatureError, sign, verify
from crypto.limits import MAX_MANIFEST_BYTES, MAX_PACKAGE_ROWS
from crypto.payload import (
    DamagedPackageError,
    PackageInfo,
    PackageWriter,
    WrongRecipientError,
    generate_identity,
    open_payload,
    recipient_key_id,
)

__all__ = [
    "DamagedPackageError",
    "Manifest",
    "ManifestFormatError",
    "PackageInfo",
    "PackageWriter",
    "TruncatedPackageError",
    "UnknownSignerError",
    "WrongRecipientError",
    "check_ciphertext",
    "generate_identity",
    "open_payload",
    "read_manifest",
    "recipient_key_id",
    "sign_manifest",
    "verify_manifest",
]

_PURPOSE = b"cleanroom/package-manifest/v1\n"
_ID = re.compile(r"[a-z0-9_]{1,64}")
_HEX_32 = re.compile(r"[0-9a-f]{32}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


class ManifestFormatError(CryptoError):
    """A manifest is not written as this format asks."""

    code = "crypto.manifest_format"


class UnknownSignerError(CryptoError):
    """The manifest names a key that is not enrolled."""

    code = "crypto.unknown_signer"


class TruncatedPackageError(CryptoError):
    """The payload is shorter than its manifest says."""

    code = "crypto.package_truncated"


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
    try:
        verify(public, manifest.signed_bytes(), signature)
    except SignatureError:
        raise SignatureError(
            "The manifest is not signed by the key that it names, or was changed afterwards.",
            remedy="Upload manifest and payload as they were prepared, or prepare the file again.",
        ) from None
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


def _envelope(manifest: Manifest, signature: bytes) -> bytes:
    return rfc8785.dumps({"manifest": asdict(manifest), "signature": base64.b64encode(signature).decode()})


def _require(name: str, value: object, pattern: re.Pattern[str], what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ManifestFormatError(f"The manifest's {name} is not {what}.")
