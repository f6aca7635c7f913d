"""Faults in who is one person."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.ingestion import merging
from cleanroom.matching import local
from cleanroom.matching.search import NOT_MATCHED, Matches
from cleanroom.matching.types import DatasetView
from cleanroom.redteam.plants.registry import plant, swapped


@plant("Every row counts as a person, whatever its person_id.")
def rows_counted_as_persons() -> Iterator[None]:
    """Begin a person at every row."""

    def faulty(hi: NDArray[np.uint64], _lo: NDArray[np.uint64]) -> NDArray[np.int64]:
        return np.arange(hi.size)

    with swapped(merging, "starts_of", lambda _sound: faulty):
        yield


@plant("People who share a key value are fused into one, so that one person can fuse others.")
def rows_fused_by_keys() -> Iterator[None]:
    """Count one of all who are joined by shared values."""

    def make(sound: Callable[..., Matches]) -> Callable[..., Matches]:
        def faulty(view: DatasetView, *how: Any, **more: Any) -> Matches:
            matches = sound(view, *how, **more)
            first = _first_of_their_kind(view)
            keys = matches.first_key
            if keys is None:
                keys = np.zeros(view.persons, np.uint8)
                keys[matches.within(0, view.persons)] = 1
            kept = np.where(first == np.arange(view.persons), keys, NOT_MATCHED)
            return replace(matches, first_key=kept.astype(np.uint8), few=None)

        return faulty

    with swapped(local, "find_matches", make):
        yield


def _first_of_their_kind(view: DatasetView) -> NDArray[np.int64]:
    """Return, for every person, the lowest number of all who are joined with it by shared values."""
    lowest = np.arange(view.persons)
    while True:
        before = lowest.copy()
        for index in view.keys.values():
            hi = index.hi[: index.hi.size]
            person = np.arange(hi.size) if index.person is None else index.person[: hi.size]
            starts = np.flatnonzero(np.append(True, hi[1:] != hi[:-1]))[: hi.size]
            if starts.size:
                shared = np.minimum.reduceat(lowest[person], starts)
                owner = np.repeat(shared, np.diff(np.append(starts, hi.size)))
                np.minimum.at(lowest, person, owner)
        if (lowest == before).all():
            return lowest
