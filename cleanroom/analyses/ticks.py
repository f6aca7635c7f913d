"""When an answer is released, and how far it seems to be: by public sizes and the calendar, never by the data.

How long a question is counted depends on what is found, so the instant of its end is a figure that no noise covers.
An answer is released at the first multiple of a tick after it was counted, and the tick follows from what everyone
knows, or what is the asker's own. Nearly always that is the first multiple, whatever was found.
"""

from datetime import datetime, timedelta

from cleanroom.release.types import ReleasedFigure

UNKNOWN_PERSONS = 1_000_000
"""Taken for the size of a dataset that has released none."""
_PERSONS_PER_SECOND = 10_000_000
_SEGMENTS_PER_PASS = 100
_LEAST_SECONDS = 0.25
_ALMOST = 0.99


def tick_ms(unit_ms: int, *, base_persons: int, public_size: ReleasedFigure | None, segments: int) -> int:
    """Return the tick of a question: a generous guess of how long it takes, as one of few steps.

    Args:
        unit_ms: the smallest tick, in milliseconds; 0 releases every answer as soon as it is counted.
        base_persons: persons of the asker's own base.
        public_size: the dataset's size as released to everyone, if it was.
        segments: how many are asked for.

    Returns:
        Milliseconds: the unit, doubled as often as needed.
    """
    if unit_ms == 0:
        return 0
    persons = base_persons + (public_size.value if public_size and public_size.value else UNKNOWN_PERSONS)
    seconds = _LEAST_SECONDS + persons * (1 + segments / _SEGMENTS_PER_PASS) / _PERSONS_PER_SECOND
    tick = unit_ms
    while tick < seconds * 1000:
        tick *= 2
    return tick


def shown_at(asked_at: datetime, finished_at: datetime, tick_ms: int) -> datetime:
    """Return when the answer of a question is shown: a multiple of its tick after it was asked.

    Args:
        asked_at: the instant of asking.
        finished_at: when it ended: a multiple of the tick, unless it was cancelled or lost.
        tick_ms: of the question; with 0 it is shown as soon as it is finished.
    """
    if tick_ms == 0:
        return finished_at
    tick = timedelta(milliseconds=tick_ms)
    return asked_at + max(1, -((asked_at - finished_at) // tick)) * tick


def next_look(asked_at: datetime, now: datetime, tick_ms: int) -> datetime:
    """Return the first instant after now at which there can be something to see."""
    if tick_ms == 0:
        return now
    tick = timedelta(milliseconds=tick_ms)
    return asked_at + ((now - asked_at) // tick + 1) * tick


def progress(asked_at: datetime, now: datetime, tick_ms: int) -> float:
    """Return the share of the first tick that has passed, below 1."""
    if tick_ms == 0:
        return 0.0
    return max(0.0, min(_ALMOST, (now - asked_at) / timedelta(milliseconds=tick_ms)))
