"""Passwords: which are taken, and how they are kept."""

import unicodedata
from functools import lru_cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cleanroom.signin.common import common_passwords
from cleanroom.signin.errors import PasswordError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 200
_FEWEST_DIFFERENT = 5
_AT_ONCE = BoundedSemaphore(4)
"""Each takes 64 MiB: whoever sends many guesses at once must not take the whole machine's memory."""
# The second recommended option of RFC 9106, section 4, with one lane: the worker beside it needs the other core.
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1, hash_len=32, salt_len=16)


def hash_password(password: str) -> str:
    """Hash a password with argon2id under a salt of its own; takes about a tenth of a second and 64 MiB."""
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether a password is the one; without a hash the same work is done, and it never is.

    Args:
        password_hash: of the person, or None when there is no such person.
        password: as typed.
    """
    try:
        with _AT_ONCE:
            _HASHER.verify(password_hash or _nobodys(), _normal(password[:MAX_CHARACTERS]))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None and len(password) <= MAX_CHARACTERS


def outdated(password_hash: str) -> bool:
    """Tell whether a hash was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(password_hash)


def require_good(password: str, *, email: str) -> None:
    """Refuse a password that would be guessed; there are no rules on kinds of characters.

    Args:
        password: as typed.
        email: of the person, whose name must not be the password.

    Raises:
        PasswordError: it is too short or too long, well known, or hardly more than the person's name.

    Source: NIST SP 800-63B-4, section 3.1.1.2.
    """
    normal = _normal(password)
    if not MIN_CHARACTERS <= len(normal) <= MAX_CHARACTERS:
        raise PasswordError(
            f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.",
            remedy="Take a few words that nobody would put together.",
        )
    folded = normal.casefold()
    plain = "".join(character for character in folded if character.isalnum())
    name, _, domain = email.casefold().partition("@")
    left_over = plain
    for part in (*name.replace("-", ".").split("."), *domain.split(".")):
        if len(part) > 3:
            left_over = left_over.replace(part, "")
    known = bool({plain, plain.strip("0123456789")} & common_passwords())
    if known or len(set(folded)) < _FEWEST_DIFFERENT or len(left_over) < _FEWEST_DIFFERENT:
        raise PasswordError(
            "This password would be guessed soon.",
            remedy="Take a few words that nobody would put together, without your name.",
        )


def _normal(password: str) -> str:
    # The same letters may be typed as different code points on another keyboard.
    return unicodedata.normalize("NFKC", password)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _HASHER.hash("nobody has this password")
