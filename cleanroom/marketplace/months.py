"""Calendar months in the room's billing zone: what prices, free quotas and statements are counted by."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cleanroom.marketplace.errors import MonthError

_PATTERN = re.compile(r"([0-9]{4})-([0-9]{2})")
_TICK = timedelta(microseconds=1)
_SETTLING = timedelta(minutes=10)


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month.

    Attributes:
        year: 1970 to 9998.
        month: 1 to 12.
    """

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read `2026-11`; raises MonthError."""
        found = _PATTERN.fullmatch(text)
        if not found or not 1970 <= int(found[1]) <= 9998 or not 1 <= int(found[2]) <= 12:
            raise MonthError("A month is written as 2026-11.", remedy="Write year, dash, month.")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, instant: datetime, zone: ZoneInfo) -> "Month":
        """Return the month in which an instant falls."""
        local = instant.astimezone(zone)
        return cls(local.year, local.month)

    @property
    def first(self) -> date:
        """The first day."""
        return date(self.year, self.month, 1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.following.first - self.first).days

    @property
    def following(self) -> "Month":
        """The next month."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def last(self, count: int) -> "tuple[Month, ...]":
        """Return the months that end with this one, the oldest first."""
        newest = self.year * 12 + self.month - 1
        return tuple(Month(one // 12, one % 12 + 1) for one in range(newest - count + 1, newest + 1))

    def starts_at(self, zone: ZoneInfo) -> datetime:
        """Return its first instant, in UTC."""
        return datetime(self.year, self.month, 1, tzinfo=zone).astimezone(UTC)

    def ends_at(self, zone: ZoneInfo) -> datetime:
        """Return the instant it ends at, exclusive, in UTC."""
        return self.following.starts_at(zone)

    def days_within(self, start: datetime, end: datetime, zone: ZoneInfo) -> int:
        """Return how many of its days a term touches; a day begun is a whole day.

        Args:
            start: the first instant.
            end: the instant it ends at, exclusive.
            zone: whose days.
        """
        if end <= start:
            return 0
        first = max(self.first, start.astimezone(zone).date())
        last = min(self.following.first - timedelta(days=1), (end - _TICK).astimezone(zone).date())
        return max(0, (last - first).days + 1)


def first_open(now: datetime, zone: ZoneInfo) -> Month:
    """Return the month from which on sums may still change; those before it are complete.

    An answer belongs to the month of its release, and is in the books when its transaction has committed, which may be
    a little after the month has ended.
    """
    return Month.of(now - _SETTLING, zone)
