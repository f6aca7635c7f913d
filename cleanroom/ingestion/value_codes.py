"""Codes for the values of open categories while a load runs: each distinct value is held once, in memory."""

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from cleanroom.ingestion.errors import PayloadError
from cleanroom.schema.model import MAX_OPEN_VALUES, Attribute
from cleanroom.schema.open_values import is_open_value, refuse_special

Codes = NDArray[np.uint32]
BAD = (1 << 32) - 1
"""The code of what cannot be a value; its row is left out."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


class ValueCodes:
    """Gives the values of one open category numbers in order of arrival, and in the end their final codes."""

    def __init__(self, attribute: str, known: Sequence[bytes] = ()) -> None:
        """Prepare.

        Args:
            attribute: its name, for messages.
            known: values of the version that the load changes, in the order of their codes.
        """
        self._attribute = attribute
        self._codes = {value: code for code, value in enumerate(known, start=1)}
        self._used = np.zeros(MAX_OPEN_VALUES + 1, np.bool_)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._codes)

    def encode(self, fixed: NDArray[np.uint8]) -> Codes:
        """Return the code of every value: 0 for none, `BAD` for bytes that are no value; any thread may.

        Args:
            fixed: (rows, width) as the payload has them.

        Raises:
            SpecialCategoryError: a value names a special category of personal data.
        """
        first, inverse = _distinct(fixed)
        texts = np.ascontiguousarray(fixed[first]).view(f"S{fixed.shape[1]}").ravel().tolist()
        with self._lock:
            codes = [self._code(text) for text in texts]
        return np.array(codes, np.uint32)[inverse]

    def _code(self, value: bytes) -> int:
        if not value:
            return 0
        known = self._codes.get(value)
        if known is not None:
            return known
        if not is_open_value(value):
            return BAD
        refuse_special(self._attribute, [value])
        return self._codes.setdefault(value, len(self._codes) + 1)

    def keep(self, codes: Codes) -> None:
        """Note that persons of the version have these codes."""
        self._used[codes] = True

    def keep_none(self) -> None:
        """Forget what was noted: it is about to be noted anew."""
        self._used[:] = False

    def finish(self) -> tuple[Codes, list[bytes]]:
        """Return the final code of each code, and the values in the order of the final ones.

        Values that nobody has any more go; the rest is sorted, so that codes tell nothing about the file's order.
        """
        values = sorted((value, code) for value, code in self._codes.items() if self._used[code])
        final = np.zeros(len(self._codes) + 1, np.uint32)
        final[[code for _, code in values]] = np.arange(1, len(values) + 1, dtype=np.uint32)
        return final, [value for value, _ in values]


class OpenCategories:
    """The codes of all open categories of a dataset, which share one limit."""

    def __init__(
        self, attributes: Iterable[Attribute], known: Mapping[str, Sequence[bytes]] | None = None
    ) -> None:
        """Prepare.

        Args:
            attributes: of the schema; those that are not open are passed over.
            known: values of the version that the load changes, by attribute.
        """
        self._codes = {
            item.name: ValueCodes(item.name, (known or {}).get(item.name, ()))
            for item in attributes
            if item.open
        }

    def of(self, attribute: str) -> ValueCodes:
        """Return the codes of an open category."""
        return self._codes[attribute]

    def encode(self, attribute: str, fixed: NDArray[np.uint8]) -> Codes:
        """Return the codes of a column, see `ValueCodes.encode`.

        Raises:
            PayloadError: the load has too many distinct values.
        """
        codes = self._codes[attribute].encode(fixed)
        if sum(map(len, self._codes.values())) > MAX_OPEN_VALUES:
            raise PayloadError(
                f"The open categories have more than {MAX_OPEN_VALUES} distinct values in all.",
                remedy="Keep what identifies single people or orders out of them, or make the values coarser.",
            )
        return codes


def _distinct(fixed: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each distinct value, and for every row which of them it is.

    Sorting numbers is much faster than sorting texts, so texts are folded into numbers; should two of them fall
    together, texts are sorted after all.
    """
    rows, width = fixed.shape
    padded = np.zeros((rows, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = fixed
    mark = np.zeros(rows, np.uint64)
    for word in padded.view("<u8").T:
        mark = (mark ^ word) * _MIX
        mark ^= mark >> np.uint64(32)
    _, first, inverse = np.unique(mark, return_index=True, return_inverse=True)
    if (fixed[first][inverse] != fixed).any():
        texts = np.ascontiguousarray(fixed).view(f"S{width}").ravel()
        _, first, inverse = np.unique(texts, return_index=True, return_inverse=True)
    return first, inverse
