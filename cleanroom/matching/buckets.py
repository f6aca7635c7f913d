"""Finding values among sorted tokens without sorting them first.

Tokens are evenly spread, so their first bits tell where to look; a few halvings without a branch, for thousands of
values at once, find the rest. Searched for roughly in order, what is looked at stays in the processor's cache.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.types import U64, Buckets

BLOCK = 32_768
"""Values searched for at once: the arrays of one step stay in the processor's cache."""
_ENTRIES_PER_BUCKET_BITS = 4
_MAX_STEPS = 6
_CHUNK = 1 << 17
_FEW_ENTRIES = 1 << 25
_THREADS = 2
_POOL = ThreadPoolExecutor(_THREADS, thread_name_prefix="index")
Positions = NDArray[np.int64]
Firsts = NDArray[np.uint8] | NDArray[np.uint16]


def buckets_size(entries: int) -> int:
    """Return the bytes that the buckets of so many entries take at most, as arrays."""
    # Both ends of the range that the values take may begin a bucket of their own.
    return 4 * ((1 << _bits(entries)) + 2) + (entries >> _MAX_STEPS) * 8 + 24


def buckets_to_arrays(buckets: Buckets) -> tuple[NDArray[Any], ...]:
    """Write buckets as arrays, for the cache."""
    return buckets.starts, buckets.crowded, np.array([buckets.least, buckets.shift, buckets.steps], np.uint64)


def buckets_from_arrays(arrays: tuple[NDArray[Any], ...]) -> Buckets:
    """Read what `buckets_to_arrays` wrote."""
    starts, crowded, (least, shift, steps) = arrays
    return Buckets(int(least), int(shift), starts, int(steps), crowded)


def make_buckets(hi: U64, *, threads: int = _THREADS) -> Buckets:
    """Count the entries of every bucket; `hi` is ascending, and at least one."""
    # Of a part of an index only the bits in which its values differ tell them apart.
    spread = (int(hi[-1]) - int(hi[0])).bit_length()
    shift = max(spread - _bits(hi.size), 0)
    least = int(hi[0]) >> shift
    counts = np.zeros((int(hi[-1]) >> shift) - least + 1, np.uint32)

    def count(start: int, stop: int) -> None:
        for low in range(start, stop, _CHUNK):
            bucket = (hi[low : min(low + _CHUNK, stop)] >> np.uint64(shift)) - np.uint64(least)
            first = int(bucket[0])
            found = np.bincount((bucket - np.uint64(first)).view(np.int64))
            counts[first : first + found.size] += found.astype(np.uint32)

    if threads == 1:
        count(0, hi.size)
    else:
        # Threads may not meet in one bucket, so the first range ends where one does.
        middle = int(np.searchsorted(hi, hi[hi.size // 2] >> np.uint64(shift) << np.uint64(shift)))
        list(_POOL.map(count, (0, middle), (middle, hi.size)))
    starts = np.zeros(counts.size, np.uint32)
    np.cumsum(counts[:-1], out=starts[1:])
    steps = min(int(counts.max()).bit_length(), _MAX_STEPS)
    return Buckets(least, shift, starts, steps, np.flatnonzero(counts >= 1 << steps).astype(np.uint64))


def first_bits(values: U64, entries: int) -> Firsts:
    """Return the first bits of values, as many as an order fine enough for an index of so many entries takes."""
    width = 8 if entries <= _FEW_ENTRIES else 16
    return (values >> np.uint64(64 - width)).astype(f"u{width // 8}")


def roughly_ordered(values: U64, entries: int) -> Positions:
    """Return an order of values by their first bits."""
    # Numpy sorts narrow integers by counting, several times as fast as wide ones.
    return np.argsort(first_bits(values, entries), kind="stable")


def find_all(hi: U64, buckets: Buckets, values: U64) -> tuple[Positions, Positions]:
    """Find as `find` does, block by block."""
    found = [(find(hi, buckets, values[low : low + BLOCK]), low) for low in range(0, values.size, BLOCK)]
    return (
        np.concatenate([np.empty(0, np.int64), *(entries for (entries, _), _ in found)]),
        np.concatenate([np.empty(0, np.int64), *(of + low for (_, of), low in found)]),
    )


def find(hi: U64, buckets: Buckets, values: U64) -> tuple[Positions, Positions]:
    """Find all entries that equal some values.

    Args:
        hi: the sorted entries, at least one.
        buckets: of them.
        values: in any order; roughly ascending is fastest.

    Returns:
        Positions of the entries, and of the value that each equals.
    """
    bucket = values >> np.uint64(buckets.shift)
    if buckets.least:
        bucket -= np.minimum(bucket, np.uint64(buckets.least))
    at = buckets.starts.take(bucket.view(np.int64), mode="clip").astype(np.int64)
    for step in range(buckets.steps - 1, -1, -1):
        ahead = hi[(1 << step) - 1 :].take(at, mode="clip") < values
        at += ahead.view(np.uint8).astype(np.int64) << step
    if buckets.crowded.size:
        crowded = np.flatnonzero(np.isin(bucket, buckets.crowded))
        at[crowded] = np.searchsorted(hi, values[crowded])
    found = np.flatnonzero(hi.take(at, mode="clip") == values)
    return with_holders(hi, at[found], found)


def with_holders(hi: U64, entries: Positions, values: Positions) -> tuple[Positions, Positions]:
    """Add the further holders of values whose first one was found: they stand next to each other, and few have one."""
    all_entries, all_values = [entries], [values]
    while entries.size:
        following = entries + 1
        same = hi.take(following, mode="clip") == hi.take(entries, mode="clip")
        same &= following < hi.size
        entries, values = following[same], values[same]
        all_entries.append(entries)
        all_values.append(values)
    return np.concatenate(all_entries), np.concatenate(all_values)


def _bits(entries: int) -> int:
    return max(entries.bit_length() - _ENTRIES_PER_BUCKET_BITS, 1)
