"""Columns of signed numbers in the narrowest integers that hold them; the smallest of a width is "no value".

A file does not say its width: it has as many items as the version has persons, so its size does. One that was written
at the full width of its type reads like any other.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from cleanroom.datasets.errors import SealedColumnError

_WIDTHS = (1, 2, 4, 8)


def narrowest(low: int, high: int, wide: npt.DTypeLike) -> np.dtype[Any]:
    """Return the narrowest type for some numbers.

    Args:
        low: the least of them, "no value" apart.
        high: the greatest; below `low` when there is none at all.
        wide: the type that they come in.
    """
    full = np.dtype(wide)
    if high < low:
        return np.dtype("<i1")
    fitting = (np.dtype(f"<i{width}") for width in _WIDTHS if width < full.itemsize)
    return next((kind for kind in fitting if np.iinfo(kind).min < low and high <= np.iinfo(kind).max), full)


def bounds_of(values: npt.NDArray[Any]) -> tuple[int, int]:
    """Return the least and the greatest of some numbers, "no value" apart; the greatest is less when there is none."""
    none = np.iinfo(values.dtype).min
    if not values.size:
        return 0, -1
    low, high = int(values.min()), int(values.max())
    if low == none:
        known = values[values != none]
        return (int(known.min()), high) if known.size else (0, -1)
    return low, high


def as_kind(values: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Write numbers in another width that holds them; "no value" stays "no value"."""
    if values.dtype == kind:
        return values
    made = values.astype(kind)
    made[values == np.iinfo(values.dtype).min] = np.iinfo(kind).min
    return made


def stored_kind(size: int, items: int, wide: npt.DTypeLike) -> np.dtype[Any]:
    """Return the type in which a file keeps its numbers.

    Args:
        size: bytes of the file's plaintext.
        items: how many numbers it has.
        wide: the type of the numbers outside of the file; none is kept wider.

    Raises:
        SealedColumnError: the file has another number of items.
    """
    full = np.dtype(wide)
    width = size // items if items else full.itemsize
    if width * items != size or width not in _WIDTHS or width > full.itemsize:
        raise SealedColumnError(
            f"A column of {size:,} bytes does not hold {items:,} numbers.",
            remedy="Restore the SQL store from a backup.",
        )
    return np.dtype(f"<i{width}")
