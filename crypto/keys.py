"""Key-encryption keys behind one protocol, the local key file, and Ed25519 signatures."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crypto.errors import CryptoError, KeyDestroyedError, UnknownKeyError, UnwrapError
from crypto.key_file import KeyFileExposedError, LocalKeyFile, read_seed
from crypto.key_file_format import KeyFileError
from crypto.limits import KEY_BYTES

__all__ = [
    "BoundKek",
    "KeyDestroyedError",
    "KeyFileError",
    "KeyFileExposedError",
    "KeyProvider",
    "LocalKeyFile",
    "SignatureError",
    "UnknownKeyError",
    "UnwrapError",
    "WrapKey",
    "generate_signing_key",
    "public_key",
    "read_seed",
    "sign",
    "verify",
]


class SignatureError(CryptoError):
    """A signature does not verify, or a signing key does not have the required form."""

    code = "crypto.signature"


class WrapKey(Protocol):
    """One key-encryption key, ready to wrap and unwrap."""

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key; the context must be given again to open it."""
        ...

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError or KeyDestroyedError."""
        ...


class KeyProvider(Protocol):
    """Where key-encryption keys live; they never leave it."""

    def create_kek(self, label: str) -> str:
        """Create a key-encryption key and return its id; the label is for people and is not secret."""
        ...

    def wrap(self, kek_id: str, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key under a key-encryption key, bound to the context."""
        ...

    def unwrap(self, kek_id: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        ...

    def rewrap(self, old: str, new: str, wrapped: bytes, *, context: bytes) -> bytes:
        """Move a wrapped key from one key-encryption key to another, same context."""
        ...

    def destroy(self, kek_id: str) -> None:
        """Destroy a key-encryption key for good; destroying it twice changes nothing."""
        ...

    def kek_ids(self) -> tuple[str, ...]:
        """List the keys that can be used, oldest first."""
        ...

    def check(self) -> None:
        """Raise when keys cannot be used now; cheap enough for a probe."""
        ...


@dataclass(frozen=True)
class BoundKek:
    """A provider and one of its keys: the `WrapKey` of a workspace.

    Attributes:
        provider: where the key lives.
        kek_id: which key.
    """

    provider: KeyProvider
    kek_id: str

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Encrypt a key; the context must be given again to open it."""
        return self.provider.wrap(self.kek_id, key, context=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt a key; raises UnwrapError, UnknownKeyError or KeyDestroyedError."""
        return self.provider.unwrap(self.kek_id, wrapped, context=context)


def generate_signing_key() -> bytes:
    """Make a new Ed25519 seed of 32 random bytes."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key(seed: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte Ed25519 seed; raises SignatureError for another length."""
    return _private(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign a message; the caller prefixes what domain the message is of.

    Args:
        seed: 32 bytes.
        message: any length; it starts with a label that no other kind of message starts with.

    Returns:
        64 bytes.

    Raises:
        SignatureError: the seed is not 32 bytes.

    Source: RFC 8032.
    """
    return _private(seed).sign(message)


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature; returning means that it is good.

    Args:
        public: 32 bytes.
        message: what was signed, label included.
        signature: 64 bytes.

    Raises:
        SignatureError: the signature or the public key is malformed, or they do not belong together.

    Source: RFC 8032.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise SignatureError("The signature does not verify under this public key.") from None


@lru_cache(maxsize=8)
def _private(seed: bytes) -> Ed25519PrivateKey:
    if len(seed) != KEY_BYTES:
        raise SignatureError(
            f"An Ed25519 seed has {KEY_BYTES} bytes.", remedy="Make one with generate_signing_key."
        )
    return Ed25519PrivateKey.from_private_bytes(seed)
