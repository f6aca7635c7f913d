"""Results come in the items' order whatever order threads work in, and few items are ahead."""

import time
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Lock

import numpy as np
import pytest

from cleanroom.parallel import WORKERS, in_order


@pytest.fixture(params=[True, False])
def pool(request: pytest.FixtureRequest):
    if not request.param:
        yield None
        return
    with ThreadPoolExecutor(WORKERS) as made:
        yield made


def test_results_come_in_order(pool: Executor | None) -> None:
    delays = np.random.default_rng(5).random(40) / 200

    def work(item: int) -> int:
        time.sleep(delays[item])
        return item * item

    assert list(in_order(pool, work, range(40))) == [item * item for item in range(40)]


def test_items_are_taken_only_a_few_ahead(pool: Executor | None) -> None:
    taken = []
    results = in_order(pool, lambda item: item, (taken.append(item) or item for item in range(1_000)))
    for expected in range(20):
        assert next(results) == expected
        assert len(taken) <= expected + 1 + WORKERS
    results.close()
    assert len(taken) < 30


def test_a_failure_comes_in_its_place_and_nothing_works_on_afterwards(pool: Executor | None) -> None:
    working, lock = set(), Lock()

    def work(item: int) -> int:
        with lock:
            working.add(item)
        time.sleep(0.005)
        if item == 3:
            raise ZeroDivisionError
        with lock:
            working.remove(item)
        return item

    results = in_order(pool, work, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert working == {3}
