"""The overlay of a version: for each purpose, whom changes name and what stands, by the person's position.

Found once, when a batch is taken or a version published, so that no question has to look for people by their tokens.
It is derived: what is recorded are the segments, and without an overlay they are looked through.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import EVERY_PURPOSE, ChangeRows, ChangeState, microseconds, newest
from cleanroom.consent.found import U32, Found
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import DatasetVersion, Role
from cleanroom.schema.model import NULL_INT, Consent, ConsentState, Schema

ENTRY_DTYPE = np.dtype(
    [("person", "<u4"), ("until", "<i4"), ("at", "<i8"), ("state", "u1"), ("reserved", "V3")]
)
"""What stands for one person, by position in the version: as a change has it. Sorted by person, each once."""
Entries = NDArray[np.void]
NO_ENTRIES = np.empty(0, ENTRY_DTYPE)
_BLOCK = 1 << 22
_AS_OF_THE_LOAD = (ConsentState.DENIED, ConsentState.WITHDRAWN)


def overlay_of(
    reader: PlaceReader, changes: ChangeRows, found: Found, schema: Schema, version: DatasetVersion
) -> dict[int, Entries]:
    """Make the overlays of every purpose that changes are about.

    Args:
        reader: of the version.
        changes: any.
        found: whom they name in it.
        schema: of the dataset.
        version: which.

    Returns:
        Entries by the purpose's position.
    """
    about = set(np.unique(changes["purpose"]).tolist())
    return {
        column: entries_of(
            reader,
            changes,
            found,
            column=column,
            consent=consent,
            persons=version.persons,
            loaded_at=microseconds(version.created_at),
        )
        for column, consent in enumerate(schema.consents)
        if about & {column, EVERY_PURPOSE}
    }


def entries_of(
    reader: PlaceReader,
    changes: ChangeRows,
    found: Found,
    *,
    column: int,
    consent: Consent,
    persons: int,
    loaded_at: int,
) -> Entries:
    """Make the overlay of one purpose: what stands for each person found, unless the version's own record is newer.

    A version's consent is as old as its evidence; without any it is older than everything. What it says against
    counting somebody, a denial or a withdrawal, it says as of its load: no file tells when that was, and an earlier
    consent must not outlive it.

    Args:
        reader: of the version.
        changes: any.
        found: whom they name in it.
        column: the purpose's position in the schema.
        consent: its declaration.
        persons: how many the version has.
        loaded_at: when its load began, in microseconds since 1970.
    """
    purposes = changes["purpose"][found.records]
    own = (purposes == column) | (purposes == EVERY_PURPOSE)
    # It holds nobody back, and would be read with every question.
    own &= changes["state"][found.records] != ChangeState.ERASED
    records = changes[found.records[own]]
    entries = np.zeros(records.size, ENTRY_DTYPE)
    entries["person"] = found.persons[own]
    for field in ("until", "at", "state"):
        entries[field] = records[field]
    entries = standing(entries)
    kept = np.ones(entries.size, np.bool_)
    for start in range(0, persons, _BLOCK):
        stop = min(start + _BLOCK, persons)
        first, last = np.searchsorted(entries["person"], [start, stop])
        part = entries[first:last]
        at = part["person"] - np.uint32(start)
        # Read for nobody too: what is read must not tell whether somebody was found.
        states = reader.read_rows(Role.CONSENT_STATE, column, "u1", start, stop)[at]
        since = np.where(np.isin(states, _AS_OF_THE_LOAD), loaded_at, NULL_INT)
        if consent.collected_at:
            collected = reader.read_rows(Role.CONSENT_AT, column, "<i8", start, stop)[at]
            since = np.where(states == ConsentState.GRANTED, collected, since)
        strict = part["state"] != ChangeState.GRANTED
        kept[first:last] = (part["at"] > since) | ((part["at"] == since) & strict)
    return entries[kept]


def standing(entries: Entries) -> Entries:
    """Keep what stands for each person, sorted."""
    return entries[newest(entries, entries["person"])]


def laid_over(full: Entries, later: Sequence[Entries]) -> Entries:
    """Merge overlays of one purpose into one that holds them all.

    Args:
        full: sorted, each person once.
        later: of the batches since.
    """
    fresh = touched([full], np.concatenate([NO_ENTRIES, *later]))
    kept = np.ones(full.size, np.bool_)
    kept[_found_in(full["person"], fresh["person"])] = False
    both = np.concatenate([full[kept], fresh])
    # Two sorted runs, which a stable sort only merges.
    return both[np.argsort(both["person"], kind="stable")]


def touched(earlier: Sequence[Entries], own: Entries) -> Entries:
    """Give what stands for those alone who are in a batch's overlay, whatever the overlays before it say.

    So a question lays one overlay after the other, and compares nothing.

    Args:
        earlier: each sorted, each person once.
        own: the batch's.
    """
    wanted = np.unique(own["person"])
    return standing(np.concatenate([*(each[_found_in(each["person"], wanted)] for each in earlier), own]))


def _found_in(persons: U32, wanted: U32) -> NDArray[np.int64]:
    """Return where the wanted ones stand among sorted persons, as far as they are there."""
    at = np.searchsorted(persons, wanted)
    return at[persons.take(at, mode="clip") == wanted] if persons.size else at[:0]
