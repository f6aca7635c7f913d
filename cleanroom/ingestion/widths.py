"""How wide the numbers of rows in flight and of a version's columns have to be."""

from threading import Lock
from typing import Any

import numpy as np

from cleanroom.datasets.numbers import bounds_of, narrowest
from cleanroom.ingestion.records import RecordLayout
from cleanroom.ingestion.spool import Records, refit


class Widths:
    """The narrowest integers that hold every number that came so far; they only ever grow.

    A number of a schema may have 64 bits and hardly ever does, and what rows in flight take decides how many of them
    have to be spilled.
    """

    def __init__(self, layout: RecordLayout) -> None:
        """Prepare.

        Args:
            layout: of the dataset's schema.
        """
        self._layout = layout
        self._bounds: dict[int, tuple[int, int]] = {}
        self._kinds = {index: narrowest(0, -1, wide) for index, wide in layout.numbers.items()}
        self._dtype = layout.narrow_dtype(self._kinds)
        self._lock = Lock()

    @property
    def kinds(self) -> dict[int, np.dtype[Any]]:
        """The type of each attribute that is a number, by position."""
        return self._kinds

    def fitted(self, persons: Records) -> Records:
        """Write persons with numbers wide enough for them and for all that came before; any thread may.

        Args:
            persons: of `layout.person_dtype`.

        Returns:
            Of any two types that it returned, one has no number wider than the other's.
        """
        found = {index: bounds_of(np.ascontiguousarray(persons[f"a{index}"])) for index in self._kinds}
        with self._lock:
            dtype = self._widened(found)
        return refit(persons, dtype)

    def _widened(self, found: dict[int, tuple[int, int]]) -> np.dtype[Any]:
        for index, (low, high) in found.items():
            if low <= high:
                least, most = self._bounds.get(index, (low, high))
                self._bounds[index] = min(least, low), max(most, high)
        wide = self._layout.numbers
        kinds = {index: narrowest(*bounds, wide[index]) for index, bounds in self._bounds.items()}
        if kinds.items() - self._kinds.items():
            self._kinds = {**self._kinds, **kinds}
            self._dtype = self._layout.narrow_dtype(self._kinds)
        return self._dtype
