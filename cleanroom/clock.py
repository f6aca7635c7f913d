"""Time as an argument: UTC with microseconds, so that tests and replays decide what "now" is."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time in UTC."""

    def now(self) -> datetime:
        """Return the current instant, timezone-aware, in UTC."""
        ...

    def wait_until(self, instant: datetime) -> None:
        """Come back when an instant has come; at once when it is past."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)

    def wait_until(self, instant: datetime) -> None:
        """Sleep until an instant; a clock that is set back meanwhile makes it longer."""
        while (left := (instant - self.now()).total_seconds()) > 0:
            time.sleep(left)


def rfc3339(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC with microseconds and a `Z`, the one spelling that is hashed and signed."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
