"""Finding the persons of a version whose own keys are in a base."""

from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.kept import Sliced, blocks_of
from cleanroom.matching.buckets import Firsts, Positions, find_all, first_bits, make_buckets, roughly_ordered
from cleanroom.matching.slots import Grouped, group_bits, grouped, walk
from cleanroom.matching.types import U8, U64, BaseValues, BaseView, DatasetView, KeyIndex

NOT_MATCHED = 0
_VALUES_PER_TASK = 1 << 22
_VALUES_PER_PASS = 1 << 24
_ENTRIES_PER_READ = 1 << 19
_VALUES_WALKED = 1 << 18
_ENTRIES_WALKED = 1 << 17
_VALUES_GROUPED = 1 << 17
_WHOLE = 1 << 17
"""Tokens of a chunk of a sealed file."""
_ENTRIES_PER_VALUE_WALKED = 2
Meeting = tuple[NDArray[Any], Positions]
Found = tuple[NDArray[Any], U8 | None]
"""Persons who hit, and the label of what each hit; a person may stand there several times."""


@dataclass(frozen=True)
class Matches:
    """Who matched.

    Attributes:
        first_key: (persons,) the first key that hit, counted from 1; `NOT_MATCHED` where none did. None when there is
            but one key, and those who matched are few: it hit them all.
        label: (persons,) position of the first declared label among all hits; None without labels.
        few: (matched,) those who matched, ascending; None when they are not few, and are found faster by looking at
            everyone.
    """

    first_key: U8 | None
    label: U8 | None
    few: NDArray[np.uint32] | None

    def within(self, start: int, stop: int) -> Positions:
        """Return who matched among some persons, ascending, counted from the first of them."""
        if self.few is None:
            assert self.first_key is not None
            return np.flatnonzero(self.first_key[start:stop] != NOT_MATCHED)
        low, high = np.searchsorted(self.few, [start, stop])
        return self.few[low:high].astype(np.int64) - start


@dataclass(frozen=True)
class SearchSizes:
    """How much is held at once; every choice finds the same.

    Attributes:
        values: of a base searched for by one thread.
        values_read: of a base held at once while a dataset's key is read in blocks.
        entries: of a dataset's key read at once.
        entries_walked: of a dataset's key looked at together while it is walked through.
        threads: that search.
        values_walked: from so many values on a base is found by walking through the dataset's key, unless that has
            many times as many entries; a key that is read from its file is always walked through.
        persons_per_few: those who matched are listed while they are at most one in so many of all.
    """

    values: int = _VALUES_PER_TASK
    values_read: int = _VALUES_PER_PASS
    entries: int = _ENTRIES_PER_READ
    entries_walked: int = _ENTRIES_WALKED
    threads: int = 2
    values_walked: int = _VALUES_WALKED
    persons_per_few: int = 16


def find_matches(
    view: DatasetView,
    base: BaseView,
    keys: tuple[str, ...],
    *,
    labels: bool,
    pool: ThreadPoolExecutor,
    sizes: SearchSizes,
) -> Matches:
    """Match each person on its own keys; nothing of the base is consumed by a hit.

    Args:
        view: the dataset.
        base: the base, under the dataset's token key.
        keys: fewer than 255, in the order that decides the first hit; a key that a side lacks hits nobody.
        labels: also find each person's label.
        pool: where it is searched.
        sizes: how much is held at once.

    Returns:
        The matches of all persons, consented or not.
    """
    # Ten million flags for a few hundred thousand who are listed anyway: not for one key alone.
    first_key = None if len(keys) == 1 else np.zeros(view.persons, np.uint8)
    label = np.full(view.persons, 255, np.uint8) if labels else None
    few: list[NDArray[np.uint32]] | None = [np.empty(0, np.uint32)]
    room = view.persons // sizes.persons_per_few
    # All keys that lie in memory are searched at once; what one has found is taken in while others are searched.
    searches = [
        (number, _search(view.keys[name], base.keys[name], pool, sizes))
        for number, name in enumerate(keys, 1)
        if name in view.keys and name in base.keys and view.keys[name].hi.size and base.keys[name].size
    ]
    for number, search in searches:
        for persons, found in search:
            fresh = persons
            if number > 1 and first_key is not None:
                fresh = persons[first_key.take(persons, mode="clip") == NOT_MATCHED]
            room -= fresh.size
            if few is not None and room >= 0:
                few.append(fresh.astype(np.uint32))
            elif few is not None:
                if first_key is None:
                    first_key = np.zeros(view.persons, np.uint8)
                    first_key[np.concatenate(few)] = number
                few = None
            if first_key is not None:
                first_key[fresh] = number
            if label is not None and found is not None:
                _keep_first(label, persons, found, base.labels)
    return Matches(first_key, label, None if few is None else _ascending(np.concatenate(few)))


def _search(
    index: KeyIndex, wanted: BaseValues, pool: ThreadPoolExecutor, sizes: SearchSizes
) -> Iterator[Found]:
    """Take the way that reads and looks up least."""
    in_memory = isinstance(index.hi, np.ndarray)
    if wanted.size <= sizes.values_read and (
        # Whoever has to read the whole key looks at every entry anyway.
        not in_memory
        or (sizes.values_walked <= wanted.size and index.hi.size <= wanted.size * _ENTRIES_PER_VALUE_WALKED)
    ):
        return _walked(index, wanted, pool, sizes)
    return (_in_memory if in_memory else _in_blocks)(index, wanted, pool, sizes)


def _in_memory(
    index: KeyIndex, wanted: BaseValues, pool: ThreadPoolExecutor, sizes: SearchSizes
) -> Iterator[Found]:
    """Look the base's values up where their first bits point, part by part of the base."""
    hi = np.asarray(index.hi)
    buckets = index.buckets() if index.buckets else make_buckets(hi)

    def search(start: int, stop: int) -> Found:
        values, labels = wanted.part(start, stop)
        if labels is None:
            # Sorting is faster than finding out a rough order.
            values.sort()
        else:
            order = roughly_ordered(values, hi.size)
            values, labels = values.take(order, mode="clip"), labels.take(order, mode="clip")
        entries, hits = find_all(hi, buckets, values)
        persons = entries if index.person is None else index.person[: hi.size].take(entries, mode="clip")
        return persons, None if labels is None else labels[hits]

    return _mapped(pool, search, _ranges(wanted.size, sizes.values, sizes.threads))


def _walked(
    index: KeyIndex, wanted: BaseValues, pool: ThreadPoolExecutor, sizes: SearchSizes
) -> Iterator[Found]:
    """Walk through the dataset's key and the base together, group by group of first bits."""
    bits = group_bits(wanted.size)

    def group(start: int, stop: int) -> Grouped:
        return grouped(*wanted.part(start, stop), bits)

    # Grouped while still in the processor's cache; temporary arrays that stay small are not fresh memory either.
    pieces = _ranges(wanted.size, min(sizes.values, _VALUES_GROUPED), sizes.threads)
    parts = list(_mapped(pool, group, pieces))

    def search(start: int, stop: int) -> list[Found]:
        steps = range(start, stop, sizes.entries_walked)
        hits = walk(blocks_of(index.hi, start, stop, sizes.entries_walked), parts, bits=bits)
        if index.person is None:
            return [(at + first, labels) for first, (at, labels) in zip(steps, hits, strict=True)]
        holders = blocks_of(index.person, start, stop, sizes.entries_walked)
        return [
            (persons.take(at, mode="clip"), labels)
            for (at, labels), persons in zip(hits, holders, strict=True)
        ]

    size = index.hi.size
    # Every thread begins where a block does.
    share = -(-size // (sizes.threads * sizes.entries_walked)) * sizes.entries_walked
    for found in _mapped(pool, search, _ranges(size, share, 1)):
        yield from found


def _in_blocks(
    index: KeyIndex, wanted: BaseValues, pool: ThreadPoolExecutor, sizes: SearchSizes
) -> Iterator[Found]:
    """Read the dataset's key once from one end to the other, in stretches of values that the base has in memory."""
    passes = -(-wanted.size // sizes.values_read)
    bounds = [(1 << 64) * number // passes for number in range(passes + 1)]
    start = 0
    for low, high in pairwise(bounds):
        values, labels = _between(wanted, low, high - 1, pool, sizes)
        order = roughly_ordered(values, index.hi.size)
        values = values.take(order, mode="clip")
        firsts = first_bits(values, index.hi.size)
        stop = _position(index.hi, high) if high < 1 << 64 else index.hi.size

        def search(first: int, last: int, values: U64 = values, firsts: Firsts = firsts) -> Meeting:
            part = index.hi[first:last]
            ends = first_bits(part[[0, -1]], index.hi.size)
            begin = int(np.searchsorted(firsts, ends[0]))
            end = int(np.searchsorted(firsts, ends[1], side="right"))
            entries, hits = find_all(part, make_buckets(part, threads=1), values[begin:end])
            if index.person is None:
                return entries + first, hits + begin
            return index.person[first:last].take(entries, mode="clip"), hits + begin

        blocks = [range(at, min(at + sizes.entries, stop)) for at in range(start, stop, sizes.entries)]
        for persons, hits in _mapped(pool, search, blocks if values.size else []):
            yield persons, None if labels is None else labels[order[hits]]
        start = stop


def _between(
    wanted: BaseValues, low: int, high: int, pool: ThreadPoolExecutor, sizes: SearchSizes
) -> tuple[U64, U8 | None]:
    """Return the base's values of a stretch, and their labels."""

    def select(start: int, stop: int) -> tuple[U64, U8 | None]:
        values, labels = wanted.part(start, stop)
        inside = (values >= np.uint64(low)) & (values <= np.uint64(high))
        return values[inside], None if labels is None else labels[inside]

    parts = list(_mapped(pool, select, _ranges(wanted.size, sizes.values, sizes.threads)))
    labels = [found for _, found in parts if found is not None]
    return np.concatenate([found for found, _ in parts]), np.concatenate(labels) if labels else None


def _position(hi: Sliced, value: int) -> int:
    """Return where a value would stand, reading a few entries only."""
    return bisect_left(range(hi.size), value, key=lambda at: int(hi[at : at + 1][0]))


def _ranges(size: int, most: int, threads: int) -> list[range]:
    # As many for every thread, or one would wait for the other at the end.
    step = -(-size // (threads * -(-size // (threads * most))))
    if step > _WHOLE:
        # What is read in part is decrypted as a whole.
        step = -(-step // _WHOLE) * _WHOLE
    return [range(start, min(start + step, size)) for start in range(0, size, step)]


def _mapped(pool: ThreadPoolExecutor, work: Any, ranges: list[range]) -> Iterator[Any]:
    return pool.map(work, [part.start for part in ranges], [part.stop for part in ranges])


def _ascending(persons: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Sort persons and leave out who stands there again; `np.unique` takes many times as long."""
    persons.sort()
    again = persons[1:] == persons[:-1]
    return persons if not again.any() else persons[np.concatenate([[True], ~again])]


def _keep_first(label: U8, persons: NDArray[Any], found: U8, labels: int) -> None:
    # Assigned from the last declared label to the first, so that the first one stays.
    for position in range(labels - 1, -1, -1):
        holders = persons[found == position]
        label[holders] = np.minimum(label[holders], position)
