"""The root of this library's errors; the messages name limits and remedies, never data."""


class CryptoError(Exception):
    """An error of a format, a key or a proof.

    Attributes:
        code: stable, `crypto.reason`.
        message: what is wrong and the limit that was passed; never key material or data about a person.
        remedy: what to do next; empty when nothing can be done.
    """

    code = "crypto.error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class UnknownKeyError(CryptoError):
    """No key of this id was ever created here."""

    code = "crypto.unknown_key"


class KeyDestroyedError(CryptoError):
    """The key was destroyed on purpose; what it wrapped cannot be opened again."""

    code = "crypto.key_destroyed"


class UnwrapError(CryptoError):
    """A wrapped key is damaged, or belongs to another key or context."""

    code = "crypto.unwrap"
