"""Sealed segments of changes: tokens of people, what became of a consent, when, and where the record's terms stand.

A segment is a file of `CHANGE_DTYPE` under `Role.CHANGES`. Rooms of before have segments of withdrawals alone, under
`Role.WITHDRAWALS`; they are read as changes. The role is bound into every sealed chunk: neither can pass for the other.
"""

from datetime import UTC, datetime, timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.padding import without_padding
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_DATE

CHANGE_DTYPE = np.dtype(
    [
        ("key", "<u2"),
        ("purpose", "<u2"),
        ("until", "<i4"),
        ("at", "<i8"),
        ("hi", "<u8"),
        ("lo", "<u8"),
        ("epoch", "<u4"),
        ("detail", "<u4"),
        ("state", "u1"),
        ("submitted", "u1"),
        ("reserved", "V2"),
    ]
)
"""One change by one token: the key's position, the purpose's, the last day it holds (days since 1970), the instant in
microseconds since 1970 (of a grant: of its collection), the token, the epoch and line of its terms, the state,
and whether it came in like this or was bound to whom a record found."""
WITHDRAWAL_DTYPE = np.dtype([("key", "<u2"), ("purpose", "<u2"), ("at", "<i8"), ("hi", "<u8"), ("lo", "<u8")])
"""The first format: a withdrawal by one token."""
EVERY_PURPOSE = 0xFFFF
PERSON = 0xFFFF
"""In place of a key's position: the token is of person_id."""
NO_DETAIL = 0xFFFFFFFF

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ChangeRows = NDArray[np.void]
I64 = NDArray[np.int64]


class ChangeState(IntEnum):
    """What a change says; the first five are the states of a consent, stricter ones higher.

    That somebody was erased is none: it neither beats a consent nor is beaten by one, and is weighed apart. It holds
    nobody back by itself: a withdrawal goes with it.
    """

    GRANTED = 0
    PENDING = 1
    EXPIRED = 2
    DENIED = 3
    WITHDRAWN = 4
    ERASED = 24


def microseconds(instant: datetime) -> int:
    """Return microseconds since 1970, as consent columns and changes store instants."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def no_changes(size: int = 0) -> ChangeRows:
    """Return records to be filled in: zeros, without an end and without terms."""
    rows = np.zeros(size, CHANGE_DTYPE)
    rows["until"], rows["detail"] = NULL_DATE, NO_DETAIL
    return rows


def dated(changes: ChangeRows, epoch: int) -> ChangeRows:
    """Name the epoch in records that were just submitted; those bound anew keep the one they came with."""
    changes = changes.copy()
    changes["epoch"][changes["epoch"] == 0] = epoch
    return changes


def from_withdrawals(withdrawals: ChangeRows, *, epoch: int) -> ChangeRows:
    """Read the first format as changes."""
    rows = no_changes(withdrawals.size)
    for field in ("key", "purpose", "at", "hi", "lo"):
        rows[field] = withdrawals[field]
    rows["state"], rows["epoch"] = ChangeState.WITHDRAWN, epoch
    return rows


def read_changes(segment: PlaceReader, *, epoch: int = 0) -> ChangeRows:
    """Read a segment of either format, without what fills it up.

    Args:
        segment: of an epoch.
        epoch: its number, which the first format does not hold.
    """
    if segment.has(Role.CHANGES):
        return without_padding(segment.read(Role.CHANGES, 0, CHANGE_DTYPE))
    return from_withdrawals(segment.read(Role.WITHDRAWALS, 0, WITHDRAWAL_DTYPE), epoch=epoch)


def newest(rows: NDArray[np.void], *groups: NDArray[np.generic]) -> I64:
    """Find the record that stands in each group: the newest; of equally old ones the strictest, then the shortest.

    Args:
        rows: with `at`, `state` and `until`.
        groups: what is grouped by, the most significant last; each as long as `rows`.

    Returns:
        Positions, in the order of the groups.
    """
    if not rows.size:
        return np.empty(0, np.int64)
    until = rows["until"].astype(np.int64)
    until[until == NULL_DATE] = np.iinfo(np.int32).max
    order = np.lexsort((-until, rows["state"], rows["at"], *groups))
    last = np.zeros(order.size, np.bool_)
    last[-1] = True
    for group in groups:
        sorted_ = group[order]
        last[:-1] |= sorted_[1:] != sorted_[:-1]
    return order[last]
