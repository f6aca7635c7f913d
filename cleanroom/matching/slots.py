"""Finding a large base among sorted tokens: both are walked through together, by their first bits.

The values of one group of first bits are laid out in a table by the bits that follow; the sorted entries then read
that table from one end to the other. It takes as long as the entries are many, so it pays for a base that is not
much smaller than they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.buckets import Positions, with_holders
from cleanroom.matching.types import U8, U64

_TABLE_BITS = 18
_VALUES_PER_GROUP_BITS = 14
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


def walk(hi: Iterable[U64], parts: Sequence[Grouped], *, bits: int) -> Iterator[Hits]:
    """Find the entries that equal a value.

    Args:
        hi: sorted entries, block by block; a block may be overwritten once the next one is asked for.
        parts: together the base, at least one; all have labels, or none has.
        bits: by how many first bits the parts are grouped.

    Yields:
        For each block the positions in it, and the label of the value that each equals; an entry stands there once for
        each holder of a value with labels, else at least once.
    """
    table = _Table(64 - bits - _TABLE_BITS, labelled=parts[0].labels is not None)
    shift = 64 - bits
    current = -1
    for entries in hi:
        found: list[Hits] = []
        low, last = 0, int(entries[-1]) >> shift if entries.size else 0
        while low < entries.size:
            group = int(entries[low]) >> shift
            high = entries.size
            if group < last:
                high = int(np.searchsorted(entries, np.uint64((group + 1) << shift)))
            if group != current:
                table.fill(*_of_group(parts, group))
                current = group
            found += [(at + low, labels) for at, labels in table.look_up(entries[low:high])]
            low = high
        yield _joined(found) if found else (np.empty(0, np.int64), None)


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
        self._labels: U8 | None = None
        self._left: U64 = np.empty(0, np.uint64)
        self._left_labels: U8 | None = None
        self._places = np.empty(_ENTRIES_AT_ONCE, np.uint64)
        self._taken = np.empty(_ENTRIES_AT_ONCE, np.uint64)
        self._equal = np.empty(_ENTRIES_AT_ONCE, np.bool_)

    def fill(self, values: U64, labels: U8 | None) -> None:
        """Lay the values of a group out; those whose place another one took are kept beside, ascending."""
        place = self._place(values, np.empty(values.size, np.uint64))
        self._values[place] = values
        if self._holders is None or labels is None:
            self._left = np.sort(values[self._values.take(place, mode="clip") != values])
            return
        numbers = np.arange(values.size, dtype=np.int32)
        self._holders[place] = numbers
        kept = self._holders.take(place, mode="clip")
        self._values[place] = values.take(kept, mode="clip")
        lost = np.flatnonzero(kept != numbers)
        lost = lost[np.argsort(values[lost])]
        self._labels, self._left, self._left_labels = labels, values[lost], labels[lost]

    def look_up(self, entries: U64) -> Iterator[Hits]:
        """Find the values of the group among some of its entries, at least one, as `walk` does."""
        for start in range(0, entries.size, _ENTRIES_AT_ONCE):
            found, labels = self._in_place(entries[start : start + _ENTRIES_AT_ONCE])
            yield found + start, labels
        first, last = (
            np.searchsorted(self._left, entries[0]),
            np.searchsorted(self._left, entries[-1], "right"),
        )
        if first < last:
            values = self._left[first:last]
            at = np.searchsorted(entries, values)
            met = np.flatnonzero(entries.take(at, mode="clip") == values)
            found, of = with_holders(entries, at[met], met)
            yield found, None if self._left_labels is None else self._left_labels[first:last][of]

    def _in_place(self, entries: U64) -> Hits:
        place = self._place(entries, self._places[: entries.size])
        taken = self._values.take(place, mode="clip", out=self._taken[: entries.size])
        found = np.flatnonzero(np.equal(taken, entries, out=self._equal[: entries.size]))
        if self._holders is None or self._labels is None:
            return found, None
        return found, self._labels.take(self._holders.take(place[found], mode="clip"), mode="clip")

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
