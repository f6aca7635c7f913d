"""The cache of decrypted columns: bounded, shared, never freed in use, overwritten when it goes."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

from cleanroom.datasets.cache import ColumnCache


def column(size: int, value: int = 7) -> np.ndarray:
    return np.full(size, value, np.uint8)


def put(cache: ColumnCache, file_id: str, size: int) -> np.ndarray | None:
    """Load a column and give it back; returns the very array, to see what becomes of it."""
    with cache.scope() as scope:
        kept = scope.get((file_id, "whole"), size, lambda: (column(size),))
        return kept[0] if kept else None


def never() -> tuple[np.ndarray, ...]:
    raise AssertionError("It is there already.")


def test_what_was_loaded_once_is_not_loaded_again_and_cannot_be_changed():
    cache = ColumnCache(100)
    put(cache, "a", 40)
    with cache.scope() as scope:
        (kept,) = scope.get(("a", "whole"), 40, never)
        assert kept.tolist() == [7] * 40
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 1


def test_the_longest_unused_goes_first_and_is_overwritten():
    cache = ColumnCache(100)
    old, young = put(cache, "old", 40), put(cache, "young", 40)
    assert put(cache, "old", 40) is old
    put(cache, "new", 60)
    assert not young.any()
    assert old.all()
    assert cache.used_bytes == 100


def test_what_is_in_use_stays_and_what_does_not_fit_beside_it_is_not_kept():
    cache = ColumnCache(100)
    with cache.scope() as scope:
        (kept,) = scope.get(("a", "whole"), 60, lambda: (column(60),))
        assert put(cache, "b", 60) is None
        assert kept.all()
        assert cache.used_bytes == 60
    assert put(cache, "b", 60) is not None
    assert not kept.any()


def test_what_cannot_fit_drives_nothing_out():
    cache = ColumnCache(100)
    small = put(cache, "small", 30)
    with cache.scope() as scope:
        (used,) = scope.get(("used", "whole"), 60, lambda: (column(60),))
        for size in (41, 70, 101):
            assert put(cache, "large", size) is None
        assert put(cache, "small", 30) is small
        assert small.all()
        assert put(cache, "other", 40) is not None
        assert not small.any()
    assert used.all()


def test_a_thread_that_outlives_its_scope_keeps_nothing_in_use():
    cache = ColumnCache(100)
    with cache.scope() as scope:
        pass
    with pytest.raises(RuntimeError, match="ended"):
        scope.get(("late", "whole"), 40, lambda: (column(40),))
    assert put(cache, "other", 80) is not None


@pytest.mark.parametrize("limit", [0, 39])
def test_nothing_larger_than_the_limit_is_kept(limit):
    cache = ColumnCache(limit)
    assert put(cache, "a", 40) is None
    assert cache.used_bytes == 0


def test_what_turns_out_smaller_takes_only_what_it_is():
    cache = ColumnCache(100)
    with cache.scope() as scope:
        assert scope.get(("a", "narrow"), 80, lambda: ()) == ()
        assert cache.used_bytes == 0
        assert scope.get(("a", "narrow"), 80, never) == ()


@pytest.mark.parametrize("in_use", [False, True])
def test_closing_overwrites_everything_and_what_is_in_use_as_soon_as_it_is_given_back(in_use):
    cache = ColumnCache(100)
    idle = put(cache, "idle", 10)
    with cache.scope() as scope:
        (leased,) = scope.get(("leased", "whole"), 10, lambda: (column(10),))
        if not in_use:
            scope.release()
        cache.close()
        assert not idle.any()
        assert leased.all() == in_use
    assert not leased.any()
    assert cache.used_bytes == 0
    assert put(cache, "idle", 10).all()


def test_dropping_a_file_takes_all_that_came_from_it_and_nothing_else():
    cache = ColumnCache(100)
    mine, other = put(cache, "mine", 10), put(cache, "other", 10)
    cache.drop("mine")
    assert not mine.any()
    assert other.all()
    assert cache.used_bytes == 10


def test_a_load_that_fails_leaves_nothing_behind_and_the_next_one_tries_again():
    cache = ColumnCache(100)
    with cache.scope() as scope, pytest.raises(OSError, match="gone"):
        scope.get(("a", "whole"), 10, lambda: (_ for _ in ()).throw(OSError("gone")))
    assert cache.used_bytes == 0
    assert put(cache, "a", 10).all()


def test_who_asks_while_it_is_loaded_waits_and_shares_it():
    cache, loads, begun, go_on = ColumnCache(100), [], Event(), Event()

    def load() -> tuple[np.ndarray, ...]:
        loads.append(1)
        begun.set()
        assert go_on.wait(120)
        return (column(10),)

    def ask() -> int:
        with cache.scope() as scope:
            return id(scope.get(("a", "whole"), 10, load)[0])

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask)]
        assert begun.wait(120)
        asked += [pool.submit(ask) for _ in range(3)]
        time.sleep(0.05)
        go_on.set()
        assert len({each.result(120) for each in asked}) == 1
    assert len(loads) == 1


def test_what_is_dropped_while_it_is_loaded_is_overwritten_after_its_last_use():
    cache = ColumnCache(100)
    with cache.scope() as scope:

        def load() -> tuple[np.ndarray, ...]:
            cache.drop("a")
            return (column(10),)

        (kept,) = scope.get(("a", "whole"), 10, load)
        assert kept.all()
    assert not kept.any()
    assert cache.used_bytes == 0


def test_a_load_that_fails_after_it_was_dropped_does_not_take_the_next_one_along():
    cache = ColumnCache(100)
    with cache.scope() as scope:

        def load() -> tuple[np.ndarray, ...]:
            cache.drop("a")
            assert put(cache, "a", 20).all()
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            scope.get(("a", "whole"), 10, load)
    assert cache.used_bytes == 20
    assert put(cache, "a", 20).all()


def test_many_threads_never_see_a_freed_column_and_never_pass_the_limit():
    cache, start = ColumnCache(100), Barrier(4)

    def ask(seed: int) -> bool:
        random = np.random.default_rng(seed)
        start.wait(120)
        good = True
        for file_id in random.integers(0, 8, 300).tolist():
            with cache.scope() as scope:
                kept = scope.get((str(file_id), "whole"), 30, lambda value=file_id: (column(30, value + 1),))
                good &= cache.used_bytes <= 100
                if kept is not None:
                    time.sleep(0)
                    good &= bool((kept[0] == file_id + 1).all())
        return good

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))
