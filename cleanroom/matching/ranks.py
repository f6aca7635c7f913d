"""Where numbers stand among some ends: codes of one or two bytes, which are compared and counted faster."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.types import I64

FEW_ENDS = 32
_BUCKET_BITS = 16
Values: TypeAlias = NDArray[Any]


def ranks(values: Values, ends: I64) -> Values:
    """Return how many of the ends are not above each value.

    Args:
        values: (n,) integers; the lowest number of their type is below every end, whatever the end.
        ends: at least one, ascending.

    Returns:
        (n,) in the narrowest unsigned integers.
    """
    kind = np.min_scalar_type(len(ends) + 1)
    ends = np.maximum(ends, int(np.iinfo(values.dtype).min) + 1)
    if len(ends) > FEW_ENDS:
        return _by_buckets(values, ends, kind)
    found = np.zeros(values.shape, kind)
    for end in ends.tolist():
        found += values >= end
    return found


def _by_buckets(values: Values, ends: I64, kind: np.dtype[Any]) -> Values:
    """Look the rank of a value's bucket up; only where an end lies inside of it, search."""
    unclear = np.iinfo(kind).max
    # In unsigned arithmetic: two signed numbers can be further apart than a signed one tells.
    origin = np.uint64((int(ends[0]) - 1) % 2**64)
    steps = ends.view(np.uint64) - origin
    clipped = np.clip(values, ends[0] - 1, ends[-1]).astype(np.int64, copy=False)
    shift = np.uint64(max(0, int(steps[-1]).bit_length() - _BUCKET_BITS))
    starts = np.arange(int(steps[-1] >> shift) + 2, dtype=np.uint64) << shift
    first, last = (
        np.searchsorted(steps, edges, side="right") for edges in (starts[:-1], starts[1:] - np.uint64(1))
    )
    of_bucket = np.where(first == last, first, unclear).astype(kind)
    found = of_bucket.take((clipped.view(np.uint64) - origin >> shift).view(np.int64), mode="clip")
    at = np.flatnonzero(found == unclear)
    found[at] = np.searchsorted(ends, clipped[at], side="right")
    return found
