"""Patterns in time, as pure functions over what a detector remembers of one party: bursts, and unusual hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

HOURS = 24
LEAST_DAYS = 14
LEAST_EVENTS = 60
"""Before so many days and events nothing is called unusual: there is no habit yet."""
RARE_PERCENT = 2
"""An hour is unusual when it and its two neighbours together hold less than this share of what was seen before."""
FORGET_AT = 5_000
"""From so many events on all counts are halved, so that a habit can change."""


def burst(times: Sequence[float], now: float, *, window: float, limit: int) -> tuple[list[float], bool]:
    """Add an instant to those remembered.

    Args:
        times: seconds since the epoch, the oldest first, from the last call.
        now: of what was just seen.
        window: how long an instant counts, in seconds.
        limit: how many within the window make a burst.

    Returns:
        What to remember, and whether the burst is complete; then counting begins anew.
    """
    kept = [one for one in times if one > now - window]
    kept.append(now)
    return ([], True) if len(kept) >= limit else (kept, False)


@dataclass(frozen=True)
class Habit:
    """At which hours of the day somebody was seen so far.

    Attributes:
        counts: of events by hour of the local day, 24 of them.
        days: on how many different days.
        last_day: the newest of them, ISO; empty for none.
    """

    counts: tuple[int, ...] = (0,) * HOURS
    days: int = 0
    last_day: str = ""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Habit":
        """Read back what `to_data` wrote; nothing makes an empty one."""
        return cls(tuple(data.get("counts", (0,) * HOURS)), data.get("days", 0), data.get("last_day", ""))

    def to_data(self) -> dict[str, Any]:
        """Write it as plain data."""
        return {"counts": list(self.counts), "days": self.days, "last_day": self.last_day}

    def unusual(self, hour: int) -> bool:
        """Tell whether an hour of the day is one at which somebody with a habit is hardly ever seen."""
        total = sum(self.counts)
        if self.days < LEAST_DAYS or total < LEAST_EVENTS:
            return False
        around = sum(self.counts[(hour + step) % HOURS] for step in (-1, 0, 1))
        return around * 100 < total * RARE_PERCENT

    def seen(self, local: datetime) -> "Habit":
        """Return the habit with one more event at a local time."""
        counts = list(self.counts)
        counts[local.hour] += 1
        if sum(counts) >= FORGET_AT:
            counts = [one // 2 for one in counts]
        day = local.date().isoformat()
        return Habit(tuple(counts), self.days + (day != self.last_day), day)


def outside(hour: int, opens: int, closes: int) -> bool:
    """Tell whether an hour lies outside a window of the day; one that closes before it opens spans midnight."""
    if opens < closes:
        return not opens <= hour < closes
    return closes <= hour < opens
