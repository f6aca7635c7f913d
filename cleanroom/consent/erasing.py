"""Erased people: whom a version still holds of them, and the sealed changes without what they said before.

What is left of an erased person are the tokens under which it was erased. They stay in the sealed segments, so that a
later load does not bring the person back.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cleanroom.consent.changes import EVERY_PURPOSE, ChangeRows, ChangeState
from cleanroom.consent.found import named
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.types import Role
from cleanroom.schema.model import NULL_INT, ConsentState, Schema

_BLOCK = 1 << 20
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]
ReadChanges = Callable[[], ChangeRows]


def erased_in(reader: PlaceReader, schema: Schema, changes: ChangeRows, *, now: int) -> tuple[U32, I64]:
    """Find erased people in a version: those named, who have given no consent since.

    A consent that was collected later, by the version's own record or by a change, is the beginning of something new.
    What is read does not depend on whether anybody is there.

    Args:
        reader: of the version.
        schema: of its dataset.
        changes: all of the dataset.
        now: microseconds since 1970; evidence from the future is none.

    Returns:
        Persons, ascending, and the instant of the latest erasure of each.
    """
    persons, instants = _latest(reader, changes[changes["state"] == ChangeState.ERASED])
    since = np.full(persons.size, NULL_INT, np.int64)
    for column, consent in enumerate(schema.consents):
        if consent.collected_at:
            collected = _collected(reader, column, persons)
            np.maximum(since, np.where(collected <= now, collected, NULL_INT), out=since)
    granted = changes[(changes["state"] == ChangeState.GRANTED) & (changes["at"] <= now)]
    again, at = _latest(reader, granted)
    _, mine, theirs = np.intersect1d(persons, again, assume_unique=True, return_indices=True)
    since[mine] = np.maximum(since[mine], at[theirs])
    gone = since <= instants
    return persons[gone], instants[gone]


def erasure_of(rows: ChangeRows) -> ChangeRows:
    """Return erasures together with the withdrawals of all consents that go with them."""
    rows = rows.copy()
    rows["purpose"], rows["state"] = EVERY_PURPOSE, ChangeState.ERASED
    withdrawn = rows.copy()
    withdrawn["state"] = ChangeState.WITHDRAWN
    return np.concatenate([withdrawn, rows])


def without_erased(changes: ChangeRows, erased: ChangeRows) -> ChangeRows:
    """Leave out what tokens said of consents before they were erased.

    Nobody's consent changes by it: the erasure's own withdrawal says no to every purpose by the same token, and later.
    Of several erasures of one token the last one stands for all. Entries of lists are no changes, and stay.

    Args:
        changes: of a segment.
        erased: the erasures of all segments.
    """
    if not erased.size or not changes.size:
        return changes
    tokens, instants = _last_of_each(erased)
    own = _tokens(changes)
    at = np.searchsorted(tokens, own)
    hits = tokens.take(at, mode="clip") == own
    until = np.full(changes.size, NULL_INT, np.int64)
    until[hits] = instants[at[hits]]
    withdrawal = (changes["state"] == ChangeState.WITHDRAWN) & (changes["purpose"] == EVERY_PURPOSE)
    last = withdrawal | (changes["state"] == ChangeState.ERASED)
    said = (changes["at"] < until) | ((changes["at"] == until) & ~last)
    left: ChangeRows = changes[~said]
    return left


def without_terms(content: bytes, used: NDArray[np.uint32]) -> bytes:
    """Blank the terms of records that are left nowhere; the others keep their lines.

    Args:
        content: as `terms.written` gave it.
        used: the lines that records still name.
    """
    lines = content.split(b"\n")[:-1]
    kept = np.zeros(len(lines), np.bool_)
    kept[used[used < len(lines)]] = True
    return b"".join(
        line + b"\n" if keep else b'{"v": 1}\n' for line, keep in zip(lines, kept.tolist(), strict=True)
    )


def _latest(reader: PlaceReader, changes: ChangeRows) -> tuple[U32, I64]:
    """Return whom changes name, ascending, each with the instant of the newest."""
    found = named(reader, changes)
    instants = changes["at"][found.records]
    order = np.lexsort((instants, found.persons))
    persons, instants = found.persons[order], instants[order]
    last = np.append(persons[1:] != persons[:-1], True)[: persons.size]
    return persons[last], instants[last]


def _collected(reader: PlaceReader, column: int, persons: U32) -> I64:
    """Read when granted consents of some people were collected, block by block, whoever is asked for."""
    found = np.full(persons.size, NULL_INT, np.int64)
    start = 0
    while True:
        stop = start + _BLOCK
        collected = reader.read_rows(Role.CONSENT_AT, column, "<i8", start, stop)
        if not collected.size:
            return found
        states = reader.read_rows(Role.CONSENT_STATE, column, "u1", start, stop)
        first, last = np.searchsorted(persons, [start, stop])
        own = persons[first:last] - np.uint32(start)
        found[first:last] = np.where(states[own] == ConsentState.GRANTED, collected[own], NULL_INT)
        start = stop


def _last_of_each(erased: ChangeRows) -> tuple[NDArray[np.void], I64]:
    """Return each token once, sorted, with the instant of its last erasure."""
    tokens = _tokens(erased)
    order = np.lexsort((erased["at"], tokens))
    tokens, instants = tokens[order], erased["at"][order]
    last = np.append(tokens[1:] != tokens[:-1], True)[: tokens.size]
    return tokens[last], instants[last]


def _tokens(changes: ChangeRows) -> NDArray[np.void]:
    """Give keys and tokens as texts of bytes, whose order is the numbers' order."""
    made = np.empty(changes.size, [("key", ">u2"), ("hi", ">u8"), ("lo", ">u8")])
    for name in ("key", "hi", "lo"):
        made[name] = changes[name]
    plain: NDArray[np.void] = made.view("S18")
    return plain
