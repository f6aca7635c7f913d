"""Plots for the report: small SVGs that take their colours from the page they stand in."""

from collections.abc import Callable, Sequence
from math import floor, log10
from xml.sax.saxutils import escape

from cleanroom.redteam.types import AttackResult, Metric, Plot, Series

# As wide as a telephone shows without shrinking the letters.
_WIDTH, _HEIGHT = 360, 226
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 26, 58
_TICKS = 4
_STRIP_HEIGHT = 34


def strip(result: AttackResult) -> str:
    """Draw a value with its interval and limit on the scale of its metric."""
    low, high = (0.0, 1.0) if result.metric is Metric.ADVANTAGE else (0.5, 1.0)

    def at(value: float) -> float:
        return 4 + (min(max(value, low), high) - low) / (high - low) * (_WIDTH - 8)

    left, right = (at(end) for end in result.interval95)
    limit, value = at(result.limit), at(result.value)
    label = (
        f"{result.metric.value} {result.value:.3f}, between {result.interval95[0]:.3f} and "
        f"{result.interval95[1]:.3f}; limit {result.limit:.3f}"
    )
    return (
        f'<svg class="strip" viewBox="0 0 {_WIDTH} {_STRIP_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<rect class="allowed" x="4" y="8" width="{limit - 4:.1f}" height="18" rx="3"/>'
        f'<line class="axis" x1="4" x2="{_WIDTH - 4}" y1="17" y2="17"/>'
        f'<line class="limit" x1="{limit:.1f}" x2="{limit:.1f}" y1="2" y2="32"/>'
        f'<line class="whisker" x1="{left:.1f}" x2="{max(right, left + 1):.1f}" y1="17" y2="17"/>'
        f'<circle class="dot" cx="{value:.1f}" cy="17" r="5"/></svg>'
    )


def plot(drawn: Plot, title: str) -> str:
    """Draw lines, points or bars with axes and a legend."""
    points = [point for series in drawn.series for point in series.points]
    xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    x_low, x_high = _wide(min(xs), max(xs))
    numbered = any(_is_column(series) for series in drawn.series)
    if numbered:
        x_low, x_high = min(xs) - 0.5, max(xs) + 0.5
    y_low, y_high = _wide(min(0.0, *ys), max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - (y - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in _ticks(y_low, y_high):
        _, y = place(x_low, tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 5}" y="{y + 4:.1f}">{_short(tick)}</text>')
    for tick in _ticks(x_low, x_high):
        if numbered and tick != int(tick):
            continue
        x, _ = place(tick, y_low)
        parts.append(
            f'<text class="tick middle" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 15}">{_short(tick)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="middle" x="{middle}" y="{_HEIGHT - _BOTTOM + 31}">{escape(drawn.x)}</text>')
    parts.append(f'<text x="{_LEFT}" y="14">{escape(drawn.y)}</text>')
    for number, series in enumerate(drawn.series):
        parts.append(_draw(series, number, place))
    parts.append(_legend(drawn.series))
    parts.append("</svg>")
    return "".join(parts)


def _draw(series: Series, number: int, place: Callable[[float, float], tuple[float, float]]) -> str:
    placed = [place(x, y) for x, y in series.points]
    if series.kind == "points":
        return "".join(
            f'<circle class="points s{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in placed
        )
    if series.kind == "bars" and placed:
        (first, _), ground = series.points[0], place(0.0, 0.0)[1]
        # A single bar has no neighbour to tell its width.
        half = (
            place(first + 0.3, 0.0)[0] - placed[0][0]
            if len(placed) == 1
            else (placed[1][0] - placed[0][0]) / 2
        )
        steps = [f"M{placed[0][0] - half:.1f} {ground:.1f}"]
        steps += [f"L{x - half:.1f} {y:.1f}H{x + half:.1f}" for x, y in placed]
        return f'<path class="bars s{number}" d="{"".join(steps)}V{ground:.1f}Z"/>'
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return f'<polyline class="line s{number}" points="{line}"/>'


def _is_column(series: Series) -> bool:
    return series.kind == "bars" and len(series.points) == 1


def _legend(all_series: Sequence[Series]) -> str:
    width = (_WIDTH - _LEFT) / max(1, len(all_series))
    return "".join(
        f'<rect class="key s{number}" x="{_LEFT + number * width:.1f}" y="{_HEIGHT - 17}" width="12" height="12"/>'
        f'<text x="{_LEFT + number * width + 17:.1f}" y="{_HEIGHT - 7}">{escape(series.name)}</text>'
        for number, series in enumerate(all_series)
    )


def _wide(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Return about four round numbers between two ends."""
    rough = (high - low) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = floor(low / step) + (0 if low % step == 0 else 1)
    return [number * step for number in range(first, floor(high / step) + 1)]


def _short(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 10_000 else f"{value:,.0f}"
