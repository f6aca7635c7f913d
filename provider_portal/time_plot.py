"""Where the lines of a chart over months lie; the template draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 14, 34
_MARKS = 4


@dataclass(frozen=True)
class TimePlot:
    """Lines over equal stretches of time, from zero up.

    Attributes:
        lines: one for each series: its points, from left to right.
        across: the middle of each stretch.
        up: value and height of the marks on the left.
    """

    lines: tuple[tuple[tuple[float, float], ...], ...]
    across: tuple[float, ...]
    up: tuple[tuple[float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM

    @property
    def paths(self) -> tuple[str, ...]:
        """The lines as SVG paths."""
        return tuple("M" + "L".join(f"{x} {y}" for x, y in line) for line in self.lines)


def time_plot(series: Sequence[Sequence[float]]) -> TimePlot:
    """Lay out values over time.

    Args:
        series: each with one value, not below 0, for each stretch of time; all of one length.
    """
    stretches = max((len(one) for one in series), default=0)
    highest = max((value for one in series for value in one), default=0.0)
    step = _step(highest / _MARKS)
    top = step * max(1, ceil(highest / step))

    def x(at: int) -> float:
        return round(_LEFT + (at + 0.5) / max(1, stretches) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (1 - value / top) * (HEIGHT - _TOP - _BOTTOM), 1)

    marks = [step * number for number in range(round(top / step) + 1)]
    return TimePlot(
        lines=tuple(tuple((x(at), y(value)) for at, value in enumerate(one)) for one in series),
        across=tuple(x(at) for at in range(stretches)),
        up=tuple((mark, y(mark)) for mark in marks),
    )


def _step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below a number."""
    if least <= 0:
        return 1.0
    power = 10.0 ** floor(log10(least))
    return next(power * one for one in (1, 2, 5, 10) if power * one >= least * 0.999)
