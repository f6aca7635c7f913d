"""A base's values under the dataset's token key; they are made part by part, in memory, and never kept."""

from dataclasses import dataclass

import numpy as np

from cleanroom.datasets.tokens import halves_of
from cleanroom.matching.types import U8, U64, Sliced
from crypto.tokens import retokenise


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
        hi = self.hi[start:stop]
        own = np.empty((hi.size, 2), ">u8")
        own[:, 0], own[:, 1] = hi, self.lo[start:stop]
        values = halves_of(retokenise(own, old_key=self.old_key, new_key=self.new_key))[:, 0]
        labels = None
        if self.labels is not None and self.person is not None:
            labels = self.labels[self.person[start:stop]] - np.uint8(1)
        if not self.junk.size:
            return values, labels
        kept = self.junk.take(np.searchsorted(self.junk, values), mode="clip") != values
        return values[kept], None if labels is None else labels[kept]
