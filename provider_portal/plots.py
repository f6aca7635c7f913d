"""Where the points of a chart lie; the template draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from cleanroom.grants.prospect import Precise

WIDTH, HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 96, 14, 40
_APART = 20.0
_OFTEN = 0.5


@dataclass(frozen=True)
class Dot:
    """A point.

    Attributes:
        x, y: in units of the drawing.
        hollow: whether such an audience is withheld more often than shown.
    """

    x: float
    y: float
    hollow: bool


@dataclass(frozen=True)
class ErrorPlot:
    """Error against audience, both axes logarithmic.

    Attributes:
        lines: level and points, from left to right.
        labels: level and height of its name at the right end, far enough from one another to be read.
        across: size and place of the marks below.
        up: share and place of the marks on the left.
    """

    lines: tuple[tuple[str, tuple[Dot, ...]], ...]
    labels: tuple[tuple[str, float], ...]
    across: tuple[tuple[int, float], ...]
    up: tuple[tuple[float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM

    @property
    def paths(self) -> tuple[tuple[str, str], ...]:
        """The lines as SVG paths."""
        return tuple(
            (level, "M" + "L".join(f"{dot.x} {dot.y}" for dot in dots)) for level, dots in self.lines
        )


def error_plot(levels: Sequence[Precise]) -> ErrorPlot:
    """Lay out how large the error is for which audience, at each precision.

    Args:
        levels: of a prospect, each with at least one audience of more than nobody.
    """
    sizes = [seen.size for level in levels for seen in level.seen]
    shares = [seen.relative for level in levels for seen in level.seen]
    first, last = floor(log10(min(sizes))), ceil(log10(max(sizes)))
    low, high = floor(log10(min(shares))), ceil(log10(max(shares)))

    def x(size: float) -> float:
        return round(_LEFT + (log10(size) - first) / max(1, last - first) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(share: float) -> float:
        return round(_TOP + (high - log10(share)) / max(1, high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    lines = tuple(
        (
            level.level,
            tuple(Dot(x(seen.size), y(seen.relative), seen.withheld > _OFTEN) for seen in level.seen),
        )
        for level in levels
    )
    return ErrorPlot(
        lines=lines,
        labels=_apart([(level, dots[-1].y) for level, dots in lines]),
        across=tuple((10**power, x(10**power)) for power in range(first, last + 1)),
        up=tuple((10.0**power, y(10.0**power)) for power in range(low, high + 1)),
    )


def _apart(labels: Sequence[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Move labels up that would stand on one another, beginning with the lowest one."""
    placed: list[tuple[str, float]] = []
    for name, y in sorted(labels, key=lambda label: -label[1]):
        placed.append((name, min(y, placed[-1][1] - _APART) if placed else y))
    return tuple((name, round(y, 1)) for name, y in placed)
