"""Conditions, breakdown cells and clamped totals over some rows of a version's columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanroom.matching.types import I64, U8, Bools, Column
from policies.attributes import NUMERIC_TYPES, AttributeInfo
from policies.nodes import CAll, CAny, CHasAny, CLeaf, Node

_FEW_CODES = 16
Values = NDArray[Any]


@dataclass(frozen=True)
class Cells:
    """Where persons stand in a breakdown.

    Attributes:
        size: how many cells there are.
        cell: (entries,) a cell, row-major over the attributes' cells.
        rows: (entries,) who stands in it, by position; None when every person stands in one cell, in order.
    """

    size: int
    cell: I64
    rows: I64 | None

    def counts(self) -> I64:
        """Count the persons of every cell."""
        return np.bincount(self.cell, minlength=self.size).astype(np.int64)

    def sums(self, totals: I64) -> I64:
        """Add up the persons' totals in every cell."""
        sums = np.zeros(self.size, np.int64)
        np.add.at(sums, self.cell, totals if self.rows is None else totals[self.rows])
        return sums


class Rows:
    """Some persons of a version, on whom conditions are evaluated.

    Bitmaps of values, leaves and groups are kept, so that a thousand segments over the same attributes read
    each column once.
    """

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
        self._bitmaps: dict[str, U8] = {}

    def count(self, condition: Node) -> int:
        """Return how many of the persons a canonical condition holds for."""
        return int(np.bitwise_count(self._bitmap(condition)).sum(dtype=np.int64))

    def cells(self, attributes: tuple[str, ...]) -> Cells:
        """Place persons in a breakdown's cells; a set puts its person in a cell for each value."""
        size = 1
        rows: I64 | None = None
        cell = np.zeros(self._size, np.int64)
        for name in attributes:
            column = self._column(name)
            size *= column.info.cells
            cell *= column.info.cells
            if column.info.type == "set":
                at, own = _set_cells(column.info, column.values if rows is None else column.values[rows])
                rows = at if rows is None else rows[at]
                cell = cell[at] + own
            else:
                cell += _single_cells(column.info, column.values if rows is None else column.values[rows])
        return Cells(size, cell, rows)

    def totals(self, attribute: str) -> I64:
        """Return every person's total, brought into the declared bounds; 0 for a person without a value.

        The bounds hold for the person, not for its rows, and are declared, never learned from the data: one
        person then moves no sum by more than the bound further from zero.
        """
        if attribute not in self._totals:
            self._totals[attribute] = _clamped(self._column(attribute))
        return self._totals[attribute]

    def sum(self, attribute: str, condition: Node) -> int:
        """Add up the totals of the persons whom a canonical condition holds for."""
        members = np.unpackbits(self._bitmap(condition), count=self._size)
        return int((self.totals(attribute) * members).sum(dtype=np.int64))

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = self._source(name)
        return self._columns[name]

    def _bitmap(self, node: Node) -> U8:
        known = self._bitmaps.get(node.key)
        if known is not None:
            return known
        if isinstance(node, CAll | CAny):
            every = isinstance(node, CAll)
            made = np.packbits(np.full(self._size, every))
            for item in node.items:
                (np.bitwise_and if every else np.bitwise_or)(made, self._bitmap(item), out=made)
        elif isinstance(node, CHasAny):
            made = np.packbits(_has_any(self._column(node.attribute).values, node))
        elif node.coded:
            made = self._coded(node)
        else:
            made = np.packbits(_in_ranges(self._column(node.attribute).values, node))
        self._bitmaps[node.key] = made
        return made

    def _coded(self, leaf: CLeaf) -> U8:
        column = self._column(leaf.attribute)
        codes = leaf.codes
        if len(codes) <= _FEW_CODES:
            made = np.zeros((self._size + 7) // 8, np.uint8)
            for code in codes:
                key = f"= {code} {leaf.attribute}"
                if key not in self._bitmaps:
                    self._bitmaps[key] = np.packbits(column.values == code)
                made |= self._bitmaps[key]
            return made
        table = np.zeros(column.info.domain[1] + 1, np.bool_)
        table[list(codes)] = True
        return np.packbits(table[column.values])


def _clamped(column: Column) -> I64:
    low, high = column.info.clamp or (0, 0)
    known = column.values != np.iinfo(column.values.dtype).min
    return np.where(known, np.clip(column.values, low, high), 0).astype(np.int64)


def _in_ranges(values: Values, leaf: CLeaf) -> Bools:
    null = np.iinfo(values.dtype).min
    ranges = leaf.values.ranges
    if len(ranges) == 1:
        low, high = ranges[0]
        inside: Bools = (values >= low) & (values <= high)
    elif ranges:
        lows, highs = (np.array(ends, values.dtype) for ends in zip(*ranges, strict=True))
        at = np.searchsorted(lows, values, side="right") - 1
        inside = (at >= 0) & (values <= highs[at])
    else:
        inside = np.zeros(values.shape, np.bool_)
    return inside | (values == null) if leaf.values.null else inside


def _has_any(words: Values, node: CHasAny) -> Bools:
    mask = np.zeros(words.shape[1], np.uint64)
    for code in node.codes:
        mask[(code - 1) // 64] |= np.uint64(1 << (code - 1) % 64)
    hit: Bools = np.asarray(np.bitwise_and(words, mask).any(axis=1))
    return ~hit if node.negated else hit


def _single_cells(info: AttributeInfo, values: Values) -> I64:
    if info.type in NUMERIC_TYPES:
        cells = np.searchsorted(np.array(info.bands, values.dtype), values, side="right").astype(np.int64)
        cells[values == np.iinfo(values.dtype).min] = info.cells - 1
        return cells
    # Codes start at 1; 0 is "no value", whose cell is the last one.
    cells = values.astype(np.int64) - 1
    cells[cells < 0] = info.cells - 1
    return cells


def _set_cells(info: AttributeInfo, words: Values) -> tuple[I64, I64]:
    bits = np.unpackbits(np.ascontiguousarray(words, "<u8").view(np.uint8), axis=1, bitorder="little")
    # A set of 63 values fills its words to the last bit, so the cell of "no value" needs a place of its own.
    table = np.zeros((len(bits), info.cells), np.uint8)
    table[:, : info.cells - 1] = bits[:, : info.cells - 1]
    table[:, info.cells - 1] = ~table[:, : info.cells - 1].any(axis=1)
    at, own = np.nonzero(table)
    return at, own
