"""What an attack is, and what it finds."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from cleanroom.redteam.lab import Lab

Interval = tuple[float, float]
WIDEST = 0.06
"""An interval wider than this leaves open whether the policy resists."""


class Metric(StrEnum):
    """How success is measured.

    Advantage is true minus false positive rate, 0 for a coin and 1 for certainty; accuracy is the share of secret
    bits guessed rightly, 0.5 for a coin.
    """

    ADVANTAGE = "advantage"
    ACCURACY = "accuracy"


class Verdict(StrEnum):
    """Whether the policy withstands."""

    RESISTS = "resists"
    FALLS = "falls"


@dataclass(frozen=True)
class Series:
    """Points of one line or cloud of an attack's plot.

    Attributes:
        name: for the legend.
        points: (x, y) pairs.
        kind: `line`, `points` or `bars`.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    kind: str = "line"


@dataclass(frozen=True)
class Plot:
    """What to draw for an attack.

    Attributes:
        x: what the horizontal axis shows.
        y: what the vertical axis shows.
        series: at least one.
    """

    x: str
    y: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class AttackResult:
    """What an attack found under a policy.

    Attributes:
        name: the attack's.
        metric: what `value` is.
        value: how far the attack came.
        interval95: both ends of its 95% confidence interval.
        limit: what the policy promises that no such attack exceeds.
        trials: independent games played.
        plot: what happened, to be drawn; None when nothing could be asked.
        note: one sentence on what is particular, for instance which rule refused the attack.
    """

    name: str
    metric: Metric
    value: float
    interval95: Interval
    limit: float
    trials: int
    plot: Plot | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Falls when even the lower end of the interval lies above the limit."""
        return Verdict.FALLS if self.interval95[0] > self.limit else Verdict.RESISTS


class Attack(Protocol):
    """One attack of the threat model.

    Attributes:
        name: as it stands in reports, for good.
        title: what is tried, in one sentence.
        metric: how success is measured.
        plants: the faults that make it succeed; names of `cleanroom.redteam.plants`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    metric: ClassVar[Metric]
    plants: ClassVar[tuple[str, ...]]

    def run(self, lab: "Lab") -> AttackResult:
        """Play the games in the lab's rooms."""
        ...
