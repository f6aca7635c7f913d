"""Bars: who is left out whatever they consented to, as entries of a list and the tokens that stand for them.

An entry has a number and names people by one token. To it are added, for each person found, what stands for that
person alone, as withdrawals do (ADR 5); every added token carries its entry's number. So what bars somebody ends with
the entry, and with nothing else: who is on a list twice stays there until both entries are lifted.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import PERSON
from cleanroom.consent.found import U32, U64, holders, key_columns, values_of
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import Role

BAR_DTYPE = np.dtype([("number", "<u8"), ("key", "<u2"), ("lifted", "<u2"), ("hi", "<u8"), ("lo", "<u8")])
"""One token of an entry; or, lifted, the end of an entry, which then names no token."""
Bars = NDArray[np.void]


def no_bars() -> Bars:
    """Return no records at all."""
    return np.empty(0, BAR_DTYPE)


def lifts(numbers: U64) -> Bars:
    """Return records that end entries."""
    made = np.zeros(numbers.size, BAR_DTYPE)
    made["number"], made["lifted"] = numbers, 1
    return made


def in_force(segments: Sequence[Bars]) -> Bars:
    """Return the tokens of entries that nobody has lifted."""
    bars: Bars = np.concatenate([no_bars(), *segments])
    lifted = bars["lifted"] == 1
    force: Bars = bars[~lifted & ~np.isin(bars["number"], bars["number"][lifted])]
    return force


def barred(reader: PlaceReader, bars: Bars) -> U32:
    """Find who is barred in a version.

    Args:
        reader: of the version.
        bars: in force.

    Returns:
        Persons, ascending, each once.
    """
    persons, _ = barred_by(reader, bars)
    return np.unique(persons)


def barred_by(reader: PlaceReader, bars: Bars) -> tuple[U32, U64]:
    """Find whom entries name in a version, and which; what it reads does not depend on who is found.

    A token names all who hold it, unless it is on the version's junk list.

    Args:
        reader: of the version.
        bars: in force.

    Returns:
        Persons and numbers of entries, in pairs, each once.
    """
    bars = _without_junk(reader, bars)
    who, which = [np.empty(0, np.uint32)], [np.empty(0, np.uint64)]
    for column in (PERSON, *key_columns(reader)):
        own = bars[bars["key"] == column]
        own = own[np.argsort(own["hi"], kind="stable")]
        for persons, values in holders(reader, column, np.unique(own["hi"])):
            found, at = _joined(values, own["hi"])
            who.append(persons[found])
            which.append(own["number"][at])
    return _pairs(np.concatenate(who), np.concatenate(which))


def bound(reader: PlaceReader, bars: Bars, *, persons: int) -> Bars:
    """Give what has to be written down so that entries hold for these people in later versions too.

    With person_id a person is bound once for each entry; without it, every row by the values that it alone holds.

    Args:
        reader: of the version in which people are found.
        bars: in force, as submitted or as recorded so far.
        persons: how many the version has.

    Returns:
        Records to add to them.
    """
    who, which = barred_by(reader, bars)
    if reader.has(Role.PERSON_HI):
        known = _pair_bytes(*barred_by(reader, bars[bars["key"] == PERSON]))
        fresh = ~np.isin(_pair_bytes(who, which), known)
        who, which = who[fresh], which[fresh]
    wanted = np.zeros(persons, np.bool_)
    wanted[who] = True
    parts = [no_bars()]
    for column in (PERSON, *key_columns(reader)):
        owners, hi, lo = _own_values(reader, column, wanted)
        found, at = _joined(owners, who)
        part = np.zeros(found.size, BAR_DTYPE)
        part["number"], part["key"], part["hi"], part["lo"] = which[at], column, hi[found], lo[found]
        parts.append(part)
    made = np.unique(np.concatenate(parts))
    return made[~np.isin(_bytes(made), _bytes(bars))]


def _without_junk(reader: PlaceReader, bars: Bars) -> Bars:
    if not reader.has(Role.JUNK):
        return bars
    junk = reader.read(Role.JUNK, 0, JUNK_DTYPE)
    kept = np.ones(bars.size, np.bool_)
    for column in np.unique(junk["key"]).tolist():
        kept &= (bars["key"] != column) | ~np.isin(bars["hi"], junk["hi"][junk["key"] == column])
    return bars[kept]


def _own_values(reader: PlaceReader, column: int, wanted: NDArray[np.bool_]) -> tuple[U32, U64, U64]:
    """Give the values of a key, or person_id, that only one person holds, if it is a wanted one."""
    parts = list(values_of(reader, column, wanted))
    if not parts:
        return np.empty(0, np.uint32), np.empty(0, np.uint64), np.empty(0, np.uint64)
    persons, hi, lo = (np.concatenate(each) for each in zip(*parts, strict=True))
    if column == PERSON:
        return persons, hi, lo
    held = [values for _, values in holders(reader, column, np.unique(hi))]
    values, times = np.unique(np.concatenate([np.empty(0, np.uint64), *held]), return_counts=True)
    alone = np.isin(hi, values[times == 1])
    return persons[alone], hi[alone], lo[alone]


def _joined(
    left: NDArray[np.unsignedinteger], right: NDArray[np.unsignedinteger]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the positions of equal values in both; the right ones are sorted."""
    first = np.searchsorted(right, left, side="left")
    times = np.searchsorted(right, left, side="right") - first
    found = np.repeat(np.arange(left.size), times)
    starts = np.repeat(first - (np.cumsum(times) - times), times)
    return found, starts + np.arange(found.size)


def _pairs(persons: U32, numbers: U64) -> tuple[U32, U64]:
    order = np.lexsort((numbers, persons))
    persons, numbers = persons[order], numbers[order]
    new = np.ones(persons.size, np.bool_)
    new[1:] = (persons[1:] != persons[:-1]) | (numbers[1:] != numbers[:-1])
    return persons[new], numbers[new]


def _pair_bytes(persons: U32, numbers: U64) -> NDArray[np.void]:
    pairs = np.empty(persons.size, np.dtype([("person", "<u4"), ("number", "<u8")]))
    pairs["person"], pairs["number"] = persons, numbers
    plain: NDArray[np.void] = pairs.view(f"V{pairs.dtype.itemsize}")
    return plain


def _bytes(bars: Bars) -> NDArray[np.void]:
    """Give records as plain bytes, so that equal ones compare equal."""
    plain: NDArray[np.void] = np.ascontiguousarray(bars).view(f"V{BAR_DTYPE.itemsize}")
    return plain
