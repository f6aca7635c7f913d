"""Whom withdrawals name in a version, and what of these people is written down so that it holds later.

A submitted identifier names all who hold it. What is added to it speaks for one person alone: the token of
person_id, and values that nobody else holds. So nobody is withdrawn by what somebody else submitted or shares.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.segments import PERSON, SEGMENT_DTYPE, U32, U64, Segment, holders, values_of
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import Role

I64 = NDArray[np.int64]


def named(reader: PlaceReader, segment: Segment) -> tuple[U32, I64]:
    """Find whom withdrawals name in a version.

    Values on the version's junk list name nobody. A value that was added names its holder only while nobody
    else holds it and the person it was added for is not in the version under its own person_id.

    Args:
        reader: of the version.
        segment: for one purpose.

    Returns:
        Persons, ascending, and the instant of the latest withdrawal of each.
    """
    segment = _without_junk(reader, segment)
    added = (segment["owner"] > 0) & (segment["key"] != PERSON)
    persons, instants = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    here = np.empty(0, np.uint32)
    # Persons first: the highest number stands for them, and they tell which added values are silent.
    for column in np.unique(segment["key"])[::-1].tolist():
        own = segment["key"] == column
        found, values = _holders(reader, column, np.unique(segment["hi"][own]))
        if column == PERSON:
            here = np.unique(segment["owner"][own & np.isin(segment["hi"], values)])
        alone = _alone(values)
        silent = np.isin(segment["owner"], here)
        for records, hits in (
            (segment[own & ~added], slice(None)),
            (segment[own & added & ~silent], alone),
        ):
            who, when = _latest(records, found[hits], values[hits])
            persons.append(who)
            instants.append(when)
    return _last_of_each(np.concatenate(persons), np.concatenate(instants))


def bound(reader: PlaceReader, segment: Segment, *, persons: int) -> Segment:
    """Give what has to be written down so that withdrawals hold for these people in later versions too.

    With person_id a person is bound once; without it, every row by the values that it alone holds.

    Args:
        reader: of the version in which people are found.
        segment: withdrawals as submitted, or as recorded so far.
        persons: how many the version has.

    Returns:
        Records to add to the segment.
    """
    parts = [np.empty(0, SEGMENT_DTYPE)]
    owners = 0
    for purpose in np.unique(segment["purpose"]).tolist():
        own = segment[segment["purpose"] == purpose]
        found, instants = named(reader, own)
        if reader.has(Role.PERSON_HI):
            before, when = named(reader, own[own["key"] == PERSON])
            known = np.isin(found, before)
            known[known] = instants[known] <= when[np.searchsorted(before, found[known])]
            found, instants = found[~known], instants[~known]
        wanted = np.zeros(persons, np.bool_)
        wanted[found] = True
        for column, who, hi, lo in _own_values(reader, wanted):
            at = np.searchsorted(found, who)
            part = np.empty(who.size, SEGMENT_DTYPE)
            part["key"], part["purpose"], part["at"] = column, purpose, instants[at]
            part["owner"] = owners + 1 + at
            part["hi"], part["lo"] = hi, lo
            parts.append(part)
        owners += found.size
    made = np.concatenate(parts)
    return made[~np.isin(_facts(made), _facts(segment))]


def joined(segments: list[Segment]) -> Segment:
    """Put segments together; the people that they were bound to stay apart."""
    parts = [np.empty(0, SEGMENT_DTYPE)]
    owners = 0
    for segment in segments:
        part = segment.copy()
        part["owner"][part["owner"] > 0] += np.uint32(owners)
        owners += int(segment["owner"].max(initial=0))
        parts.append(part)
    return np.concatenate(parts)


def _without_junk(reader: PlaceReader, segment: Segment) -> Segment:
    if not reader.has(Role.JUNK):
        return segment
    junk = reader.read(Role.JUNK, 0, JUNK_DTYPE)
    kept = np.ones(segment.size, np.bool_)
    for column in np.unique(junk["key"]).tolist():
        kept &= (segment["key"] != column) | ~np.isin(segment["hi"], junk["hi"][junk["key"] == column])
    return segment[kept]


def _holders(reader: PlaceReader, column: int, tokens: U64) -> tuple[U32, U64]:
    hits = list(holders(reader, column, tokens))
    persons = [np.empty(0, np.uint32), *(people for people, _ in hits)]
    return np.concatenate(persons), np.concatenate([np.empty(0, np.uint64), *(value for _, value in hits)])


def _alone(values: U64) -> NDArray[np.bool_]:
    """Tell which of all holders' values come once."""
    _, position, count = np.unique(values, return_inverse=True, return_counts=True)
    single: NDArray[np.bool_] = count[position] == 1
    return single


def _latest(records: Segment, persons: U32, values: U64) -> tuple[U32, I64]:
    """Give the holders of some records' tokens, each with the latest instant of its token."""
    records = records[np.lexsort((records["at"], records["hi"]))]
    last = np.append(records["hi"][1:] != records["hi"][:-1], True)[: records.size]
    tokens, instants = records["hi"][last], records["at"][last]
    hits = np.isin(values, tokens)
    return persons[hits], instants[np.searchsorted(tokens, values[hits])]


def _last_of_each(persons: U32, instants: I64) -> tuple[U32, I64]:
    order = np.lexsort((instants, persons))
    persons, instants = persons[order], instants[order]
    last = np.append(persons[1:] != persons[:-1], True)[: persons.size]
    return persons[last], instants[last]


def _own_values(reader: PlaceReader, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, U32, U64, U64]]:
    """Give person_id, and of every key the values that only one person holds, if it is a wanted one."""
    for persons, hi, lo in values_of(reader, PERSON, wanted):
        yield PERSON, persons, hi, lo
    column = 0
    while reader.has(Role.KEY_HI, column):
        parts = list(values_of(reader, column, wanted))
        if parts:
            persons, hi, lo = (np.concatenate(each) for each in zip(*parts, strict=True))
            _, values = _holders(reader, column, np.unique(hi))
            once, count = np.unique(values, return_counts=True)
            own = np.isin(hi, once[count == 1])
            yield column, persons[own], hi[own], lo[own]
        column += 1


def _facts(segment: Segment) -> NDArray[np.void]:
    """Give records without whom they were added for, so that equal ones compare equal."""
    made = np.empty(
        segment.size, [("key", ">u2"), ("purpose", ">u2"), ("at", ">i8"), ("hi", ">u8"), ("lo", ">u8")]
    )
    for name in made.dtype.names or ():
        made[name] = segment[name]
    facts: NDArray[np.void] = made.view(f"V{made.dtype.itemsize}")
    return facts
