"""What leaves the gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from policies.mechanisms import suppression_threshold

Interval = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """One exact count, or one exact sum, on its way into the gate; never stored, logged or shown.

    Attributes:
        name: canonical: `overlap`, `key:email/room`, `label:vip`, `segment:0`, `breakdown:0:3`; with `dataset:` before
            it for a count over the whole dataset; `sum:spend`, `sum:spend:segment:0` for a sum.
        exact: distinct persons; of a sum, stored units.
        within: of a count, the name of the cell that contains this one, for consistency, or None at the top; of a sum,
            the name of the count of the same people, on which it depends whether the sum is shown.
        attribute: what is added up; None for a count.
        open: whether its key is known from the data alone, such as `breakdown:town=Омск` of an open category; then
            that there is such a cell is itself told with a threshold only.
    """

    name: str
    exact: int
    within: str | None
    attribute: str | None = None
    open: bool = False


@dataclass(frozen=True)
class ReleasedFigure:
    """A noisy, thresholded count or sum; only `cleanroom.release.gate` makes one.

    Attributes:
        name: as in `Cell`; its asker reads `segment:NAME` and `breakdown:sex=F,age=25-34`.
        value: distinct persons after noise, consistency and rounding, or a sum in stored units after noise and
            consistency; None when suppressed.
        suppressed: the noisy count did not reach the threshold; a sum is suppressed with the count of its people.
        sigma: the standard deviation of its noise, in people; of a sum, in stored units.
        interval95: both ends, in the same unit, covering the exact figure in at least 95 of 100 answers; None when
            suppressed.
        scale: of a sum, the digits after the point that a stored unit stands for (2: kopecks of roubles); None for a
            count.
    """

    name: str
    value: int | None
    suppressed: bool
    sigma: float
    interval95: Interval | None
    scale: int | None = None


@dataclass(frozen=True)
class ReleasedRatio:
    """A quotient of released figures: post-processing, at no budget.

    Attributes:
        name: `match_rate:dataset`, `match_rate:base`, `share:segment:NAME`, `affinity:segment:NAME`, `mean:spend`,
            `mean:spend:segment:NAME`.
        value: the quotient; an affinity index of 100 means "as in the dataset"; a mean is in stored units. None when a
            part is suppressed.
        interval95: both ends, jointly covering with at least 95%; None with the value. An end can be unbounded (None).
        scale: of a mean, the digits after the point that a stored unit stands for; None otherwise.
    """

    name: str
    value: float | None
    interval95: tuple[float, float | None] | None
    scale: int | None = None


@dataclass(frozen=True)
class SumNoise:
    """How the sums of one attribute were made; public.

    Attributes:
        attribute: what is added up.
        lowest: the bound below which a person's total is raised, in stored units.
        highest: the bound above which it is cut, in stored units.
        scale: digits after the point that a stored unit stands for.
        l0: sums that one person can change, each by at most the bound further from zero.
        sigma: noise of each sum, in stored units: the question's sigma times that bound, as people are its unit.
        half_width: of a 95% interval, in stored units.
    """

    attribute: str
    lowest: int
    highest: int
    scale: int
    l0: int
    sigma: float
    half_width: int


@dataclass(frozen=True)
class OpenKeys:
    """How counts over unknown keys were made; public. Their noise is that of every count.

    Attributes:
        attribute: the open category that the overlap is broken down by.
        delta_pico: the chance, in 10^-12, with which the key of a single person may appear.
        threshold: the noisy value at which a key is shown, in people.
    """

    attribute: str
    delta_pico: int
    threshold: int


@dataclass(frozen=True)
class Mechanism:
    """How the figures of one question were made; public.

    Attributes:
        family: the mechanism's name and version.
        l0: cells that one person can change, sums included.
        rho_micro: what the question cost.
        sigma: noise of each count, in people.
        minimum_audience: the smallest audience the rule lets out.
        threshold: the noisy value at which a cell is shown, in people.
        half_width: of a 95% interval, in people, rounding included.
        round_to: the grid of the shown counts; sums are not rounded.
        sums: noise of the sums, one entry for each attribute.
        open_keys: of the breakdown over unknown keys; None without one. It is one of the l0 cells.
        minimums: of the outputs that need more people than `minimum_audience`: overlap, key, label, segment, breakdown,
            sum.
    """

    family: str
    l0: int
    rho_micro: int
    sigma: float
    minimum_audience: int
    threshold: int
    half_width: int
    round_to: int
    sums: tuple[SumNoise, ...] = ()
    open_keys: OpenKeys | None = None
    minimums: Mapping[str, int] = field(default_factory=dict)

    def minimum_of(self, figure: str) -> int:
        """Return the smallest audience that is let out under a figure's name, canonical or as asked."""
        if not self.minimums:
            return self.minimum_audience
        output = figure.removeprefix("dataset:").partition(":")[0]
        return self.minimums.get("overlap" if output == "dataset" else output, self.minimum_audience)

    def threshold_of(self, figure: str) -> int:
        """Return the noisy count of people at which a figure is shown; a sum by the count of its people."""
        minimum = self.minimum_of(figure)
        if minimum == self.minimum_audience:
            return self.threshold
        return ceil(suppression_threshold(minimum, self.sigma))

    def noise_of(self, figure: str) -> "SumNoise | Mechanism":
        """Return what tells sigma and half-width of a figure, given by its name."""
        found = (noise for noise in self.sums if f"{figure}:".startswith(f"sum:{noise.attribute}:"))
        return next(found, self)
