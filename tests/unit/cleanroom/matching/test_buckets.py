"""Buckets fit where they are kept, and come back as they went."""

import numpy as np
import pytest

from cleanroom.matching.buckets import (
    buckets_from_arrays,
    buckets_size,
    buckets_to_arrays,
    find_all,
    make_buckets,
)

RANDOM = np.random.default_rng(1)
INDEXES = {
    "one entry": np.array([5], np.uint64),
    "both ends": np.array([0, 2**64 - 1], np.uint64),
    "spread": np.sort(RANDOM.integers(0, 2**64, 300_000, np.uint64)),
    "a narrow range": np.sort(RANDOM.integers(2**63, 2**63 + 1000, 50_000, np.uint64)),
    "across a border": np.arange(2**63 - 500, 2**63 + 500, dtype=np.uint64),
    "one value": np.full(10_000, 77, np.uint64),
    "a crowd": np.sort(
        np.concatenate([RANDOM.integers(0, 2**64, 9_000, np.uint64), np.full(999, 2**60, np.uint64)])
    ),
}


@pytest.mark.parametrize("name", INDEXES)
def test_buckets_take_no_more_than_was_reserved_and_come_back_as_they_went(name):
    hi = INDEXES[name]
    made = make_buckets(hi)
    arrays = buckets_to_arrays(made)
    assert sum(array.nbytes for array in arrays) <= buckets_size(hi.size)
    back = buckets_from_arrays(arrays)
    assert (back.least, back.shift) == (made.least, made.shift)
    assert np.array_equal(back.starts, made.starts)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", INDEXES)
def test_every_entry_is_found_and_nothing_else_is(name, threads):
    hi = INDEXES[name]
    own = np.unique(hi)
    near = np.concatenate([own[:1000] + np.uint64(1), own[:1000] - np.uint64(1)])
    values = np.unique(np.concatenate([own, near, RANDOM.integers(0, 2**64, 1000, np.uint64)]))
    RANDOM.shuffle(values)
    entries, found = find_all(hi, make_buckets(hi, threads=threads), values)
    assert np.array_equal(np.sort(entries), np.arange(hi.size))
    assert np.array_equal(hi[entries], values[found])
