"""The one root of the domain's errors: a stable code, what went wrong with its limit, and the remedy."""

from crypto.errors import CryptoError
from policies.errors import PolicyError


class CleanroomError(Exception):
    """An error that a user can act on.

    Attributes:
        code: stable, `slice.reason`; becomes the problem `type` in HTTP and the exit code's name in the CLI.
        message: what is wrong and the limit that was passed; never data about a person.
        remedy: what to do next; empty when nothing can be done.
    """

    code = "cleanroom.error"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


# The pure libraries import nothing of the domain, so each brings a root of its own with the same three attributes.
KNOWN_ERRORS: tuple[type[Exception], ...] = (CleanroomError, CryptoError, PolicyError)
