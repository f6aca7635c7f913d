"""The fingerprint of a base, and distinct values of a key, from sorted entries that come in blocks."""

import hmac

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.tokens import starts_of, tokens_of
from crypto.limits import TOKEN_BYTES

U64 = NDArray[np.uint64]


class Pairs:
    """Takes one key's entries in order; a value whose holders stand in two blocks counts once."""

    def __init__(self, labels: NDArray[np.uint8], mac: "hmac.HMAC | None") -> None:
        """Prepare.

        Args:
            labels: of each person; empty without labels.
            mac: takes each distinct value with the lowest label of its holders; None counts only.
        """
        self._labels = labels
        self._mac = mac
        self._distinct = 0
        self._last: tuple[int, int, int] | None = None

    def add(self, hi: U64, lo: U64, person: NDArray[np.uint32]) -> None:
        """Take a block of entries, sorted by value."""
        if not hi.size:
            return
        starts = starts_of(hi, lo)
        label = np.zeros(starts.size, np.uint8)
        if self._labels.size:
            label = np.minimum.reduceat(self._labels[person], starts)
        values, halves = hi[starts], lo[starts]
        if self._last is not None and self._last[:2] == (int(values[0]), int(halves[0])):
            label[0] = min(label[0], self._last[2])
        elif self._last is not None:
            self._take(
                *(np.array([part], kind) for part, kind in zip(self._last, ("u8", "u8", "u1"), strict=True))
            )
        self._take(values[:-1], halves[:-1], label[:-1])
        self._last = int(values[-1]), int(halves[-1]), int(label[-1])

    def finish(self) -> int:
        """Take what is left, and return how many distinct values there were."""
        if self._last is not None:
            self._take(
                *(np.array([part], kind) for part, kind in zip(self._last, ("u8", "u8", "u1"), strict=True))
            )
            self._last = None
        return self._distinct

    def _take(self, hi: U64, lo: U64, label: NDArray[np.uint8]) -> None:
        self._distinct += hi.size
        if self._mac is not None:
            pairs = np.zeros((hi.size, TOKEN_BYTES + 1), np.uint8)
            pairs[:, :TOKEN_BYTES] = np.frombuffer(tokens_of(hi, lo), np.uint8).reshape(-1, TOKEN_BYTES)
            pairs[:, TOKEN_BYTES] = label
            self._mac.update(pairs.tobytes())
