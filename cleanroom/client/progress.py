"""How far a long job is, how fast it goes, and how long it will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Called with the rows done and the rows in all."""


@dataclass(frozen=True)
class Step:
    """Where a job stands.

    Attributes:
        done: rows so far.
        total: rows in all, as far as is known.
        rows_per_second: since the beginning; 0 before there is anything to tell.
        seconds_left: at that rate; None while there is none.
    """

    done: int
    total: int
    rows_per_second: float
    seconds_left: float | None


class Pace:
    """A progress callback that adds the rate and the time left to the rows done.

    Example:
        prepare(..., progress=Pace(lambda step: print(f"{step.done} rows, {step.seconds_left} s left")))
    """

    def __init__(
        self, show: Callable[[Step], None], *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Start counting the time.

        Args:
            show: called at every step.
            seconds: tells the time.
        """
        self._show = show
        self._seconds = seconds
        self._start = seconds()

    def __call__(self, done: int, total: int) -> None:
        """Take in the rows done and the rows in all."""
        elapsed = self._seconds() - self._start
        rate = done / elapsed if elapsed > 0 else 0.0
        left = (total - done) / rate if rate else None
        self._show(Step(done=done, total=total, rows_per_second=rate, seconds_left=left))
