"""Rows of one person become one person: last row wins, sums add, the strictest consent wins, keys unite."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.tokens import starts_of
from cleanroom.ingestion.records import OP_DELETE, OP_EARLIER, OP_UPSERT, VALUE_DTYPE, RecordLayout
from cleanroom.ingestion.spool import Records, pick
from cleanroom.schema.model import NULL_INT

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
_SUM_LIMIT = 1 << 62


@dataclass(frozen=True)
class Merged:
    """Persons, and the holders of each key.

    Attributes:
        persons: numbered from `first_seq` in `seq`.
        values: for each key, one record for each column of each row; the same value may come twice.
    """

    persons: Records
    values: tuple[Records, ...]


def merge_rows(rows: Records, layout: RecordLayout, *, first_seq: int) -> Merged:
    """Merge rows by person.

    A person's deletion undoes what precedes it; rows of a delta replace the person's earlier version. The
    consent of a person with several rows is their strictest; the instant of collection is the latest among
    the rows of that state, the last day of validity the earliest of all.

    Args:
        rows: of `layout.row_dtype`, all rows of each person among them, in the order of the file.
        layout: of the dataset's schema; without person_id each row is a person.
        first_seq: the number of the first person.

    Returns:
        The persons in no particular order.
    """
    if layout.person:
        rows = pick(rows, sort_order(rows["person_hi"], rows["person_lo"]))
        rows, starts = _effective(rows, starts_of(rows["person_hi"], rows["person_lo"]))
    else:
        starts = np.arange(rows.size)
    persons = _persons(rows, starts, layout)
    persons["seq"] = np.arange(first_seq, first_seq + starts.size, dtype=np.uint32)
    owner = _owners(rows.size, starts) + np.uint32(first_seq)
    persons["rank"], persons["primary"] = len(layout.keys), 0
    values = []
    for index in range(len(layout.keys)):
        tokens = rows[f"k{index}"]
        held = _held(tokens)
        values.append(_values(tokens, held, owner))
        _set_primary(persons, index, tokens[:, :, 0], held, starts)
    return Merged(persons, tuple(values))


def sort_order(hi: U64, lo: U64 | None = None) -> I64:
    """Return the order that sorts by (hi, lo) and, among equals, by position.

    Tokens are spread evenly, so the 32 bits after those that all share almost decide it. Two passes of a radix sort
    order by these, five times as fast as sorting the numbers; the few that still stand wrong are sorted once more.

    Args:
        hi: first halves.
        lo: second halves; None sorts by the first alone.
    """
    if hi.size < 2:
        return np.arange(hi.size)
    hi = np.ascontiguousarray(hi)
    shared = 64 - int(hi.max() ^ hi.min()).bit_length()
    prefix = ((hi << np.uint64(min(shared, 63))) >> np.uint64(32)).astype(np.uint32)
    # Stable sorting of 16 bits is a radix sort.
    order = np.argsort(prefix.astype(np.uint16), kind="stable")
    order = order.take(np.argsort((prefix >> np.uint32(16)).astype(np.uint16).take(order), kind="stable"))
    first = hi.take(order)
    wrong = first[1:] < first[:-1]
    if lo is not None:
        same = first[1:] == first[:-1]
        if same.any():
            second = lo.take(order)
            wrong |= same & (second[1:] < second[:-1])
    if wrong.any():
        at = _runs_around(prefix.take(order), np.flatnonzero(wrong))
        part = order[at]
        second = np.zeros(part.size, np.uint64) if lo is None else lo[part]
        order[at] = part[np.lexsort((part, second, hi[part], prefix[part]))]
    return order


def _runs_around(ascending: NDArray[np.uint32], positions: I64) -> I64:
    """Return every position whose value is that of one of some positions."""
    values = np.unique(ascending[positions])
    first = np.searchsorted(ascending, values)
    sizes = np.searchsorted(ascending, values, side="right") - first
    inside: I64 = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    inside += np.repeat(first, sizes)
    return inside


def _effective(rows: Records, starts: I64) -> tuple[Records, I64]:
    """Leave out deletions, what they undo, and earlier rows that newer ones replace."""
    ops = rows["op"]
    if not rows.size or (ops == OP_UPSERT).all():
        return rows, starts
    owner = _owners(rows.size, starts)
    position = np.arange(rows.size)
    undone = np.maximum.reduceat(np.where(ops == OP_DELETE, position, -1), starts)
    replaced = np.maximum.reduceat((ops == OP_UPSERT).astype(np.uint8), starts).astype(np.bool_)
    kept = (position > undone[owner]) & ~((ops == OP_EARLIER) & replaced[owner])
    rows = pick(rows, np.flatnonzero(kept))
    return rows, starts_of(rows["person_hi"], rows["person_lo"])


def _owners(rows: int, starts: I64) -> NDArray[np.uint32]:
    """Return for each row which person, counted from 0, it belongs to."""
    if starts.size == rows:
        return np.arange(rows, dtype=np.uint32)
    marks = np.zeros(rows, np.uint32)
    marks[starts[1:]] = 1
    return np.cumsum(marks, dtype=np.uint32)


def _persons(rows: Records, starts: I64, layout: RecordLayout) -> Records:
    persons = np.empty(starts.size, layout.person_dtype)
    single = starts.size == rows.size
    last = rows if single else pick(rows, np.append(starts[1:], rows.size) - 1)
    for name, _, _ in layout.payload:
        persons[name] = last[name]
    if single:
        return persons
    for index, attribute in enumerate(layout.attributes):
        if attribute.aggregate == "sum":
            persons[f"a{index}"] = _sums(rows[f"a{index}"], starts)
    for index, consent in enumerate(layout.consents):
        states = rows[f"c{index}"]
        strictest = np.maximum.reduceat(states, starts)
        persons[f"c{index}"] = strictest
        if consent.has_at:
            instants = rows[f"ca{index}"].copy()
            instants[states != strictest[_owners(rows.size, starts)]] = np.iinfo(np.int64).min
            persons[f"ca{index}"] = np.maximum.reduceat(instants, starts)
        if consent.has_until:
            null, never = np.iinfo(np.int32).min, np.iinfo(np.int32).max
            days = rows[f"cu{index}"].copy()
            days[days == null] = never
            earliest = np.minimum.reduceat(days, starts)
            persons[f"cu{index}"] = np.where(earliest == never, null, earliest)
    return persons


def _sums(values: NDArray[Any], starts: I64) -> I64:
    known = values != NULL_INT
    sums = np.add.reduceat(np.where(known, values, 0), starts)
    # Wrapping is seen in floating point; a sum that large is far beyond every clamp.
    rough = np.add.reduceat(np.where(known, values, 0).astype(np.float64), starts)
    sums = np.where(np.abs(rough) >= _SUM_LIMIT, np.where(rough > 0, _SUM_LIMIT, -_SUM_LIMIT), sums)
    any_known = np.maximum.reduceat(known.astype(np.uint8), starts).astype(np.bool_)
    return np.where(any_known, sums, NULL_INT)


def _held(tokens: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which tokens are not all zero."""
    held: NDArray[np.bool_] = tokens[:, :, 0] != 0
    if not held.all():
        held |= tokens[:, :, 1] != 0
    return held


def _values(tokens: NDArray[np.uint64], held: NDArray[np.bool_], owner: NDArray[np.uint32]) -> Records:
    hi, lo = tokens[:, :, 0].ravel(), tokens[:, :, 1].ravel()
    if held.shape[1] > 1:
        owner = np.repeat(owner, held.shape[1])
    if not held.all():
        at = np.flatnonzero(held)
        hi, lo, owner = hi.take(at), lo.take(at), owner.take(at)
    made = np.empty(hi.size, VALUE_DTYPE)
    made["hi"], made["lo"], made["seq"] = hi, lo, owner
    return made


def _set_primary(persons: Records, index: int, hi: U64, held: NDArray[np.bool_], starts: I64) -> None:
    """Give persons that no earlier key placed their place by this key: its lowest token."""
    lowest = np.full(len(hi), np.iinfo(np.uint64).max)
    # Column by column, of which there are few: reducing short rows is slow.
    for tokens, present in zip(hi.T, held.T, strict=True):
        np.minimum(lowest, tokens, out=lowest, where=present)
    found = np.logical_or.reduce(list(held.T))
    if starts.size < lowest.size:
        lowest = np.minimum.reduceat(lowest, starts)
        found = np.maximum.reduceat(found.astype(np.uint8), starts).astype(np.bool_)
    fresh = found & (persons["rank"] > index)
    if fresh.all():
        persons["rank"], persons["primary"] = index, lowest
    else:
        persons["rank"][fresh] = index
        persons["primary"][fresh] = lowest[fresh]
