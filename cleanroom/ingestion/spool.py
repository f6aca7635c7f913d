"""Records sorted into buckets, in memory up to a limit and in sealed files beyond it."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cleanroom.datasets.numbers import as_kind
from cleanroom.ingestion.budget import Budget
from cleanroom.ingestion.errors import SkewError

Records: TypeAlias = NDArray[np.void]
MAX_BUCKET_BITS = 12
_PART_BYTES = 1 << 22
"""Records put in order at a time while they are written to a run."""


class Run(Protocol):
    """Bytes that were spilled."""

    def read(self, offset: int, length: int) -> memoryview:
        """Return some of the bytes, verified."""
        ...

    def delete(self) -> None:
        """Remove them."""
        ...


class Spill(Protocol):
    """Makes runs."""

    def write(self, parts: Iterator[memoryview]) -> Run:
        """Write the parts one after another."""
        ...


@dataclass(frozen=True)
class Block:
    """Records ordered by bucket.

    Attributes:
        records: in order of arrival within a bucket.
        bounds: where each bucket begins, and the last one ends.
    """

    records: Records
    bounds: NDArray[np.int64]


@dataclass(frozen=True)
class _Spilled:
    run: Run
    dtype: np.dtype[Any]
    bounds: NDArray[np.int64]


class Spool:
    """Takes records in any order and gives them back bucket by bucket, each in order of arrival.

    Records that come later may have wider numbers than earlier ones; they are given back alike.

    What it has in memory stays below a limit, which it may share with others; before that is reached, its oldest
    records are written as one run, while more may come.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        *,
        buckets: int,
        memory_bytes: int,
        spill: Spill,
        budget: Budget | None = None,
        pool: Executor | None = None,
    ) -> None:
        """Prepare an empty spool.

        Args:
            dtype: of one record, at its widest.
            buckets: at most 65,536.
            memory_bytes: how large one bucket may be.
            spill: where runs go.
            budget: shared with other spools; None: as much as a bucket may be in memory.
            pool: whose threads write runs; None: the caller's does.
        """
        self.buckets = buckets
        self._dtype = dtype
        self._memory_bytes = memory_bytes
        self._budget = budget or Budget(memory_bytes)
        self._spill = spill
        self._held: list[Block] = []
        self._held_bytes = 0
        self._runs: list[_Spilled] = []
        self._pool = pool
        self._writing: Future[_Spilled] | None = None
        self._settled = False
        self._budget.join(self)

    @property
    def held_bytes(self) -> int:
        """What is in memory, apart from what is being written."""
        return self._held_bytes

    @property
    def fixed(self) -> bool:
        """Whether it is being read."""
        return self._settled

    def arrange(self, records: Records, bucket: NDArray[np.uint16], *, ordered: bool = False) -> Block:
        """Order records by bucket; any thread may, the spool does not have them yet.

        Args:
            records: any number of them.
            bucket: the bucket of each.
            ordered: whether they are ordered by bucket already.
        """
        if self.buckets > 1 and records.size and not ordered:
            # 16-bit stable sorting is a radix sort: linear, and it keeps the order of arrival.
            records = pick(records, np.argsort(bucket, kind="stable"))
        counts = np.bincount(bucket, minlength=self.buckets)
        return Block(records, np.concatenate(([0], np.cumsum(counts))))

    def hold(self, block: Block) -> None:
        """Take records that were arranged; what comes first arrives first."""
        if not block.records.size:
            return
        self._settled = False
        self._held.append(block)
        self._held_bytes += block.records.nbytes
        self._budget.relieve()

    def add(self, records: Records, bucket: NDArray[np.uint16]) -> None:
        """Arrange and take records."""
        self.hold(self.arrange(records, bucket))

    def settle(self) -> None:
        """Wait until what has no room is written; then the spool can be read, until it takes more."""
        self._wait()
        self._settled = True

    def sizes(self) -> NDArray[np.int64]:
        """Return how many records each bucket has; the spool is settled."""
        sizes = np.zeros(self.buckets, np.int64)
        items: list[_Spilled | Block] = [*self._runs, *self._held]
        for item in items:
            sizes += np.diff(item.bounds)
        return sizes

    def read(self, bucket: int) -> Records:
        """Return a bucket's records in order of arrival; any thread may, once it is settled.

        Their numbers are as wide as the widest among them.

        Raises:
            SkewError: the bucket alone passes the memory limit.
        """
        widest = self._dtype.itemsize
        items: list[_Spilled | Block] = [*self._runs, *self._held]
        spans = [(int(item.bounds[bucket]), int(item.bounds[bucket + 1])) for item in items]
        total = sum(high - low for low, high in spans)
        if total * widest > self._memory_bytes:
            raise SkewError(
                f"More than {self._memory_bytes // widest} rows share one person_id or one key value.",
                remedy="Check the columns that the schema names, or raise CLEANROOM_MEMORY_BYTES.",
            )
        parts: list[tuple[np.dtype[Any], memoryview]] = []
        for item, (low, high) in zip(items, spans, strict=True):
            if low == high:
                continue
            if isinstance(item, Block):
                parts.append((item.records.dtype, item.records[low:high].view(np.uint8).data))
            else:
                size = item.dtype.itemsize
                parts.append((item.dtype, item.run.read(low * size, (high - low) * size)))
        kinds = {kind for kind, _ in parts}
        if len(kinds) > 1:
            kind = _widest(kinds)
            return np.concatenate([refit(np.frombuffer(data, own), kind) for own, data in parts])
        # As plain bytes, as in `pick`.
        return np.frombuffer(b"".join(data for _, data in parts), next(iter(kinds), self._dtype))

    def close(self) -> None:
        """Forget everything and remove the runs."""
        with suppress(Exception):
            # Whoever closes because writing failed knows.
            self._wait()
        for item in self._runs:
            item.run.delete()
        self._runs.clear()
        self._held.clear()
        self._held_bytes = 0

    def give_back(self, size: int) -> None:
        """Write the oldest records; everything would often be twice as much as has no room."""
        self._wait()
        oldest: list[Block] = []
        while self._held and size > 0:
            oldest.append(self._held.pop(0))
            self._held_bytes -= oldest[-1].records.nbytes
            size -= oldest[-1].records.nbytes
        if self._pool is None:
            self._runs.append(self._write(oldest))
        else:
            self._writing = self._pool.submit(self._write, oldest)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._runs.append(writing.result())

    def _write(self, blocks: list[Block]) -> _Spilled:
        bounds = np.sum([block.bounds for block in blocks], axis=0)
        kind = _widest({block.records.dtype for block in blocks})
        return _Spilled(self._spill.write(_parts(blocks, kind, bounds)), kind, bounds)


def _widest(kinds: set[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the type that holds all others: of any two, one has no number wider than the other's."""
    return max(kinds, key=lambda kind: kind.itemsize)


def _parts(blocks: list[Block], kind: np.dtype[Any], bounds: NDArray[np.int64]) -> Iterator[memoryview]:
    """Yield the records of blocks in the order of their buckets, several buckets at a time.

    A bucket's share of a block is small; to handle each on its own would cost time by the square of the rows.
    """
    first, size = 0, kind.itemsize
    while first < bounds.size - 1:
        # As many buckets as fit, but at least one.
        end = int(np.searchsorted(bounds, bounds[first] + _PART_BYTES // size, side="right")) - 1
        end = max(end, first + 1)
        within = np.array([block.bounds[first : end + 1] for block in blocks])
        records = np.concatenate(
            [
                refit(block.records[low:high], kind)
                for block, low, high in zip(blocks, within[:, 0], within[:, -1], strict=True)
            ]
        )
        offset = np.concatenate(([0], np.cumsum(within[:, -1] - within[:, 0])[:-1]))
        starts = (within[:, :-1] - within[:, :1] + offset[:, None]).T.ravel()
        counts = np.diff(within, axis=1).T.ravel()
        order = np.arange(records.size) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
        if records.size:
            yield pick(records, order).view(np.uint8).data
        first = end


def pick(records: Records, positions: NDArray[np.int64]) -> Records:
    """Return the records at some positions.

    As plain bytes: numpy copies a record with fields field by field, 20 times slower.
    """
    plain = np.ascontiguousarray(records).view(np.dtype((np.void, records.dtype.itemsize)))
    picked: Records = plain.take(positions).view(records.dtype)
    return picked


def part_of(records: Records, offset: int, size: int) -> NDArray[np.void]:
    """View some bytes of each record; as plain bytes, as in `pick`."""
    view = np.dtype(
        {"names": ["part"], "formats": [f"V{size}"], "offsets": [offset], "itemsize": records.dtype.itemsize}
    )
    found: NDArray[np.void] = records.view(view)["part"]
    return found


def refit(records: Records, dtype: np.dtype[Any]) -> Records:
    """Return records whose signed numbers have other widths, which hold them; the smallest is "no value" in each.

    Args:
        records: packed, without gaps between fields.
        dtype: with the same fields in the same order.
    """
    if records.dtype == dtype:
        return records
    made = np.empty(records.size, dtype)
    old: Mapping[str, Any] = records.dtype.fields or {}
    new: Mapping[str, Any] = dtype.fields or {}
    # Fields that stay as they are, side by side, are copied together.
    for stays, names in groupby(dtype.names or (), lambda name: old[name][0] == new[name][0]):
        together = list(names)
        if not stays:
            for name in together:
                made[name] = as_kind(np.ascontiguousarray(records[name]), new[name][0])
            continue
        size = sum(new[name][0].itemsize for name in together)
        source = part_of(records, old[together[0]][1], size)
        part_of(made, new[together[0]][1], size)[...] = source
    return made


def bucket_bits(total_bytes: int, *, bucket_bytes: int, ranks: int = 1) -> int:
    """Return how many leading bits of a uniform value make buckets of about the given size.

    With `ranks` there are so many times as many buckets, whose numbers must still fit into two bytes.
    """
    bits = (total_bytes // max(bucket_bytes, 1)).bit_length()
    return min(bits, MAX_BUCKET_BITS, 16 - (ranks - 1).bit_length())


def bucket_of(values: NDArray[np.uint64], bits: int) -> NDArray[np.uint16]:
    """Return the leading bits of each value."""
    if not bits:
        return np.zeros(values.shape, np.uint16)
    return (values >> np.uint64(64 - bits)).astype(np.uint16)
