"""Finding the persons of a version whose own keys are in a base."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.types import U8, U64, BaseView, DatasetView, KeyIndex

BLOCK = 131_072
"""Searches at once: small enough for the caches, large enough that threads rarely meet in the interpreter."""
NOT_MATCHED = 255
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """Who matched.

    Attributes:
        first_key: (persons,) position of the first key that hit, `NOT_MATCHED` where none did.
        label: (persons,) position of the first declared label among all hits; None without labels.
    """

    first_key: U8
    label: U8 | None


def find_matches(
    view: DatasetView, base: BaseView, keys: tuple[str, ...], *, labels: bool, pool: ThreadPoolExecutor
) -> Matches:
    """Match each person on its own keys; nothing of the base is consumed by a hit.

    Args:
        view: the dataset.
        base: the base, under the dataset's token key.
        keys: fewer than 255, in the order that decides the first hit; a key that a side lacks hits nobody.
        labels: also find each person's label.
        pool: where the blocks are searched.

    Returns:
        The matches of all persons, consented or not.
    """
    first_key = np.full(view.persons, NOT_MATCHED, np.uint8)
    label = np.full(view.persons, NOT_MATCHED, np.uint8) if labels else None
    for position, name in enumerate(keys):
        if name not in view.keys or name not in base.keys:
            continue
        index, wanted = view.keys[name], base.keys[name]
        blocks = range(0, wanted.hi.size if index.hi.size else 0, BLOCK)
        found = pool.map(_search, repeat(index), repeat(wanted.hi), blocks)
        for entries, values in found:
            persons = index.person[entries]
            fresh = persons[first_key[persons] == NOT_MATCHED]
            first_key[fresh] = position
            if label is not None and wanted.label is not None:
                _keep_first(label, persons, wanted.label[values], base.labels)
    return Matches(first_key, label)


def _search(index: KeyIndex, wanted: U64, start: int) -> tuple[Positions, Positions]:
    """Return the entries that equal a value of one block of the sorted values, and that value's position."""
    block = wanted[start : start + BLOCK]
    low = int(np.searchsorted(index.hi, block[0]))
    high = int(np.searchsorted(index.hi, block[-1], side="right"))
    part = index.hi[low:high]
    if not part.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if part.size < block.size:
        # A base larger than the dataset: its values are distinct, so each entry has at most one.
        at = np.searchsorted(block, part)
        entries = np.flatnonzero(block.take(at, mode="clip") == part)
        return entries + low, at[entries] + start
    at = np.searchsorted(part, block)
    values = np.flatnonzero(part.take(at, mode="clip") == block)
    entries = at[values]
    all_entries, all_values = [entries], [values]
    while entries.size:
        # A value's holders stand next to each other; few values have a second one.
        following = entries + 1
        same = part.take(following, mode="clip") == part[entries]
        same &= following < part.size
        entries, values = following[same], values[same]
        all_entries.append(entries)
        all_values.append(values)
    return np.concatenate(all_entries) + low, np.concatenate(all_values) + start


def _keep_first(label: U8, persons: NDArray[np.uint32], found: U8, labels: int) -> None:
    # Assigned from the last declared label to the first, so that the first one stays.
    for position in range(labels - 1, -1, -1):
        holders = persons[found == position]
        label[holders] = np.minimum(label[holders], position)
