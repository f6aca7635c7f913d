"""A spool gives back what it took, bucket by bucket and in order, whatever had to be spilled."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cleanroom.ingestion.budget import Budget
from cleanroom.ingestion.errors import SkewError
from cleanroom.ingestion.spool import MAX_BUCKET_BITS, Spool, bucket_bits, bucket_of, pick, refit

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


def test_other_widths_keep_numbers_no_value_and_all_other_fields():
    fields = [("hi", "<u8"), ("a", "<i8"), ("flags", "<u8", (2,)), ("day", "<i4"), ("op", "u1")]
    wide = np.dtype(fields)
    narrow = np.dtype(
        [(name, {"a": "<i2", "day": "<i1"}.get(name, kind), *rest) for name, kind, *rest in fields]
    )
    null, none = np.iinfo(np.int64).min, np.iinfo(np.int32).min
    records = np.array([(2**64 - 1, null, (1, 2), 5, 7), (3, -32_767, (4, 5), none, 9)], wide)
    fitted = refit(records, narrow)
    assert fitted[["hi", "a", "day", "op"]].tolist() == [
        (2**64 - 1, -32_768, 5, 7),
        (3, -32_767, -128, 9),
    ]
    assert fitted["flags"].tolist() == [[1, 2], [4, 5]]
    assert refit(fitted, wide).tobytes() == records.tobytes()


@pytest.mark.parametrize("memory_bytes", [1_200, 10_000_000])
def test_numbers_that_came_narrower_are_given_back_alike(memory_bytes):
    kinds = [np.dtype([("value", "<u8"), ("a", kind)]) for kind in ("<i1", "<i2", "<i8")]
    spill = MemorySpill()
    spool = Spool(kinds[-1], buckets=4, memory_bytes=10_000_000, spill=spill, budget=Budget(memory_bytes))
    chance = np.random.default_rng(9)
    expected = []
    for turn in range(60):
        # As threads give them: the widest so far, but not quite in order.
        part = np.zeros(13, kinds[min(max(turn // 20 + turn % 2 - 1, 0), 2)])
        part["value"] = chance.integers(0, 2**63, 13).astype(np.uint64) * 2
        part["a"] = chance.integers(-127, 127, 13)
        part["a"][turn % 13] = np.iinfo(part["a"].dtype).min
        known = part["a"].astype(np.int64)
        known[turn % 13] = np.iinfo(np.int64).min
        expected += zip(part["value"].tolist(), known.tolist(), strict=True)
        spool.add(part, bucket_of(part["value"], 2))
    spool.settle()
    assert bool(spill.runs) == (memory_bytes < 10_000)
    read = [spool.read(bucket) for bucket in range(4)]
    assert all(records.dtype == kinds[-1] for records in read)
    assert sorted(np.concatenate(read).tolist()) == sorted(expected)


def test_of_several_spools_the_largest_gives_way_and_never_one_that_is_read():
    spill = MemorySpill()
    budget = Budget(4_000)
    small, large = (
        Spool(RECORD, buckets=1, memory_bytes=10_000, spill=spill, budget=budget) for _ in range(2)
    )
    for spool, count in ((small, 5), (large, 30)):
        for _ in range(count):
            spool.add(np.zeros(10, RECORD), np.zeros(10, np.uint16))
    assert small.held_bytes == 5 * 10 * RECORD.itemsize
    assert small.held_bytes + large.held_bytes <= 4_000 * 7 // 8
    assert spill.runs
    large.settle()
    held = large.held_bytes
    for _ in range(20):
        small.add(np.zeros(10, RECORD), np.zeros(10, np.uint16))
    assert large.held_bytes == held
    small.settle()
    assert [spool.read(0).size for spool in (small, large)] == [250, 300]


def test_writing_in_another_thread_loses_nothing_and_tells_its_failure():
    class Full(MemorySpill):
        def write(self, parts: Iterator[memoryview]) -> MemoryRun:
            raise OSError("No space left on device")

    with ThreadPoolExecutor(1) as pool:
        spool = Spool(
            RECORD, buckets=4, memory_bytes=100_000, spill=MemorySpill(), budget=Budget(1_200), pool=pool
        )
        values = np.random.default_rng(5).integers(0, 2**63, 800).astype(np.uint64) * 2
        for start in range(0, 800, 20):
            part = np.zeros(20, RECORD)
            part["value"] = values[start : start + 20]
            spool.add(part, bucket_of(part["value"], 2))
        spool.settle()
        seen = np.concatenate([spool.read(bucket)["value"] for bucket in range(4)])
        expected = np.concatenate([values[bucket_of(values, 2) == bucket] for bucket in range(4)])
        assert seen.tolist() == expected.tolist()
        failing = Spool(RECORD, buckets=1, memory_bytes=1_200, spill=Full(), pool=pool)
        failing.add(np.zeros(90, RECORD), np.zeros(90, np.uint16))
        with pytest.raises(OSError, match="No space"):
            failing.settle()
        failing.close()
