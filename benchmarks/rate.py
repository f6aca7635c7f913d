"""Work that arrives at a steady rate, whatever happens to what came before it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def at_a_rate(
    work: Callable[[], object], *, per_second: float, seconds: float, workers: int
) -> dict[str, float]:
    """Call something at a steady rate and time each call from when it was due.

    Args:
        work: called by the workers, of which each does one thing at a time.
        per_second: how often.
        seconds: for how long; calls that come too late to start within twice this time are given up.
        workers: threads; as many calls can be under way at once.
    """
    calls = max(int(per_second * seconds), 1)
    started = time.perf_counter() + 0.05
    late = started + 2 * seconds
    waiting = iter(range(calls))
    lock = threading.Lock()
    latencies: list[float] = []

    def serve() -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None or time.perf_counter() > late:
                return
            due = started + number / per_second
            # An open loop: a request is due whatever became of those before it.
            time.sleep(max(0.0, due - time.perf_counter()))
            work()
            latencies.append(time.perf_counter() - due)

    with ThreadPoolExecutor(workers) as pool:
        for thread in [pool.submit(serve) for _ in range(workers)]:
            thread.result()
    taken = time.perf_counter() - started
    p50, p99 = np.quantile(latencies, [0.5, 0.99])
    return {
        "asked_per_s": per_second,
        "served_per_s": len(latencies) / taken,
        "given_up": calls - len(latencies),
        "p50_s": float(p50),
        "p99_s": float(p99),
    }
