"""Small messages in the age format, in memory, to one or several recipients. Source: age-encryption.org/v1."""

from collections.abc import Sequence

import pyrage  # type: ignore[import-untyped]

from crypto.errors import CryptoError


class SmallAgeError(CryptoError):
    """A recipient or an identity is malformed, or the message is not encrypted to this identity, or was changed."""

    code = "crypto.small_age"


def seal_small(data: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypt a message that fits into memory.

    Args:
        data: the message.
        recipients: `age1...`, at least one; each opens it alone.

    Raises:
        SmallAgeError: there is none, or one of them is malformed.
    """
    try:
        keys = [pyrage.x25519.Recipient.from_str(one) for one in recipients]
    except pyrage.RecipientError:
        raise SmallAgeError(
            "A recipient is malformed.", remedy="Give it as age1..., as age-keygen prints it."
        ) from None
    if not keys:
        raise SmallAgeError("There is no recipient.", remedy="Give at least one, as age1...")
    return bytes(pyrage.encrypt(data, keys))


def open_small(sealed: bytes, identity: str) -> bytes:
    """Decrypt a message.

    Args:
        sealed: as `seal_small` made it, or the age command.
        identity: `AGE-SECRET-KEY-1...`.

    Raises:
        SmallAgeError: it is encrypted to others, or was changed, or the identity is malformed.
    """
    try:
        return bytes(pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity)]))
    except (pyrage.DecryptError, pyrage.IdentityError):
        raise SmallAgeError(
            "The message is not encrypted to this identity, or was changed.",
            remedy="Use the identity of one of its recipients.",
        ) from None
