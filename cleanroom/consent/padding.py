"""Sealed files of consents as large as what was submitted allows, so that no size tells who was found.

What a batch comes to depends on how many of its people a dataset knows: that many records are bound to them, and that
many entries stand in an overlay. Sizes of files are seen by whoever sees the store or the SQL behind it. So files are
filled up to what as many people as were submitted would usually need. Who needs more than that, as when one
identifier names hundreds, fills up to the next power of two.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

PADDING = 0xFFFE
"""In place of a key's position: the record is none, and readers leave it out."""
_LEAST_BYTES = 4096
_BINDING_RECORDS = 1024
_FULL_ENTRIES = 1 << 18
_BLOCK = 1 << 16


def padded_bytes(held: int, usual: int) -> int:
    """Return how large a file has to be.

    Args:
        held: bytes that it holds.
        usual: bytes that are usually enough, by public figures.
    """
    enough = max(usual, _LEAST_BYTES)
    return enough if held <= enough else 1 << (held - 1).bit_length()


def filled_up(records: NDArray[np.void], *, usual: int) -> Iterator[NDArray[np.void]]:
    """Give records, and after them what fills their file up, in blocks.

    Args:
        records: with `key`.
        usual: how many are usually enough, by public figures.
    """
    yield records
    size = records.dtype.itemsize
    lacking = padded_bytes(records.nbytes, usual * size) // size - records.size
    block = np.zeros(min(lacking, _BLOCK), records.dtype)
    block["key"] = PADDING
    for start in range(0, lacking, _BLOCK):
        yield block[: lacking - start]


def without_padding(records: NDArray[np.void]) -> NDArray[np.void]:
    """Leave out what only fills a file up."""
    kept: NDArray[np.void] = records[records["key"] != PADDING]
    return kept


def usual_records(submitted: int, *, keys: int) -> int:
    """Return how many records a batch usually needs: the submitted ones, and for each its person and their values.

    Args:
        submitted: identifiers taken.
        keys: match keys of the dataset.
    """
    return submitted * (2 + keys)


def usual_bound(total: int, *, keys: int) -> int:
    """Return how many records usually bind what was recorded before to a new version: few, as most are bound already.

    Each publishing writes such a file, and each reads them all: to fill it up to what is possible would cost as much
    as all batches together, every night.

    Args:
        total: identifiers recorded.
        keys: match keys of the dataset.
    """
    return min(total * (2 + keys), _BINDING_RECORDS)


def usual_entries(submitted: int) -> int:
    """Return how many entries an overlay of so many identifiers usually has, some of them naming two people."""
    return 2 * submitted


def usual_full(total: int) -> int:
    """Return how many entries a full overlay usually has, which is written again and again.

    Args:
        total: identifiers recorded; the same people come again, so above a limit it says little.
    """
    return min(2 * total, _FULL_ENTRIES)
