"""A spool gives back what it took, bucket by bucket and in order, whatever had to be spilled."""

from collections.abc import Iterator

import numpy as np
import pytest

from cleanroom.ingestion.errors import SkewError
from cleanroom.ingestion.spool import MAX_BUCKET_BITS, Spool, bucket_bits, bucket_of, pick

RECORD = np.dtype([("value", "<u8"), ("at", "<u4")])


class MemoryRun:
    def __init__(self, data: bytes, runs: list["MemoryRun"]) -> None:
        self._data = data
        self._runs = runs

    def read(self, offset: int, length: int) -> memoryview:
        return memoryview(self._data)[offset : offset + length]

    def delete(self) -> None:
        self._runs.remove(self)


class MemorySpill:
    def __init__(self) -> None:
        self.runs: list[MemoryRun] = []

    def write(self, parts: Iterator[memoryview]) -> MemoryRun:
        self.runs.append(MemoryRun(b"".join(bytes(part) for part in parts), self.runs))
        return self.runs[-1]


@pytest.mark.parametrize("memory_bytes", [1_200, 10_000_000])
def test_records_come_back_by_bucket_in_order_of_arrival(memory_bytes):
    spill = MemorySpill()
    spool = Spool(RECORD, buckets=8, memory_bytes=memory_bytes, spill=spill)
    values = np.random.default_rng(3).integers(0, 2**63, 500).astype(np.uint64) * 2
    for start in range(0, 500, 37):
        part = np.zeros(values[start : start + 37].size, RECORD)
        part["value"], part["at"] = values[start : start + 37], np.arange(start, start + part.size)
        spool.add(part, bucket_of(part["value"], 3))
    spool.add(np.empty(0, RECORD), np.empty(0, np.uint16))
    assert bool(spill.runs) == (memory_bytes < 10_000)
    seen = [spool.read(bucket) for bucket in range(8)]
    for bucket, records in enumerate(seen):
        assert (bucket_of(records["value"], 3) == bucket).all()
        assert (np.diff(records["at"].astype(np.int64)) > 0).all()
    together = np.concatenate(seen)
    assert together["value"][np.argsort(together["at"])].tolist() == values.tolist()
    spool.close()
    assert spill.runs == []


def test_a_bucket_larger_than_the_memory_is_refused_with_limit_and_remedy():
    spool = Spool(RECORD, buckets=1, memory_bytes=1_000, spill=MemorySpill())
    spool.add(np.zeros(100, RECORD), np.zeros(100, np.uint16))
    with pytest.raises(SkewError, match=r"More than 83 rows .* CLEANROOM_MEMORY_BYTES"):
        spool.read(0)


def test_buckets_are_few_and_of_the_size_asked_for():
    assert bucket_bits(0, bucket_bytes=10) == 0
    assert bucket_bits(9, bucket_bytes=10) == 0
    assert bucket_bits(100, bucket_bytes=10) == 4
    assert bucket_bits(1 << 60, bucket_bytes=1) == MAX_BUCKET_BITS


@pytest.mark.parametrize("ranks", [1, 2, 15, 16, 17, 33, 300])
def test_the_numbers_of_all_buckets_fit_into_two_bytes(ranks):
    bits = bucket_bits(1 << 60, bucket_bytes=1, ranks=ranks)
    assert ranks << bits <= 1 << 16
    assert bits == MAX_BUCKET_BITS or ranks << bits + 1 > 1 << 15
    assert bucket_of(np.array([0, 1 << 63], np.uint64), 1).tolist() == [0, 1]


def test_picking_keeps_fields():
    records = np.array([(1, 2), (3, 4)], RECORD)
    assert pick(records, np.array([1, 1, 0])).tolist() == [(3, 4), (3, 4), (1, 2)]
