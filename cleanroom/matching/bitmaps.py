"""Conditions as bitmaps over some persons: a bit for each, 64 in a word.

A range of values is everyone below its upper end but not below its lower one, so the ranges of an attribute are made
of one bitmap for each end, however many conditions share it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from cleanroom.matching.ranks import FEW_ENDS, Values, ranks
from cleanroom.matching.types import U64, Bools, Column
from policies.nodes import CAll, CAny, CHasAny, CLeaf, Node

MOST_KEPT_BYTES = 128 * 1024 * 1024
_Key: TypeAlias = str | tuple[str, int]


class Shared:
    """What conditions have in common, collected once for all the persons they are evaluated on.

    Attributes:
        ends: by attribute, ascending: every value at which one of its ranges begins or has just ended.
        repeated: keys of the conditions that stand in several places.
    """

    def __init__(self, conditions: Iterable[Node]) -> None:
        """Collect from canonical conditions."""
        ends: dict[str, set[int]] = defaultdict(set)
        uses: Counter[str] = Counter()
        work = list(conditions)
        while work:
            node = work.pop()
            uses[node.key] += 1
            if uses[node.key] > 1:
                continue
            if isinstance(node, CAll | CAny):
                work.extend(node.items)
            elif isinstance(node, CLeaf):
                ends[node.attribute] |= _ends(node)
        self.ends = {name: sorted(found) for name, found in ends.items()}
        self.repeated = {key for key, count in uses.items() if count > 1}


class Bitmaps:
    """Bitmaps of conditions over some persons; what several conditions share is made once and kept."""

    def __init__(self, size: int, column: Callable[[str], Column], shared: Shared) -> None:
        """Prepare.

        Args:
            size: how many persons.
            column: gives an attribute's column, these persons only.
            shared: of the conditions to come.
        """
        self._column = column
        self._shared = shared
        self._everyone = packed(np.ones(size, np.bool_))
        self._most_kept = MOST_KEPT_BYTES // max(self._everyone.nbytes, 1)
        self._kept: dict[_Key, U64] = {}
        self._ladders: dict[str, _Ladder] = {}
        self._octets: dict[tuple[str, int], Values] = {}

    def of(self, node: Node) -> U64:
        """Return whom a canonical condition holds for; not to be written to."""
        if node.key not in self._shared.repeated:
            return self._made(node)
        known = self._kept.get(node.key)
        return self._keep(node.key, self._made(node)) if known is None else known

    def _made(self, node: Node) -> U64:
        if isinstance(node, CLeaf):
            return self._within(node)
        if isinstance(node, CHasAny):
            return self._has_any(node)
        if not node.items:
            return self._everyone if isinstance(node, CAll) else np.zeros_like(self._everyone)
        join = np.bitwise_and if isinstance(node, CAll) else np.bitwise_or
        made = self.of(node.items[0]).copy()
        for item in node.items[1:]:
            join(made, self.of(item), out=made)
        return made

    def _within(self, leaf: CLeaf) -> U64:
        """Join everyone below each end: whoever is below an even number of them is in none of the ranges."""
        ends = _ends(leaf)
        if leaf.values.null:
            # Below the lowest value of all there is "no value" only.
            ends ^= {self._column(leaf.attribute).info.domain[0]}
        left = sorted(ends, reverse=True)
        made: U64 | None = None
        while left:
            end = left.pop()
            if left and left[-1] == end + 1:
                left.pop()
                part = self._equal(leaf.attribute, end)
            else:
                part = self._below(leaf.attribute, end)
            made = part.copy() if made is None else np.bitwise_xor(made, part, out=made)
        assert made is not None, "A canonical leaf holds for somebody, or else it is no leaf."
        return made

    def _equal(self, attribute: str, value: int) -> U64:
        key = f"= {attribute}", value
        known = self._kept.get(key)
        if known is not None:
            return known
        return self._keep(key, self._below(attribute, value) ^ self._below(attribute, value + 1))

    def _below(self, attribute: str, end: int) -> U64:
        key = f"< {attribute}", end
        known = self._kept.get(key)
        if known is not None:
            return known
        if attribute not in self._ladders:
            self._ladders[attribute] = _Ladder(self._column(attribute), self._shared.ends[attribute])
        below = self._ladders[attribute].below(end)
        return self._everyone if below is None else self._keep(key, packed(below))

    def _has_any(self, node: CHasAny) -> U64:
        made = np.zeros_like(self._everyone)
        for code in node.codes:
            key = f"has {node.attribute}", code
            known = self._kept.get(key)
            bit = self._keep(key, self._bit(node.attribute, code)) if known is None else known
            np.bitwise_or(made, bit, out=made)
        return np.bitwise_xor(made, self._everyone, out=made) if node.negated else made

    def _bit(self, attribute: str, code: int) -> U64:
        octet, bit = divmod(code - 1, 8)
        if (attribute, octet) not in self._octets:
            octets = octets_of(self._column(attribute).values)
            self._octets[attribute, octet] = np.ascontiguousarray(octets[:, octet])
        return packed(self._octets[attribute, octet] & np.uint8(1 << bit))

    def _keep(self, key: _Key, made: U64) -> U64:
        if len(self._kept) >= self._most_kept:
            self._kept.clear()
        self._kept[key] = made
        return made


class _Ladder:
    """Compares the persons' values of one attribute with the ends of its ranges; with many ends, by rank."""

    def __init__(self, column: Column, ends: Sequence[int]) -> None:
        self._values = column.values
        self._low, self._high = column.info.domain
        self._rank_of: dict[int, int] = {}
        if len(ends) > FEW_ENDS and column.values.itemsize > 2:
            inner = [end for end in ends if self._low < end <= self._high]
            self._rank_of = {end: rank for rank, end in enumerate(inner)}
            self._ranks = ranks(column.values, np.array(inner, np.int64))

    def below(self, end: int) -> Bools | None:
        """Return who has a smaller value, or none at all; None stands for everyone."""
        if end > self._high:
            return None
        rank = self._rank_of.get(end)
        if rank is not None:
            return np.asarray(self._ranks <= rank)
        # "No value" is the smallest number of the column's type, so it is smaller than every end above that.
        return np.asarray(self._values < max(end, int(np.iinfo(self._values.dtype).min) + 1))


def count_of(bitmap: U64) -> int:
    """Count the persons of a bitmap."""
    return int(np.add.reduce(np.bitwise_count(bitmap), dtype=np.int64))


def octets_of(words: Values) -> Values:
    """Return the bits of sets as (persons, bytes): code c is bit (c - 1) mod 8 of byte (c - 1) div 8."""
    return np.ascontiguousarray(words, "<u8").view(np.uint8).reshape(len(words), 8 * words.shape[1])


def _ends(leaf: CLeaf) -> set[int]:
    # No two ranges touch, so no end stands for two of them.
    return {end for low, high in leaf.values.ranges for end in (low, high + 1)}


def packed(bits: Values) -> U64:
    """Pack a byte for each person, zero or not, into words; the last word is filled up with zeros."""
    words = np.zeros(-(-len(bits) // 64), np.uint64)
    packed = np.packbits(bits)
    words.view(np.uint8)[: len(packed)] = packed
    return words
