"""What was worked out before and cannot change: kept in memory within a bound, the least recently used let go first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by key; threads may share it, and two that miss at once both make the value."""

    def __init__(self, limit: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        """Take the bound.

        Args:
            limit: how much all values together may weigh; one that is heavier alone is not kept.
            weigh: the weight of one value, such as how many figures it has.
        """
        self._limit = limit
        self._weigh = weigh
        self._values: OrderedDict[Key, tuple[int, Value]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """Return what was put under a key, if it is still there."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[1]

    def put(self, key: Key, value: Value) -> Value:
        """Keep a value; returns it."""
        weight = self._weigh(value)
        with self._lock:
            self._drop(self._values.pop(key, None))
            if weight <= self._limit:
                self._values[key] = weight, value
                self._weight += weight
            while self._weight > self._limit:
                self._drop(self._values.popitem(last=False)[1])
        return value

    def _drop(self, entry: tuple[int, Value] | None) -> None:
        if entry is not None:
            self._weight -= entry[0]
