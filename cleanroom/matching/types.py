"""What an engine counts, on what, and what comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.kept import Sliced, Stored
from policies.attributes import AttributeInfo
from policies.nodes import Node

U64: TypeAlias = NDArray[np.uint64]
U32: TypeAlias = NDArray[np.uint32]
U8: TypeAlias = NDArray[np.uint8]
I64: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One attribute of some persons of a version.

    Attributes:
        info: the declared shape.
        values: (persons,) codes or stored units, as wide as the version needs; the smallest number of the type is "no
            value". For a set (persons, words) of bits.
    """

    info: AttributeInfo
    values: NDArray[Any]


StoredValues: TypeAlias = "NDArray[Any] | Stored"


@dataclass(frozen=True)
class StoredColumn:
    """One attribute of every person of a version, in memory or in its sealed file.

    Attributes:
        info: the declared shape.
        values: as of `Column`.
    """

    info: AttributeInfo
    values: StoredValues


@dataclass(frozen=True)
class Buckets:
    """Where the entries of each first few bits begin, so that a value is found in a few steps.

    Attributes:
        least: what is subtracted from a shifted value, so that the first bucket is 0.
        shift: what is left of a value shifted right by it, less the least, is its bucket.
        starts: (buckets,) position of the first entry that is not in an earlier bucket.
    """

    least: int
    shift: int
    starts: U32


@dataclass(frozen=True)
class KeyIndex:
    """The values of one key in a version, sorted.

    Attributes:
        hi: (entries,) first 64 bits of the tokens, ascending; one entry for each holder of a value.
        person: (entries,) the holder's position; None when every entry stands at its holder's own position.
        buckets: gives those of `hi`, which lies in memory; None where they are made for every question.
    """

    hi: Sliced
    person: Sliced | None
    buckets: Callable[[], Buckets] | None = None


def _no_dictionary(name: str) -> Sequence[str]:
    raise KeyError(name)


@dataclass(frozen=True)
class DatasetView:
    """A version of a dataset as one question sees it.

    Attributes:
        persons: how many there are.
        keys: an index for each key of the room, such as `email/room`.
        consented: (persons,) who may be counted for the question's purpose, now.
        column: gives an attribute's column; called for the attributes of the question only.
        dictionary: gives what the codes of an open category stand for, "no value" first.
    """

    persons: int
    keys: Mapping[str, KeyIndex]
    consented: Bools
    column: Callable[[str], Column | StoredColumn]
    dictionary: Callable[[str], Sequence[str]] = _no_dictionary


class BaseValues(Protocol):
    """The values of one key in a base, given out in parts: as tokens of the dataset's workspace, junk left out."""

    @property
    def size(self) -> int:
        """Return how many entries there are, junk included."""
        ...

    def part(self, start: int, stop: int) -> tuple[U64, U8 | None]:
        """Return the first 64 bits of some entries in any order, and the position of each one's declared label."""
        ...


@dataclass(frozen=True)
class BaseKey:
    """The values of one key in a base, in memory.

    Attributes:
        hi: (values,) first 64 bits.
        label: (values,) position of a declared label of the value's holder; None without labels.
    """

    hi: U64
    label: U8 | None

    @property
    def size(self) -> int:
        """Return how many entries there are."""
        return self.hi.size

    def part(self, start: int, stop: int) -> tuple[U64, U8 | None]:
        """Return some of the entries."""
        return self.hi[start:stop], None if self.label is None else self.label[start:stop]


@dataclass(frozen=True)
class BaseView:
    """A version of a base under the dataset's token key; it lives in memory only.

    Attributes:
        keys: by name.
        labels: how many labels are declared.
    """

    keys: Mapping[str, BaseValues]
    labels: int


@dataclass(frozen=True)
class Plan:
    """What to count.

    Attributes:
        purpose: whose consents count.
        keys: names of the keys to match on, in the dataset's declared order; shares per key go by it.
        segments: canonical conditions.
        breakdowns: attribute names of each breakdown.
        labels: count persons by label.
        per_key: count persons by the key of their first hit.
        dataset_side: also count segments and breakdowns over everyone consented, for an affinity index.
        sums: attributes whose clamped totals are added up over the overlap, its segments and its breakdowns.
        open_breakdown: an open category by which the overlap is counted.
    """

    purpose: str
    keys: tuple[str, ...]
    segments: tuple[Node, ...] = ()
    breakdowns: tuple[tuple[str, ...], ...] = ()
    labels: bool = False
    per_key: bool = False
    dataset_side: bool = False
    sums: tuple[str, ...] = ()
    open_breakdown: str | None = None


@dataclass(frozen=True)
class ExactSums:
    """Exact sums of one attribute's clamped totals, in stored units.

    They cannot overflow: a clamp ends at 10**9 stored units and a version holds fewer than 2**32 persons.

    Attributes:
        attribute: what is added up.
        overlap: over everyone matched and consented.
        segments: in the plan's order.
        breakdowns: in the plan's order, each flattened row-major over the attributes' cells.
    """

    attribute: str
    overlap: int
    segments: tuple[int, ...]
    breakdowns: tuple[I64, ...]


@dataclass(frozen=True)
class SideCounts:
    """Exact counts over everyone consented in the dataset, or over those of them who matched.

    Attributes:
        persons: all of them.
        segments: in the plan's order.
        breakdowns: in the plan's order, each flattened row-major over the attributes' cells.
        sums: in the plan's order.
    """

    persons: int
    segments: tuple[int, ...]
    breakdowns: tuple[I64, ...]
    sums: tuple[ExactSums, ...] = ()


@dataclass(frozen=True)
class ExactCounts:
    """Exact counts of distinct persons, and sums, on their way to the release gate and nowhere else.

    Attributes:
        overlap: matched and consented persons.
        keys: by the key of the first hit, in the plan's order; empty unless asked for.
        labels: by the first declared label, in declared order; empty unless asked for.
        segments: in the plan's order.
        breakdowns: in the plan's order, each flattened row-major over the attributes' cells.
        dataset: the same over everyone consented, when asked for.
        sums: in the plan's order.
        open_breakdown: by the values that occur, those without one under `unknown`; a person has one.
    """

    overlap: int
    keys: Mapping[str, int]
    labels: tuple[int, ...]
    segments: tuple[int, ...]
    breakdowns: tuple[I64, ...]
    dataset: SideCounts | None
    sums: tuple[ExactSums, ...] = ()
    open_breakdown: Mapping[str, int] = field(default_factory=dict)


class MatchEngine(Protocol):
    """Counts matched persons."""

    def count(self, view: DatasetView, base: BaseView, plan: Plan) -> ExactCounts:
        """Count what the plan asks for.

        Adding or removing one person changes no count by more than 1, and no sum by more than its attribute's
        `largest`.
        """
        ...
