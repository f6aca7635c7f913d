"""Sealed batches of withdrawals: tokens of people, what they withdrew, and when."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.holders import read_holders
from cleanroom.datasets.types import Role

WITHDRAWAL_DTYPE = np.dtype([("key", "<u2"), ("purpose", "<u2"), ("at", "<i8"), ("hi", "<u8"), ("lo", "<u8")])
"""One withdrawal by one token."""
EVERY_PURPOSE = 0xFFFF
PERSON = 0xFFFF
"""In place of a key's position: the token is of person_id."""

_BLOCK = 1 << 22
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WithdrawalRows = NDArray[np.void]
U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]


def microseconds(instant: datetime) -> int:
    """Return microseconds since 1970, as consent columns and withdrawals store instants."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def holders(reader: PlaceReader, column: int, tokens: U64) -> Iterator[tuple[U32, U64]]:
    """Find who holds some values, block by block; what it reads does not depend on whether anybody does.

    Args:
        reader: of a version.
        column: the key's position in the schema, or `PERSON`.
        tokens: first halves, sorted ascending.

    Yields:
        Persons, and the first half of the value that each holds.
    """
    role = Role.PERSON_HI if column == PERSON else Role.KEY_HI
    if not reader.has(role, 0 if column == PERSON else column):
        return
    start = 0
    while True:
        stop = start + _BLOCK
        hi = reader.read_rows(role, 0 if column == PERSON else column, "<u8", start, stop)
        if not hi.size:
            return
        at = np.searchsorted(tokens, hi)
        hits = np.flatnonzero(tokens.take(at, mode="clip") == hi) if tokens.size else at[:0]
        if column == PERSON:
            persons = (hits + start).astype(np.uint32)
        else:
            persons = read_holders(reader, column, start, stop)[hits]
        yield persons, hi[hits]
        start = stop


def values_of(reader: PlaceReader, column: int, wanted: NDArray[np.bool_]) -> Iterator[tuple[U32, U64, U64]]:
    """Give all values of a key that some persons hold, block by block: persons, first and second halves.

    What it reads does not depend on whether anybody is wanted.

    Args:
        reader: of a version.
        column: the key's position in the schema, or `PERSON`.
        wanted: (persons,) whose values.
    """
    if column == PERSON:
        persons = np.flatnonzero(wanted).astype(np.uint32)
        if reader.has(Role.PERSON_HI):
            hi = reader.read(Role.PERSON_HI, 0, "<u8")[persons]
            yield persons, hi, reader.read(Role.PERSON_LO, 0, "<u8")[persons]
        return
    start = 0
    while True:
        stop = start + _BLOCK
        persons = read_holders(reader, column, start, stop)
        if not persons.size:
            return
        hits = np.flatnonzero(wanted[persons])
        hi = reader.read_rows(Role.KEY_HI, column, "<u8", start, stop)[hits]
        yield persons[hits], hi, reader.read_rows(Role.KEY_LO, column, "<u8", start, stop)[hits]
        start = stop
