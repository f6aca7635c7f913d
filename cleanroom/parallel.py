"""Work in other threads, its results in order: numpy, hashing and encryption leave the interpreter's lock alone."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 2
"""Threads that prepare while the calling one writes; more would take more memory for rows in flight."""


def in_order(
    pool: Executor | None, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yield the result of every item, in the items' order.

    Args:
        pool: whose threads work, at most `WORKERS` items ahead of the caller; None works in this one.
        work: must not depend on the order in which items are worked on.
        items: taken in the calling thread.
    """
    if pool is None:
        yield from map(work, items)
        return
    ahead: deque[Future[Result]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        # Whoever stops early closes what the work reads from.
        for future in ahead:
            future.cancel()
        wait(ahead)
