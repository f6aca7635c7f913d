"""When a delivery that failed is tried again: ever later, for about a day."""

import random
from datetime import timedelta

MAX_ATTEMPTS = 11
FIRST_DELAY = timedelta(seconds=5)
LONGEST_DELAY = timedelta(hours=6)
_FACTOR = 4
_JITTER = 0.25
FAILING_FOR = timedelta(days=5)
"""An endpoint is disabled that took nothing for so long after a delivery was given up."""


def delay_after(attempts: int, *, asked: timedelta | None = None, spread: float | None = None) -> timedelta:
    """Return how long to wait after so many attempts in vain: four times as long each time, up to six hours.

    Args:
        attempts: 1 after the first.
        asked: what the receiver's Retry-After says; it makes the wait longer, never beyond the longest.
        spread: 0 to 1, where in the range of a quarter less to a quarter more; random when not given, so that
            receivers that failed together are not called together.
    """
    # The exponent is bounded: the longest delay is reached long before.
    factor: int = _FACTOR ** min(attempts - 1, 16)
    plain = min(LONGEST_DELAY, FIRST_DELAY * factor)
    where = random.random() if spread is None else spread  # noqa: S311 - not a secret
    spaced = plain * (1 - _JITTER + 2 * _JITTER * where)
    return max(spaced, min(asked, LONGEST_DELAY)) if asked is not None else spaced
