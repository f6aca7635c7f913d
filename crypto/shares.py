"""A root key that a number of people open together: Shamir's shares of a secret, and what the secret seals."""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from Cryptodome.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.errors import CryptoError
from crypto.limits import KEY_BYTES, TAG_BYTES

MAX_SHARES = 16
_VERSION = b"\x01"
_ID_BYTES, _SECRET_BYTES, _NONCE_BYTES, _CHECK_BYTES = 8, 16, 12, 4
_SHARE_BYTES = len(_VERSION) + _ID_BYTES + 1 + _SECRET_BYTES
_SEAL_PURPOSE = b"cleanroom/root-seal/v1\n"
_CHECK_PURPOSE = b"cleanroom/share-check/v1\n"


class ShareError(CryptoError):
    """A share is mistyped, belongs elsewhere, was given before, or the shares together open nothing."""

    code = "crypto.share"


class KeysSealedError(CryptoError):
    """The key file is sealed, and not enough people have given their shares since the room was started."""

    code = "crypto.keys_sealed"

    def __init__(self) -> None:
        super().__init__("The room's keys are sealed.", remedy="Start it, and give shares: cleanroom unseal.")


@dataclass(frozen=True)
class Seal:
    """A root key, sealed.

    Attributes:
        id: random, new for every split; shares carry it, and it is not secret.
        shares: how many shares were made.
        threshold: how many of them open it.
        sealed: the root key under what the shares' secret derives.
    """

    id: bytes
    shares: int
    threshold: int
    sealed: bytes

    def as_dict(self) -> dict[str, Any]:
        """Write it as JSON takes it."""
        return {
            "id": self.id.hex(),
            "shares": self.shares,
            "threshold": self.threshold,
            "sealed": base64.b64encode(self.sealed).decode(),
        }

    @classmethod
    def from_dict(cls, stored: Any) -> "Seal":
        """Read what `as_dict` wrote; raises ValueError, KeyError or TypeError for anything else."""
        seal = cls(
            bytes.fromhex(stored["id"]),
            int(stored["shares"]),
            int(stored["threshold"]),
            base64.b64decode(stored["sealed"], validate=True),
        )
        _require_numbers(seal.shares, seal.threshold)
        if len(seal.id) != _ID_BYTES or len(seal.sealed) != _NONCE_BYTES + KEY_BYTES + TAG_BYTES:
            raise ValueError
        return seal

    def open(self, shares: Sequence["Share"]) -> bytes:
        """Open the root key with as many shares as it takes.

        A wrong share gives a wrong secret and nothing else: the seal's own tag is the check.

        Args:
            shares: of this seal, as many as the threshold, no two the same.

        Returns:
            32 bytes.

        Raises:
            ShareError: they do not open it; which of them is wrong is not known.
        """
        pairs = [(share.index, share.secret) for share in shares]
        try:
            secret = Shamir.combine(pairs, ssss=False)
            return AESGCM(_key(secret, self)).decrypt(
                self.sealed[:_NONCE_BYTES], self.sealed[_NONCE_BYTES:], _header(self)
            )
        except (ValueError, InvalidTag):
            raise ShareError(
                "These shares do not open the room; which of them is wrong cannot be told. None was kept.",
                remedy="Give all of them again.",
            ) from None


@dataclass(frozen=True)
class Share:
    """What one person keeps.

    Attributes:
        seal_id: of which seal.
        index: which share, from 1.
        secret: 16 bytes, worth nothing without enough others.
    """

    seal_id: bytes
    index: int
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """Write it for people: base32 in groups of four, with a checksum against mistypes."""
        body = _VERSION + self.seal_id + bytes([self.index]) + self.secret
        letters = base64.b32encode(body + _check(body)).decode().rstrip("=")
        return "-".join(re.findall(".{1,4}", letters))


def read_share(text: str) -> Share:
    """Read a share that somebody typed: small letters, blanks and hyphens do not matter; raises ShareError."""
    letters = re.sub(r"[\s-]", "", text).upper()
    malformed = ShareError(
        "This is no whole share, or it is mistyped.", remedy="Type it again, all groups of it."
    )
    try:
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError):
        raise malformed from None
    body = data[:_SHARE_BYTES]
    if (
        len(data) != _SHARE_BYTES + _CHECK_BYTES
        or data[_SHARE_BYTES:] != _check(body)
        or body[:1] != _VERSION
    ):
        raise malformed
    seal_id, rest = body[1 : 1 + _ID_BYTES], body[1 + _ID_BYTES :]
    return Share(seal_id, rest[0], rest[1:])


def split_root(root: bytes, *, shares: int, threshold: int) -> tuple[Seal, tuple[Share, ...]]:
    """Seal a root key under a new secret, and split the secret.

    Args:
        root: 32 bytes.
        shares: how many shares to make, up to 16.
        threshold: how many of them open it, at least 2.

    Returns:
        The seal, and its shares.

    Raises:
        ShareError: the numbers do not fit.

    Source: A. Shamir, How to share a secret, CACM 22 (1979); over GF(2^128).
    """
    _require_numbers(shares, threshold)
    secret = os.urandom(_SECRET_BYTES)
    unsealed = Seal(os.urandom(_ID_BYTES), shares, threshold, b"")
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(_key(secret, unsealed)).encrypt(nonce, root, _header(unsealed))
    seal = Seal(unsealed.id, shares, threshold, sealed)
    return seal, tuple(
        Share(seal.id, index, part) for index, part in Shamir.split(threshold, shares, secret, ssss=False)
    )


def _require_numbers(shares: int, threshold: int) -> None:
    if not 2 <= threshold <= shares <= MAX_SHARES:
        raise ShareError(
            f"A root is split into 2 to {MAX_SHARES} shares, of which at least 2 and at most all open it.",
            remedy="Such as --shares 5 --threshold 3.",
        )


def _key(secret: bytes, seal: Seal) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=seal.id, info=_SEAL_PURPOSE).derive(secret)


def _header(seal: Seal) -> bytes:
    return _SEAL_PURPOSE + seal.id + bytes([seal.shares, seal.threshold])


def _check(body: bytes) -> bytes:
    # All of it is hashed, the secret too: 32 bits of a hash over 128 random ones help nobody to find them.
    return hashlib.sha256(_CHECK_PURPOSE + body).digest()[:_CHECK_BYTES]
