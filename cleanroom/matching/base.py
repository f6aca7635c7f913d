"""A base's values under the dataset's token key; they are made part by part, in memory, and never kept."""

from dataclasses import dataclass

import numpy as np

from cleanroom.datasets.kept import Sliced, blocks_of
from cleanroom.matching.types import U8, U64
from crypto.tokens import retokenise

_MOVED_AT_ONCE = 1 << 16
_READ_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class MovedKey:
    """The values of one key of a base, each entry with its holder's label; a value stands there once per holder.

    Attributes:
        hi: (entries,) first halves of the tokens under the base's own key.
        lo: (entries,) second halves.
        old_key: the base's token key.
        new_key: the dataset's token key.
        junk: first halves under the dataset's key of what is left out, ascending.
        person: (entries,) the holder's position; None without labels.
        labels: (persons,) from 1 in declared order; None without labels.
    """

    hi: Sliced
    lo: Sliced
    old_key: bytes
    new_key: bytes
    junk: U64
    person: Sliced | None = None
    labels: U8 | None = None

    @property
    def size(self) -> int:
        """Return how many entries there are, junk included."""
        return self.hi.size

    def part(self, start: int, stop: int) -> tuple[U64, U8 | None]:
        """Return some entries as tokens of the dataset's workspace; what is junk there is left out."""
        values = np.empty(max(min(stop, self.size) - start, 0), np.uint64)
        # Put together, moved and taken apart while still in the processor's cache.
        room = np.empty((min(values.size, _MOVED_AT_ONCE), 2), ">u8")
        done = 0
        halves = (
            blocks_of(column, start, start + values.size, _READ_AT_ONCE) for column in (self.hi, self.lo)
        )
        for hi, lo in zip(*halves, strict=True):
            for at in range(0, hi.size, _MOVED_AT_ONCE):
                part = slice(at, min(at + _MOVED_AT_ONCE, hi.size))
                own = room[: part.stop - part.start]
                own[:, 0], own[:, 1] = hi[part], lo[part]
                moved = retokenise(own, old_key=self.old_key, new_key=self.new_key)
                values[done : done + len(own)] = np.frombuffer(moved, ">u8")[::2]
                done += len(own)
        labels = None
        if self.labels is not None and self.person is not None:
            labels = self.labels[self.person[start:stop]] - np.uint8(1)
        if not self.junk.size:
            return values, labels
        kept = self.junk.take(np.searchsorted(self.junk, values), mode="clip") != values
        return values[kept], None if labels is None else labels[kept]
