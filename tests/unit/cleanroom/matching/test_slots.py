"""Walking through entries and a base together finds what looking up finds, whatever shares a place."""

from collections.abc import Iterator

import numpy as np
import pytest

from cleanroom.matching.slots import Grouped, group_bits, grouped, walk

RANDOM = np.random.default_rng(2)
TOP = 2**64 - 1
SPREAD = RANDOM.integers(0, TOP, 120_000, np.uint64, endpoint=True)
# All of one group and of one place, and those next to it.
CROWD = np.uint64(3 << 60) + np.arange(5_000, dtype=np.uint64)
EDGES = np.array([0, 1, 1 << 45, 1 << 46, 1 << 63, (1 << 63) - 1, TOP, TOP - 1], np.uint64)
SIDES = {
    "spread": (SPREAD, np.concatenate([SPREAD[:70_000], RANDOM.integers(0, TOP, 9_000, np.uint64)])),
    "a crowd": (np.concatenate([CROWD, SPREAD[:9]]), np.concatenate([CROWD[::2], CROWD + np.uint64(9_000)])),
    "edges": (EDGES, EDGES[::2]),
    "only entries at the edges": (EDGES, SPREAD[:50]),
    "only values at the edges": (SPREAD[:50], EDGES),
    "one value of many holders": (np.full(300, 7, np.uint64), np.full(40, 7, np.uint64)),
    "nothing of one group": (SPREAD[SPREAD < 1 << 62], SPREAD[SPREAD > 1 << 63]),
}


def blocks(hi: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Entries as they come from a file: every block is written over the one before."""
    room = np.empty(size, np.uint64)
    for start in range(0, hi.size, size):
        block = room[: min(size, hi.size - start)]
        block[:] = hi[start : start + size]
        yield block
        room.fill(TOP)


def walked(
    hi: np.ndarray, parts: list[Grouped], bits: int, size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions among all entries, and labels."""
    found = list(walk(blocks(hi, size), parts, bits=bits))
    at = np.concatenate([at + number * size for number, (at, _) in enumerate(found)])
    labels = [labels for _, labels in found if labels is not None]
    return at, np.concatenate(labels) if labels else None


@pytest.mark.parametrize("size", [100_000, 999])
@pytest.mark.parametrize("bits", [1, 5, 9])
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("name", SIDES)
def test_exactly_the_entries_that_equal_a_value_are_found(name, pieces, bits, size):
    entries, values = (side.copy() for side in SIDES[name])
    hi = np.sort(entries)
    RANDOM.shuffle(values)
    parts = [grouped(part, None, bits) for part in np.array_split(values, pieces)]

    at, labels = walked(hi, parts, bits, size)

    assert labels is None
    assert np.array_equal(np.unique(at), np.flatnonzero(np.isin(hi, values)))


@pytest.mark.parametrize("size", [100_000, 77])
@pytest.mark.parametrize("name", SIDES)
def test_an_entry_meets_the_label_of_every_holder_of_its_value(name, size):
    entries, values = SIDES[name]
    hi = np.sort(entries)[:4_000]
    values = np.concatenate([values[:3_000], values[:500]])
    labels = RANDOM.integers(0, 200, values.size, np.uint8)
    parts = [grouped(values[:1_000], labels[:1_000], 3), grouped(values[1_000:], labels[1_000:], 3)]

    at, met = walked(hi, parts, 3, size)

    holders: dict[int, list[int]] = {}
    for value, label in zip(values.tolist(), labels.tolist(), strict=True):
        holders.setdefault(value, []).append(label)
    wanted = sorted((e, label) for e, value in enumerate(hi.tolist()) for label in holders.get(value, ()))
    pairs = [] if met is None else sorted(zip(at.tolist(), met.tolist(), strict=True))
    assert pairs == wanted


def test_groups_stay_small_however_large_the_base_is():
    for values in (1, 40_000, 1_000_000, 10_000_000, 1 << 24):
        assert values >> group_bits(values) < 1 << 15
    assert group_bits(1 << 24) <= 16
