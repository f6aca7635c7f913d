"""What is written down of people whom changes name, so that the changes hold for them later.

To the submitted tokens are added what stands for the person alone: the token of person_id, and the values that nobody
else holds. So nobody goes with somebody who shares a value with them. A grant is added under person_id only: a
value that somebody else takes over later must not bring them a consent that they never gave.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import (
    CHANGE_DTYPE,
    PERSON,
    ChangeRows,
    ChangeState,
    newest,
    no_changes,
)
from cleanroom.consent.found import U32, U64, Found, all_holders, key_columns, named, values_of
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role

_RANK = ("at", "state", "until")


def bound(
    reader: PlaceReader, changes: ChangeRows, *, persons: int, found: Found | None = None
) -> ChangeRows:
    """Give what has to be written down so that changes hold for these people in later versions too.

    With person_id a person is bound once; without it, every row by the values that it alone holds.

    Args:
        reader: of the version in which people are found.
        changes: as submitted, or as recorded so far.
        persons: how many the version has.
        found: what `named` gives of them, where it is known already.

    Returns:
        Records to add to them.
    """
    if not changes.size:
        return changes
    found = found or named(reader, changes)
    erased = changes["state"] == ChangeState.ERASED
    parts = [no_changes()]
    for apart, purpose in np.unique(np.stack([erased, changes["purpose"]]), axis=1).T.tolist():
        own = (erased[found.records] == apart) & (changes["purpose"][found.records] == purpose)
        who, standing = _standing(changes, found.persons[own], found.records[own])
        if reader.has(Role.PERSON_HI):
            own &= changes["key"][found.records] == PERSON
            known = _known(
                changes, who, standing, *_standing(changes, found.persons[own], found.records[own])
            )
            who, standing = who[~known], standing[~known]
        wanted = np.zeros(persons, np.bool_)
        wanted[who] = True
        for column, holders, hi, lo in _own_values(reader, wanted):
            part = changes[standing[np.searchsorted(who, holders)]]
            part["key"], part["hi"], part["lo"], part["submitted"] = column, hi, lo, False
            parts.append(part if column == PERSON else part[part["state"] != ChangeState.GRANTED])
    made = np.concatenate(parts)
    return made[~np.isin(_bytes(made), _bytes(changes))]


def _standing(changes: ChangeRows, persons: U32, records: NDArray[np.int64]) -> tuple[U32, NDArray[np.int64]]:
    """Give each person once, ascending, with the record that stands."""
    last = newest(changes[records], persons)
    return persons[last], records[last]


def _known(
    changes: ChangeRows,
    who: U32,
    standing: NDArray[np.int64],
    before: U32,
    bound_by: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tell of whom person_id says already what stands."""
    known = np.isin(who, before)
    has = bound_by[np.searchsorted(before, who[known])]
    same = np.ones(has.size, np.bool_)
    for field in _RANK:
        same &= changes[field][standing[known]] == changes[field][has]
    known[known] = same
    return known


def _own_values(reader: PlaceReader, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, U32, U64, U64]]:
    """Give person_id, and of every key the values that only one person holds, if it is a wanted one."""
    for persons, hi, lo in values_of(reader, PERSON, wanted):
        yield PERSON, persons, hi, lo
    for column in key_columns(reader):
        parts = list(values_of(reader, column, wanted))
        if parts:
            persons, hi, lo = (np.concatenate(each) for each in zip(*parts, strict=True))
            _, values = all_holders(reader, column, np.unique(hi))
            once, times = np.unique(values, return_counts=True)
            own = np.isin(hi, once[times == 1])
            yield column, persons[own], hi[own], lo[own]


def _bytes(changes: ChangeRows) -> NDArray[np.void]:
    """Give records as plain bytes, so that those that say the same compare equal."""
    said = changes.copy()
    said["submitted"] = False
    plain: NDArray[np.void] = said.view(f"V{CHANGE_DTYPE.itemsize}")
    return plain
