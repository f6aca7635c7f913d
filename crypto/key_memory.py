"""Keys that a slow service has unwrapped, kept for a moment: a question opens dozens of files, each with its own."""

import time
from collections import OrderedDict
from threading import Lock

Place = tuple[str, bytes, bytes]
"""Which key-encryption key, what is wrapped, and its context."""


class KeyMemory:
    """The keys unwrapped last, for so long and no longer; what is forgotten is asked for again."""

    def __init__(self, *, seconds: float, most: int) -> None:
        """Make an empty one.

        Args:
            seconds: how long a key is kept.
            most: how many are kept; the oldest goes first.
        """
        self._seconds = seconds
        self._most = most
        self._guard = Lock()
        self._kept: OrderedDict[Place, tuple[float, bytes]] = OrderedDict()

    def get(self, place: Place) -> bytes | None:
        """Return a key that is kept; None when it is not, or not any more."""
        with self._guard:
            self._drop_old()
            found = self._kept.get(place)
        return None if found is None else found[1]

    def put(self, place: Place, key: bytes) -> None:
        """Keep a key from now on; one that is kept already is not kept for longer."""
        with self._guard:
            self._drop_old()
            self._kept.setdefault(place, (time.monotonic() + self._seconds, key))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def forget(self, kek_id: str) -> None:
        """Keep nothing any more that stood under a key-encryption key."""
        with self._guard:
            for place in [place for place in self._kept if place[0] == kek_id]:
                del self._kept[place]

    def _drop_old(self) -> None:
        now = time.monotonic()
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
