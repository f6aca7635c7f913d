"""Whom changes name in a version: all who hold a token. What is read never depends on whether anybody does."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import PERSON, ChangeRows, ChangeState, newest
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.holders import read_holders
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import Role

_BLOCK = 1 << 22
U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Who is named by which record; several records may name one person, and one record several persons.

    Attributes:
        persons: by position in the version.
        records: for each, the position of a record that names it.
    """

    persons: U32
    records: I64


def named(reader: PlaceReader, changes: ChangeRows) -> Found:
    """Find whom changes name in a version: all who hold a token, unless it is on the version's junk list.

    With the lists held fixed, whether somebody is named depends on that person's own values alone. Every column is
    read, whichever the changes are about: a found person has tokens in more of them than one who is not there,
    and how long it takes must not tell.

    Args:
        reader: of the version.
        changes: for any purposes.
    """
    kept = np.flatnonzero(_not_junk(reader, changes))
    first = kept[_strongest(changes[kept])]
    persons, records = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    for column in (PERSON, *key_columns(reader)):
        own = first[changes["key"][first] == column]
        own = own[np.argsort(changes["hi"][own], kind="stable")]
        tokens, starts, times = np.unique(changes["hi"][own], return_index=True, return_counts=True)
        who, values = all_holders(reader, column, tokens)
        at = np.searchsorted(tokens, values)
        persons.append(np.repeat(who, times[at]))
        records.append(own[_ranges(starts[at], times[at])])
    return Found(np.concatenate(persons), np.concatenate(records))


def _strongest(changes: ChangeRows) -> I64:
    """Keep, of what one token says about one purpose, what stands; and apart from it, that it was erased."""
    erased = changes["state"] == ChangeState.ERASED
    return newest(changes, erased, changes["purpose"], changes["hi"], changes["key"])


def _ranges(starts: I64, times: I64) -> I64:
    """Return `start, start + 1, ...` for each start, as often as told."""
    ends = np.cumsum(times)
    ranges: I64 = np.arange(ends[-1] if ends.size else 0) + np.repeat(starts - (ends - times), times)
    return ranges


def _not_junk(reader: PlaceReader, changes: ChangeRows) -> NDArray[np.bool_]:
    kept = np.ones(changes.size, np.bool_)
    if reader.has(Role.JUNK):
        junk = reader.read(Role.JUNK, 0, JUNK_DTYPE)
        for column in np.unique(junk["key"]).tolist():
            kept &= (changes["key"] != column) | ~np.isin(changes["hi"], junk["hi"][junk["key"] == column])
    return kept


def all_holders(reader: PlaceReader, column: int, tokens: U64) -> tuple[U32, U64]:
    """Give all holders of some values, and the first half of the value that each holds."""
    hits = list(holders(reader, column, tokens))
    persons = [np.empty(0, np.uint32), *(people for people, _ in hits)]
    return np.concatenate(persons), np.concatenate([np.empty(0, np.uint64), *(value for _, value in hits)])


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


def key_columns(reader: PlaceReader) -> Iterator[int]:
    """Give the positions of a version's match keys."""
    return takewhile(lambda column: reader.has(Role.KEY_HI, column), count())
