"""Segments, breakdown cells and clamped totals over some rows of a version's columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from cleanroom.matching.bitmaps import Bitmaps, Shared, count_of, octets_of, packed
from cleanroom.matching.ranks import Values, ranks
from cleanroom.matching.types import I64, U64, Column
from policies.attributes import NUMERIC_TYPES, AttributeInfo
from policies.nodes import Node

CHUNK = 1 << 19
"""Persons whose bitmaps are made at a time: a thousand segments share a few hundred bitmaps, of 64 KiB each."""


@dataclass(frozen=True)
class Cells:
    """Where persons stand in a breakdown.

    Attributes:
        sizes: how many cells each attribute has.
        places: (entries,) row-major over the attributes, where "no value" is the first cell of each.
        rows: (entries,) who stands there, by position; None when every person stands in one place, in order.
    """

    sizes: tuple[int, ...]
    places: Values
    rows: I64 | None

    def counts(self) -> I64:
        """Count the persons of every cell."""
        return self._as_declared(np.bincount(self.places, minlength=prod(self.sizes)))

    def sums(self, totals: I64) -> I64:
        """Add up the persons' totals in every cell."""
        sums = np.zeros(prod(self.sizes), np.int64)
        np.add.at(sums, self.places, totals if self.rows is None else totals[self.rows])
        return self._as_declared(sums)

    def _as_declared(self, table: I64) -> I64:
        """Move the cell of "no value" from the first place to the last, in every attribute."""
        axes = range(len(self.sizes))
        return np.roll(table.reshape(self.sizes), [-1 for _ in axes], tuple(axes)).ravel()


class Rows:
    """Some persons of a version, on whom conditions are evaluated; each column is read once."""

    def __init__(self, size: int, column: Callable[[str], Column]) -> None:
        """Prepare.

        Args:
            size: how many persons.
            column: gives an attribute's column, these persons only.
        """
        self._size = size
        self._source = column
        self._columns: dict[str, Column] = {}
        self._totals: dict[str, I64] = {}
        self._places: dict[str, Values] = {}

    def segments(self, conditions: Sequence[Node], summed: Sequence[str] = ()) -> I64:
        """Count the persons whom conditions hold for, and add their totals up.

        Args:
            conditions: canonical ones.
            summed: attributes to add up.

        Returns:
            (1 + attributes, conditions): counts, then the sums of each attribute.
        """
        found = np.zeros((1 + len(summed), len(conditions)), np.int64)
        shared = Shared(conditions)
        for start in range(0, self._size, CHUNK):
            chunk = slice(start, min(start + CHUNK, self._size))
            bitmaps = Bitmaps(chunk.stop - chunk.start, self._part(chunk), shared)
            layers = [_Layers(self.totals(name)[chunk], self._column(name).info) for name in summed]
            for at, node in enumerate(conditions):
                members = bitmaps.of(node)
                persons = count_of(members)
                found[0, at] += persons
                for row, layer in enumerate(layers, 1):
                    found[row, at] += layer.sum(members, persons)
        return found

    def cells(self, attributes: tuple[str, ...]) -> Cells:
        """Place persons in a breakdown's cells; a set puts its person in a cell for each value."""
        sizes = tuple(self._column(name).info.cells for name in attributes)
        kind = np.min_scalar_type(prod(sizes))
        places = np.zeros(self._size, kind)
        rows: I64 | None = None
        for name, size in zip(attributes, sizes, strict=True):
            column = self._column(name)
            if column.info.type == "set":
                at, own = _set_places(column.values if rows is None else column.values[rows])
                rows = at if rows is None else rows[at]
                places = places[at]
            else:
                own = self._single_places(name) if rows is None else self._single_places(name)[rows]
            places *= kind.type(size)
            np.add(places, own, out=places, casting="same_kind")
        return Cells(sizes, places, rows)

    def totals(self, attribute: str) -> I64:
        """Return every person's total, brought into the declared bounds; 0 for a person without a value.

        The bounds hold for the person, not for its rows, and are declared, never learned from the data: one
        person then moves no sum by more than the bound further from zero.
        """
        if attribute not in self._totals:
            self._totals[attribute] = _clamped(self._column(attribute))
        return self._totals[attribute]

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = self._source(name)
        return self._columns[name]

    def _part(self, chunk: slice) -> Callable[[str], Column]:
        def column(name: str) -> Column:
            whole = self._column(name)
            return Column(whole.info, whole.values[chunk])

        return column

    def _single_places(self, name: str) -> Values:
        if name not in self._places:
            column = self._column(name)
            if column.info.type in NUMERIC_TYPES:
                ends = np.array([column.info.domain[0], *column.info.bands], np.int64)
                self._places[name] = ranks(column.values, ends)
            else:
                self._places[name] = column.values
        return self._places[name]


def _clamped(column: Column) -> I64:
    low, high = column.info.clamp or (0, 0)
    known = column.values != np.iinfo(column.values.dtype).min
    return np.where(known, np.clip(column.values.astype(np.int64), low, high), 0)


class _Layers:
    """Totals of persons, a bitmap for each binary digit: a sum is a count in each, and exact."""

    def __init__(self, totals: I64, info: AttributeInfo) -> None:
        lowest, highest = info.clamp or (0, 0)
        # Someone without a value adds 0, whether or not it lies within the bounds.
        self._least = min(lowest, 0)
        octets = octets_of((totals - self._least)[:, None])
        digits = (max(highest, 0) - self._least).bit_length()
        self._layers = [packed(octets[:, digit // 8] & np.uint8(1 << digit % 8)) for digit in range(digits)]

    def sum(self, members: U64, persons: int) -> int:
        """Add up the totals of some of the persons, who are given by a bitmap and by their number."""
        digits = enumerate(self._layers)
        return self._least * persons + sum(count_of(layer & members) << digit for digit, layer in digits)


def _set_places(words: Values) -> tuple[I64, Values]:
    """Return who has each value of a set, by position, and its code; 0 for whoever has none."""
    octets = octets_of(words)
    found = [np.flatnonzero(~octets.any(axis=1))]
    for octet in octets.T:
        bits = np.ascontiguousarray(octet)
        found += [np.flatnonzero((bits & np.uint8(1 << bit)) != 0) for bit in range(8)]
    codes = np.arange(len(found), dtype=np.min_scalar_type(len(found)))
    return np.concatenate(found), np.repeat(codes, [len(at) for at in found])
