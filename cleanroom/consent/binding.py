"""Whom withdrawals name in a version, and what of these people is written down so that it holds later.

A token names all who hold it. To those submitted are added what stands for the person alone: the token of
person_id, and the values that nobody else holds. So nobody goes with somebody who shares a value with them.
"""

from collections.abc import Iterator
from itertools import count, takewhile

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.withdrawals import (
    PERSON,
    U32,
    U64,
    WITHDRAWAL_DTYPE,
    WithdrawalRows,
    holders,
    values_of,
)
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.types import Role

I64 = NDArray[np.int64]


def named(reader: PlaceReader, withdrawals: WithdrawalRows) -> tuple[U32, I64]:
    """Find whom withdrawals name in a version: all who hold a token, unless it is on the version's junk list.

    With the lists held fixed, whether somebody is named depends on that person's own values alone. Every column is
    read, whichever the withdrawals are about: a found person has tokens in more of them than one who is not there,
    and how long it takes must not tell.

    Args:
        reader: of the version.
        withdrawals: for one purpose.

    Returns:
        Persons, ascending, and the instant of the latest withdrawal of each.
    """
    withdrawals = _without_junk(reader, withdrawals)
    persons, instants = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    for column in (PERSON, *_key_columns(reader)):
        records = withdrawals[withdrawals["key"] == column]
        who, when = _latest(records, *_holders(reader, column, np.unique(records["hi"])))
        persons.append(who)
        instants.append(when)
    return _last_of_each(np.concatenate(persons), np.concatenate(instants))


def bound(reader: PlaceReader, withdrawals: WithdrawalRows, *, persons: int) -> WithdrawalRows:
    """Give what has to be written down so that withdrawals hold for these people in later versions too.

    With person_id a person is bound once; without it, every row by the values that it alone holds.

    Args:
        reader: of the version in which people are found.
        withdrawals: as submitted, or as recorded so far.
        persons: how many the version has.

    Returns:
        Records to add to them.
    """
    parts = [np.empty(0, WITHDRAWAL_DTYPE)]
    for purpose in np.unique(withdrawals["purpose"]).tolist():
        own = withdrawals[withdrawals["purpose"] == purpose]
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
            part = np.empty(who.size, WITHDRAWAL_DTYPE)
            part["key"], part["purpose"], part["at"] = column, purpose, instants[at]
            part["hi"], part["lo"] = hi, lo
            parts.append(part)
    made = np.concatenate(parts)
    return made[~np.isin(_bytes(made), _bytes(withdrawals))]


def _without_junk(reader: PlaceReader, withdrawals: WithdrawalRows) -> WithdrawalRows:
    if not reader.has(Role.JUNK):
        return withdrawals
    junk = reader.read(Role.JUNK, 0, JUNK_DTYPE)
    kept = np.ones(withdrawals.size, np.bool_)
    for column in np.unique(junk["key"]).tolist():
        kept &= (withdrawals["key"] != column) | ~np.isin(
            withdrawals["hi"], junk["hi"][junk["key"] == column]
        )
    return withdrawals[kept]


def _holders(reader: PlaceReader, column: int, tokens: U64) -> tuple[U32, U64]:
    hits = list(holders(reader, column, tokens))
    persons = [np.empty(0, np.uint32), *(people for people, _ in hits)]
    return np.concatenate(persons), np.concatenate([np.empty(0, np.uint64), *(value for _, value in hits)])


def _latest(records: WithdrawalRows, persons: U32, values: U64) -> tuple[U32, I64]:
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
    for column in _key_columns(reader):
        parts = list(values_of(reader, column, wanted))
        if parts:
            persons, hi, lo = (np.concatenate(each) for each in zip(*parts, strict=True))
            _, values = _holders(reader, column, np.unique(hi))
            once, times = np.unique(values, return_counts=True)
            own = np.isin(hi, once[times == 1])
            yield column, persons[own], hi[own], lo[own]


def _key_columns(reader: PlaceReader) -> Iterator[int]:
    return takewhile(lambda column: reader.has(Role.KEY_HI, column), count())


def _bytes(withdrawals: WithdrawalRows) -> NDArray[np.void]:
    """Give records as plain bytes, so that equal ones compare equal."""
    plain: NDArray[np.void] = withdrawals.view(f"V{WITHDRAWAL_DTYPE.itemsize}")
    return plain
