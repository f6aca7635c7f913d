"""Finding a large base among sorted tokens: both are walked through together, by their first bits.

The values of one group of first bits are laid out in a table by the bits that follow; the sorted entries then read
that table from one end to the other. It takes as long as the entries are many, so it pays for a base that is not
much smaller than they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.buckets import Positions, with_holders
from cleanroom.matching.types import U8, U64

_TABLE_BITS = 18
_VALUES_PER_GROUP_BITS = 15
_ENTRIES_AT_ONCE = 1 << 16
Hits = tuple[Positions, U8 | None]


@dataclass(frozen=True)
class Grouped:
    """Some values of a base in groups of the same first bits.

    Attributes:
        values: (values,) group after group.
        labels: (values,) of each; None without labels.
        bounds: (groups + 1,) where each group begins, and the last ends.
    """

    values: U64
    labels: U8 | None
    bounds: Positions


def group_bits(values: int) -> int:
    """Return by how many first bits so many values are grouped."""
    return max((values >> _VALUES_PER_GROUP_BITS).bit_length(), 1)


def grouped(values: U64, labels: U8 | None, bits: int) -> Grouped:
    """Group values by their first bits."""
    # Numpy sorts narrow integers by counting, several times as fast as wide ones.
    group = (values >> np.uint64(64 - bits)).astype(np.uint8 if bits <= 8 else np.uint16)
    order = np.argsort(group, kind="stable")
    bounds = np.zeros((1 << bits) + 1, np.int64)
    np.cumsum(np.bincount(group, minlength=1 << bits), out=bounds[1:])
    return Grouped(
        values.take(order, mode="clip"), None if labels is None else labels.take(order, mode="clip"), bounds
    )


def find_groups(hi: U64, parts: Sequence[Grouped], groups: range, *, bits: int) -> Hits:
    """Find the entries that equal a value of some groups.

    Args:
        hi: the sorted entries, at least one.
        parts: together the base, at least one; all have labels, or none has.
        groups: which ones.
        bits: by how many first bits the parts are grouped.

    Returns:
        Positions of the entries, and the label of the value that each equals; an entry stands there once for each
        holder of a value with labels, else at least once.
    """
    table = _Table(64 - bits - _TABLE_BITS, labelled=parts[0].labels is not None)
    starts = np.array([group << 64 - bits for group in groups], np.uint64)
    borders = [*np.searchsorted(hi, starts).tolist(), hi.size]
    if groups.stop < 1 << bits:
        borders[-1] = int(np.searchsorted(hi, np.uint64(groups.stop << 64 - bits)))
    found: list[Hits] = []
    for number, group in enumerate(groups):
        low, high = borders[number], borders[number + 1]
        values, labels = _of_group(parts, group)
        if not values.size or low == high:
            continue
        left = table.fill(values, labels)
        for start in range(low, high, _ENTRIES_AT_ONCE):
            entries, hit = table.look_up(hi[start : min(start + _ENTRIES_AT_ONCE, high)], labels)
            entries += start
            found.append((entries, hit))
        if left[0].size:
            entries, hit = _searched(hi[low:high], *left)
            entries += low
            found.append((entries, hit))
    return _joined(found) if found else (np.empty(0, np.int64), None)


def _searched(hi: U64, values: U64, labels: U8 | None) -> Hits:
    """Find the few values that have no place in the table, among the entries that were just walked through."""
    order = np.argsort(values)
    values = values[order]
    at = np.searchsorted(hi, values)
    met = np.flatnonzero(hi.take(at, mode="clip") == values)
    entries, hits = with_holders(hi, at[met], met)
    return entries, None if labels is None else labels[order[hits]]


class _Table:
    """The values of one group by the bits that follow their first ones; those of the groups before stay in it unread.

    A value of another group equals no entry of this one, so nothing has to be cleared.
    """

    def __init__(self, shift: int, *, labelled: bool) -> None:
        self._shift, self._mask = np.uint64(shift), np.uint64((1 << _TABLE_BITS) - 1)
        self._values = np.zeros(1 << _TABLE_BITS, np.uint64)
        # The zero of an empty place would equal an entry that is zero; this belongs into the place beside it.
        self._values[0] = 1 << shift
        self._holders = np.zeros(1 << _TABLE_BITS, np.int32) if labelled else None
        self._places = np.empty(_ENTRIES_AT_ONCE, np.uint64)
        self._taken = np.empty(_ENTRIES_AT_ONCE, np.uint64)
        self._equal = np.empty(_ENTRIES_AT_ONCE, np.bool_)

    def fill(self, values: U64, labels: U8 | None) -> tuple[U64, U8 | None]:
        """Lay values out; returns those whose place another one took, with their labels."""
        place = self._place(values, np.empty(values.size, np.uint64))
        self._values[place] = values
        if self._holders is None or labels is None:
            return values[self._values.take(place, mode="clip") != values], None
        numbers = np.arange(values.size, dtype=np.int32)
        self._holders[place] = numbers
        kept = self._holders.take(place, mode="clip")
        self._values[place] = values.take(kept, mode="clip")
        lost = kept != numbers
        return values[lost], labels[lost]

    def look_up(self, entries: U64, labels: U8 | None) -> Hits:
        """Return which of some entries, at most `_ENTRIES_AT_ONCE`, stand in the table, and their values' labels."""
        place = self._place(entries, self._places[: entries.size])
        taken = self._values.take(place, mode="clip", out=self._taken[: entries.size])
        found = np.flatnonzero(np.equal(taken, entries, out=self._equal[: entries.size]))
        if self._holders is None or labels is None:
            return found, None
        return found, labels.take(self._holders.take(place[found], mode="clip"), mode="clip")

    def _place(self, values: U64, out: U64) -> Positions:
        np.right_shift(values, self._shift, out=out)
        np.bitwise_and(out, self._mask, out=out)
        return out.view(np.int64)


def _of_group(parts: Sequence[Grouped], group: int) -> tuple[U64, U8 | None]:
    cuts = [(part, slice(part.bounds[group], part.bounds[group + 1])) for part in parts]
    return _joined(
        [(part.values[cut], None if part.labels is None else part.labels[cut]) for part, cut in cuts]
    )


def _joined(parts: Sequence[tuple[NDArray[Any], U8 | None]]) -> tuple[NDArray[Any], U8 | None]:
    labels = [of for _, of in parts if of is not None]
    return np.concatenate([values for values, _ in parts]), np.concatenate(labels) if labels else None
