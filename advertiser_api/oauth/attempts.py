"""Failed attempts to prove who one is: after too many, an address waits."""

import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter

from cleanroom.counts import Counts

PER_CLIENT = RateLimitItemPerMinute(10, namespace="oauth/client")
PER_ADDRESS = RateLimitItemPerMinute(60, namespace="oauth/address")
_MAX_ID_LENGTH = 64


class FailedAttempts:
    """Counts failures by address, and by address and claimed client, whichever process served them.

    A client is never locked out by failures from elsewhere: its name alone is not counted.
    """

    def __init__(self, counts: Counts) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(counts)

    def wait_seconds(self, address: str, client_id: str) -> int:
        """Return how long the address has to wait before it may try again; 0 when it may now."""
        waits = [
            self._limiter.get_window_stats(item, *key).reset_time - time.time()
            for item, key in _counted(address, client_id)
            if not self._limiter.test(item, *key)
        ]
        return max(1, math.ceil(max(waits))) if waits else 0

    def failed(self, address: str, client_id: str) -> None:
        """Count a failure."""
        for item, key in _counted(address, client_id):
            self._limiter.hit(item, *key)


def _counted(address: str, client_id: str) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
    return [(PER_ADDRESS, (address,)), (PER_CLIENT, (address, client_id[:_MAX_ID_LENGTH]))]
