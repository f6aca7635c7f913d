"""What leaves the gate."""

from dataclasses import dataclass

Interval = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """One exact count on its way into the gate; never stored, logged or shown.

    Attributes:
        name: canonical: `overlap`, `key:email/room`, `label:vip`, `segment:0`, `breakdown:0:3`; with `dataset:` before
            it for a count over the whole dataset.
        exact: distinct persons.
        within: the name of the cell that contains this one, for consistency; None at the top.
    """

    name: str
    exact: int
    within: str | None


@dataclass(frozen=True)
class ReleasedFigure:
    """A noisy, thresholded count; only `cleanroom.release.gate` makes one.

    Attributes:
        name: as in `Cell`; its asker reads `segment:NAME` and `breakdown:sex=F,age=25-34`.
        value: distinct persons after noise, consistency and rounding; None when suppressed.
        suppressed: the noisy value did not reach the threshold.
        sigma: the standard deviation of its noise, in people.
        interval95: both ends, in people, covering the exact count in at least 95 of 100 answers; None when suppressed.
    """

    name: str
    value: int | None
    suppressed: bool
    sigma: float
    interval95: Interval | None


@dataclass(frozen=True)
class ReleasedRatio:
    """A quotient of released figures: post-processing, at no budget.

    Attributes:
        name: `match_rate:dataset`, `match_rate:base`, `share:segment:NAME`, `affinity:segment:NAME`.
        value: the quotient; an affinity index of 100 means "as in the dataset". None when a part is suppressed.
        interval95: both ends, jointly covering with at least 95%; None with the value. An end can be unbounded (None).
    """

    name: str
    value: float | None
    interval95: tuple[float, float | None] | None


@dataclass(frozen=True)
class Mechanism:
    """How the figures of one question were made; public.

    Attributes:
        family: the mechanism's name and version.
        l0: cells that one person can change.
        rho_micro: what the question cost.
        sigma: noise of each cell, in people.
        minimum_audience: the smallest audience the rule lets out.
        threshold: the noisy value at which a cell is shown, in people.
        half_width: of a 95% interval, in people, rounding included.
        round_to: the grid of the shown values.
    """

    family: str
    l0: int
    rho_micro: int
    sigma: float
    minimum_audience: int
    threshold: int
    half_width: int
    round_to: int
