"""How far a long piece of work over files is, and what goes into its last transaction."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cleanroom.db.database import Transaction

_KEPT_EVERY_SECONDS = 0.5
Tell = Callable[[int, int], None]
"""Is told how much is done, of how much: rows, or files."""
Finish = Callable[[Transaction], None]
"""Writes what belongs into the very transaction that ends a rotation."""


def unheard(_done: int, _total: int) -> None:
    """Tell nobody."""


def nothing_more(_tx: Transaction) -> None:
    """Write nothing."""


def now_and_then(keep: Tell, watch: Tell | None) -> Tell:
    """Tell one listener everything, and another, for whom it costs a commit, twice a second at most.

    Args:
        keep: writes it down.
        watch: is told at once, if there is somebody.
    """
    kept = float("-inf")

    def tell(done: int, total: int) -> None:
        nonlocal kept
        if watch is not None:
            watch(done, total)
        if time.monotonic() - kept >= _KEPT_EVERY_SECONDS:
            keep(done, total)
            kept = time.monotonic()

    return tell


@dataclass
class Meter:
    """Counts what is done.

    Attributes:
        total: how much there is to do.
        tell: is told after every step.
        done: how much is done.
    """

    total: int
    tell: Tell
    done: int = 0

    def add(self, items: int) -> None:
        """Count some more, and tell."""
        self.done += items
        self.tell(self.done, self.total)
