"""Rows of one person become one person: last row wins, sums add, the strictest consent wins, keys unite."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.tokens import starts_of
from cleanroom.ingestion.records import (
    NOBODY,
    OP_DELETE,
    OP_EARLIER,
    OP_UPSERT,
    VALUE_DTYPE,
    RecordLayout,
)
from cleanroom.ingestion.spool import Records, part_of, pick
from cleanroom.schema.model import NULL_INT

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
_SUM_LIMIT = 1 << 62


@dataclass(frozen=True)
class Split:
    """Rows, each as if it were a person, and the values of each key.

    Attributes:
        persons: of `layout.person_dtype`, numbered from 0 in `seq`.
        values: for each key, one record for each column of each row; the same value may come twice.
    """

    persons: Records
    values: tuple[Records, ...]


@dataclass(frozen=True)
class Merged:
    """Persons made of rows.

    Attributes:
        persons: each under the number of one of its rows.
        rows: the numbers of all rows.
        owners: the number of each row's person; `NOBODY` where the row does not count.
    """

    persons: Records
    rows: NDArray[np.uint32]
    owners: NDArray[np.uint32]


def split_rows(rows: Records, layout: RecordLayout) -> Split:
    """Take the tokens of rows out of them, and place each row by its first key's lowest token.

    Args:
        rows: of `layout.row_dtype`, in the order of the file.
        layout: of the dataset's schema.
    """
    persons = np.empty(rows.size, layout.person_dtype)
    part_of(persons, 0, layout.kept_bytes)[...] = part_of(rows, 0, layout.kept_bytes)
    persons["seq"] = np.arange(rows.size, dtype=np.uint32)
    persons["rank"], persons["primary"] = len(layout.keys), 0
    values = []
    for index in range(len(layout.keys)):
        tokens = rows[f"k{index}"]
        held = _held(tokens)
        values.append(_values(tokens, held))
        _set_primary(persons, index, tokens[:, :, 0], held)
    return Split(persons, tuple(values))


def merge_persons(rows: Records, layout: RecordLayout) -> Merged:
    """Merge rows by person.

    A person's deletion undoes what precedes it; rows of a delta replace the person's earlier version. The
    consent of a person with several rows is their strictest; the instant of collection is the latest among
    the rows of that state, the last day of validity the earliest of all.

    Args:
        rows: of `layout.person_dtype` in any order, all rows of each person among them.
        layout: of the dataset's schema, which has a person_id.

    Returns:
        The persons in no particular order.
    """
    rows = pick(rows, np.argsort(rows["seq"], kind="stable"))
    rows = pick(rows, sort_order(rows["person_hi"], rows["person_lo"]))
    numbers = np.ascontiguousarray(rows["seq"])
    owners = np.full(rows.size, NOBODY, np.uint32)
    kept = _effective(rows)
    rows = pick(rows, kept)
    starts = starts_of(rows["person_hi"], rows["person_lo"])
    persons = _persons(rows, starts, layout)
    owners[kept] = persons["seq"][_owners(rows.size, starts)]
    return Merged(persons, numbers, owners)


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


def _effective(rows: Records) -> I64:
    """Return which rows count: not deletions, nor what they undo, nor earlier rows that newer ones replace."""
    ops = rows["op"]
    position = np.arange(rows.size)
    if not rows.size or (ops == OP_UPSERT).all():
        return position
    starts = starts_of(rows["person_hi"], rows["person_lo"])
    owner = _owners(rows.size, starts)
    undone = np.maximum.reduceat(np.where(ops == OP_DELETE, position, -1), starts)
    replaced = np.maximum.reduceat((ops == OP_UPSERT).astype(np.uint8), starts).astype(np.bool_)
    kept = (position > undone[owner]) & ~((ops == OP_EARLIER) & replaced[owner])
    return np.flatnonzero(kept)


def _owners(rows: int, starts: I64) -> NDArray[np.uint32]:
    """Return for each row which person, counted from 0, it belongs to."""
    if starts.size == rows:
        return np.arange(rows, dtype=np.uint32)
    marks = np.zeros(rows, np.uint32)
    marks[starts[1:]] = 1
    return np.cumsum(marks, dtype=np.uint32)


def _persons(rows: Records, starts: I64, layout: RecordLayout) -> Records:
    """Let each person's last row speak for it, but for what all its rows decide."""
    persons = pick(rows, np.append(starts[1:], rows.size)[: starts.size] - 1)
    if starts.size == rows.size:
        return persons
    owner = _owners(rows.size, starts)
    rank = np.minimum.reduceat(rows["rank"], starts)
    first = np.where(rows["rank"] == rank[owner], rows["primary"], np.iinfo(np.uint64).max)
    persons["rank"], persons["primary"] = rank, np.minimum.reduceat(first, starts)
    for index, attribute in enumerate(layout.attributes):
        if attribute.aggregate == "sum":
            persons[f"a{index}"] = _sums(rows[f"a{index}"], starts)
    for index, consent in enumerate(layout.consents):
        states = rows[f"c{index}"]
        strictest = np.maximum.reduceat(states, starts)
        persons[f"c{index}"] = strictest
        if consent.has_at:
            instants = rows[f"ca{index}"].copy()
            instants[states != strictest[owner]] = np.iinfo(np.int64).min
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


def _values(tokens: NDArray[np.uint64], held: NDArray[np.bool_]) -> Records:
    hi, lo = tokens[:, :, 0].ravel(), tokens[:, :, 1].ravel()
    owner = np.arange(len(tokens), dtype=np.uint32)
    if held.shape[1] > 1:
        owner = np.repeat(owner, held.shape[1])
    if not held.all():
        at = np.flatnonzero(held)
        hi, lo, owner = hi.take(at), lo.take(at), owner.take(at)
    made = np.empty(hi.size, VALUE_DTYPE)
    made["hi"], made["lo"], made["seq"] = hi, lo, owner
    return made


def _set_primary(persons: Records, index: int, hi: U64, held: NDArray[np.bool_]) -> None:
    """Give rows that no earlier key placed their place by this key: its lowest token."""
    if held.shape[1] == 1:
        lowest, found = hi[:, 0], held[:, 0]
    else:
        lowest = np.full(len(hi), np.iinfo(np.uint64).max)
        # Column by column, of which there are few: reducing short rows is slow.
        for tokens, present in zip(hi.T, held.T, strict=True):
            np.minimum(lowest, tokens, out=lowest, where=present)
        found = np.logical_or.reduce(list(held.T))
    fresh = found & (persons["rank"] > index)
    if fresh.all():
        persons["rank"], persons["primary"] = index, lowest
    else:
        persons["rank"][fresh] = index
        persons["primary"][fresh] = lowest[fresh]
