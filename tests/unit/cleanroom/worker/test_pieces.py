"""Whose question comes next, and how long a worker waits after a failure."""

from threading import Event

from cleanroom.analyses.queue import Waiting
from cleanroom.worker.pieces import in_turn, pause_after
from cleanroom.worker.process import repeat


def questions(*names: str) -> list[Waiting]:
    return [Waiting(name, name[0]) for name in names]


def test_one_of_each_before_the_second_of_any() -> None:
    waiting = questions("a1", "a2", "a3", "b1", "c1", "b2")
    assert [each.id for each in in_turn(waiting, [])] == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_whoever_was_served_last_waits_for_the_others() -> None:
    waiting = questions("a1", "a2", "b1", "c1")
    assert [each.id for each in in_turn(waiting, ["c", "a"])] == ["b1", "c1", "a1", "a2"]


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [pause_after(failures) for failures in (1, 2, 3, 7, 1_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_a_failure_is_reported_and_does_not_end_the_work() -> None:
    ending, told, calls = Event(), [], []

    def piece() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("p7@example.org")
        ending.set()
        return False

    repeat(piece, ending, lambda event, error: told.append((event, type(error).__name__)), 0.0)
    assert (len(calls), told) == (2, [("worker.failed", "RuntimeError")])
