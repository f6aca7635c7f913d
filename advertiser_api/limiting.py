"""How many requests a minute: per client once it is known, per address until then."""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import State

from advertiser_api.errors import RateLimitedError
from cleanroom.addresses import subscriber_of
from cleanroom.counts import Counts


@dataclass(frozen=True)
class Window:
    """What is left of a minute's requests.

    Attributes:
        limit: requests a minute.
        remaining: those left now.
        reset: seconds until the window has moved on.
    """

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """Return the headers that tell a caller."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimiter:
    """Counts with all processes that share its counters."""

    def __init__(self, per_minute: int, counts: Counts) -> None:
        """Prepare.

        Args:
            counts: of what came lately.
            per_minute: for each client, and for each address from which come strangers.
        """
        self._item = RateLimitItemPerMinute(per_minute)
        self._strategy = SlidingWindowCounterRateLimiter(counts)

    def client(self, state: State, client_id: str) -> None:
        """Count a request of a client; raises RateLimitedError when it had too many."""
        self._count(state, "client", client_id)

    def stranger(self, state: State, address: str) -> None:
        """Count a request of nobody known; raises RateLimitedError when its address had too many."""
        self._count(state, "address", subscriber_of(address))

    def _count(self, state: State, kind: str, who: str) -> None:
        allowed = self._strategy.hit(self._item, kind, who)
        reset_at, remaining = self._strategy.get_window_stats(self._item, kind, who)
        reset = max(1, math.ceil(reset_at - time.time()))
        state.rate = Window(self._item.amount, max(0, remaining), reset)
        if not allowed:
            raise RateLimitedError(f"More than {self._item.amount} requests in a minute.", retry_after=reset)
