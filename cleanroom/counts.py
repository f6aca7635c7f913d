"""How often something happened lately, counted by all processes that serve a room: what limits on its pace go by."""

import sqlite3
import time
from math import floor
from pathlib import Path
from threading import Lock

from limits.storage import SlidingWindowCounterSupport, Storage
from limits.storage.base import TimestampedSlidingWindow

_SWEEP_EVERY = 4_096
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL)"
)
_GET = "SELECT key, count, ends FROM counts WHERE key IN (?, ?) AND ends > ?"
# What has ended is counted from nothing.
_ADD = """
INSERT INTO counts VALUES (:key, :amount, :ends)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN ends > :now THEN count ELSE 0 END + :amount,
    ends = CASE WHEN ends > :now THEN ends ELSE :ends END
RETURNING count
"""


class Counts(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Counters for the sliding windows of `limits`, in a file that processes share, or in this process's memory.

    The file is worth nothing when they have ended: it is never waited for to reach the disk.
    """

    STORAGE_SCHEME = None

    def __init__(self, path: Path | None = None) -> None:
        """Take the place.

        Args:
            path: a file in a directory that only this room's processes reach; None for this process alone.
        """
        super().__init__()
        self._lock = Lock()
        self._adds = 0
        self._sql = sqlite3.connect(
            ":memory:" if path is None else path, check_same_thread=False, isolation_level=None
        )
        for statement in ("PRAGMA journal_mode=MEMORY", "PRAGMA synchronous=OFF", _SCHEMA):
            self._sql.execute(statement).fetchall()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a failing counter raises."""
        return sqlite3.Error

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, if there are fewer in the window; returns whether it was counted."""
        now = time.time()
        previous, current = self.sliding_window_keys(key, expiry, now)
        with self._lock:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                before, rest, count, _ = self._window(previous, current, expiry, now)
                free = floor(before * rest / expiry + count) + amount <= limit
                if free:
                    self._add(current, amount, 2 * expiry, now)
            finally:
                self._sql.execute("COMMIT")
        return free

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the count of the last window and how long it matters still, and the same of the current one."""
        now = time.time()
        with self._lock:
            return self._window(*self.sliding_window_keys(key, expiry, now), expiry, now)

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a window."""
        for each in self.sliding_window_keys(key, expiry, time.time()):
            self.clear(each)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count; returns the new count."""
        with self._lock:
            return self._add(key, amount, expiry, time.time())

    def get(self, key: str) -> int:
        """Return a count."""
        with self._lock:
            return next((count for _, count, _ in self._sql.execute(_GET, (key, key, time.time()))), 0)

    def get_expiry(self, key: str) -> float:
        """Return when a counter ends, in seconds of the epoch; now for one that is not there."""
        now = time.time()
        with self._lock:
            return next((ends for _, _, ends in self._sql.execute(_GET, (key, key, now))), now)

    def check(self) -> bool:
        """Tell whether it answers."""
        with self._lock:
            return bool(self._sql.execute("SELECT 1").fetchone())

    def reset(self) -> int:
        """Forget everything; returns how many counters there were."""
        with self._lock:
            return self._sql.execute("DELETE FROM counts").rowcount

    def clear(self, key: str) -> None:
        """Forget a counter."""
        with self._lock:
            self._sql.execute("DELETE FROM counts WHERE key = ?", (key,))

    def _window(self, previous: str, current: str, expiry: int, now: float) -> tuple[int, float, int, float]:
        counts = {key: count for key, count, _ in self._sql.execute(_GET, (previous, current, now))}
        before, rest = counts.get(previous, 0), (1 - now / expiry % 1) * expiry
        return before, rest if before else 0.0, counts.get(current, 0), rest + expiry

    def _add(self, key: str, amount: int, expiry: float, now: float) -> int:
        self._adds += 1
        if self._adds % _SWEEP_EVERY == 0:
            self._sql.execute("DELETE FROM counts WHERE ends <= ?", (now,))
        values = {"key": key, "amount": amount, "ends": now + expiry, "now": now}
        count: int = self._sql.execute(_ADD, values).fetchall()[0][0]
        return count
