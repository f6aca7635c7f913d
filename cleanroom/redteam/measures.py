"""Several ways to the same end: each is measured, and the one that comes furthest past its limit is reported."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleanroom.redteam.statistics import advantage_of
from cleanroom.redteam.types import AttackResult, Interval, Metric, Plot, Series


@dataclass(frozen=True)
class Measure:
    """How far one way of an attack came.

    Attributes:
        way: in a few words.
        value: advantage.
        interval95: of the value.
        limit: of the account that pays.
        games: independent ones.
    """

    way: str
    value: float
    interval95: Interval
    limit: float
    games: int

    @property
    def excess(self) -> float:
        """By how much the value passes the limit; negative when it does not."""
        return self.value - self.limit


def measure(way: str, secrets: NDArray[np.bool_], guesses: NDArray[np.bool_], *, limit: float) -> Measure:
    """Measure guesses about secret bits; every pair is a game of its own."""
    value, interval = advantage_of(secrets.ravel().tolist(), guesses.ravel().tolist())
    return Measure(way, value, interval, limit, secrets.size)


def result_of(name: str, measures: Sequence[Measure], *, note: str = "") -> AttackResult:
    """Report the way that came furthest past its limit, and plot them all."""
    worst = max(measures, key=lambda found: found.excess)
    number = range(1, len(measures) + 1)
    bars = [
        Series(found.way, ((at, found.value),), "bars") for at, found in zip(number, measures, strict=True)
    ]
    limits = Series(
        "limit", tuple((at, found.limit) for at, found in zip(number, measures, strict=True)), "points"
    )
    ways = "; ".join(f"{found.way} {found.value:.3f} of {found.limit:.3f}" for found in measures)
    return AttackResult(
        name=name,
        metric=Metric.ADVANTAGE,
        value=worst.value,
        interval95=worst.interval95,
        limit=worst.limit,
        trials=sum(found.games for found in measures),
        plot=Plot("way of attack", "advantage", (*bars, limits)),
        note=note or f"{ways}.",
    )


def nothing_to_ask(name: str, limit: float) -> AttackResult:
    """Report that the policy sells nothing that the attack could ask."""
    return AttackResult(
        name=name,
        metric=Metric.ADVANTAGE,
        value=0.0,
        interval95=(0.0, 0.0),
        limit=limit,
        trials=0,
        note="The policy allows no profile, so there is no table to ask for.",
    )
