"""Finding values among sorted tokens without sorting them first.

Tokens are evenly spread, so their first bits tell where to look; a few halvings without a branch, for thousands of
values at once, find the rest. Searched for roughly in order, what is looked at stays in the processor's cache.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.types import U64, Buckets

BLOCK = 16_384
"""Values searched for at once: the arrays of one step stay in the processor's cache."""
_TOGETHER = 1 << 17
"""Values whose further holders are looked for at once: few calls, and what was found is in the cache yet."""
_ENTRIES_PER_BUCKET_BITS = 2
_STEPS = 3
"""Halvings that find a value among seven entries; hardly any bucket has more, and those are searched as a whole."""
_CHUNK = 1 << 17
_FEW_ENTRIES = 1 << 25
_THREADS = 2
_POOL = ThreadPoolExecutor(_THREADS, thread_name_prefix="index")
Positions = NDArray[np.int64]
Firsts = NDArray[np.uint8] | NDArray[np.uint16]


def buckets_size(entries: int) -> int:
    """Return the bytes that the buckets of so many entries take at most, as arrays."""
    # Both ends of the range that the values take may begin a bucket of their own.
    return 4 * ((1 << _bits(entries)) + 2) + 16


def buckets_to_arrays(buckets: Buckets) -> tuple[NDArray[Any], ...]:
    """Write buckets as arrays, for the cache."""
    return buckets.starts, np.array([buckets.least, buckets.shift], np.uint64)


def buckets_from_arrays(arrays: tuple[NDArray[Any], ...]) -> Buckets:
    """Read what `buckets_to_arrays` wrote."""
    starts, (least, shift) = arrays
    return Buckets(int(least), int(shift), starts)


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
    return Buckets(least, shift, starts)


def first_bits(values: U64, entries: int) -> Firsts:
    """Return the first bits of values, as many as an order fine enough for an index of so many entries takes."""
    width = 8 if entries <= _FEW_ENTRIES else 16
    return (values >> np.uint64(64 - width)).astype(f"u{width // 8}")


def roughly_ordered(values: U64, entries: int) -> Positions:
    """Return an order of values by their first bits."""
    # Numpy sorts narrow integers by counting, several times as fast as wide ones.
    return np.argsort(first_bits(values, entries), kind="stable")


def find_all(hi: U64, buckets: Buckets, values: U64) -> tuple[Positions, Positions]:
    """Find all entries that equal some values.

    Args:
        hi: the sorted entries, at least one.
        buckets: of them.
        values: in any order; roughly ascending is fastest.

    Returns:
        Positions of the entries, and of the value that each equals.
    """
    entries, found = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, values.size, _TOGETHER):
        stop = min(start + _TOGETHER, values.size)
        firsts = [
            _find_first(hi, buckets, values[low : min(low + BLOCK, stop)])
            for low in range(start, stop, BLOCK)
        ]
        at, of = with_holders(
            hi,
            np.concatenate([at for at, _ in firsts]),
            np.concatenate(
                [of + low for (_, of), low in zip(firsts, range(start, stop, BLOCK), strict=True)]
            ),
        )
        entries.append(at)
        found.append(of)
    return np.concatenate(entries), np.concatenate(found)


def _find_first(hi: U64, buckets: Buckets, values: U64) -> tuple[Positions, Positions]:
    """Find the first entry of those that equal each of some values."""
    bucket = values >> np.uint64(buckets.shift)
    if buckets.least:
        bucket -= np.minimum(bucket, np.uint64(buckets.least))
    at = buckets.starts.take(bucket.view(np.int64), mode="clip").astype(np.int64)
    for step in range(min(_STEPS, hi.size.bit_length()) - 1, -1, -1):
        ahead = hi[(1 << step) - 1 :].take(at, mode="clip") < values
        at += ahead.view(np.uint8).astype(np.int64) << step
    reached = hi.take(at, mode="clip")
    short = np.flatnonzero(reached < values)
    if short.size:
        at[short] = np.searchsorted(hi, values[short])
        reached[short] = hi.take(at[short], mode="clip")
    found = np.flatnonzero(reached == values)
    return at[found], found


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
