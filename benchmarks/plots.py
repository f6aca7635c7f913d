"""The results page's plots: SVG with a ground of its own, so that they can be read in the dark too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 70, 48, 34, 44
_COLOURS = ("#0b6e99", "#c2571a", "#5b7f2b", "#7a4fa3")
_STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#222}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".grid{stroke:#ddd}.must{stroke:#b00020;stroke-width:2}.title{font-weight:600}</style>"
)


@dataclass(frozen=True)
class Bar:
    """A labelled value with its range, and the limit it must keep, if any."""

    label: str
    value: float
    low: float
    high: float
    must: float | None = None


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str) -> str:
    """Draw series on logarithmic axes, each with a thin straight line of linear growth through its last point."""
    height = 380
    points = [point for found in series.values() for point in found]
    x_low, x_high = _decades([at for at, _ in points])
    y_low, y_high = _decades([value for _, value in points])

    def place(at: float, value: float) -> tuple[float, float]:
        right = (log10(at) - x_low) / (x_high - x_low)
        up = (log10(value) - y_low) / (y_high - y_low)
        return _LEFT + right * (_WIDTH - _LEFT - _RIGHT), height - _BOTTOM - up * (height - _TOP - _BOTTOM)

    parts = [_open(height, title)]
    for power in range(x_low, x_high + 1):
        at, bottom = place(10.0**power, 10.0**y_low)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom:.1f}"/>')
        parts.append(f'<text class="middle" x="{at:.1f}" y="{bottom + 17:.1f}">{10**power:,}</text>')
    for power in range(y_low, y_high + 1):
        left, at = place(10.0**x_low, 10.0**power)
        parts.append(
            f'<line class="grid" x1="{left:.1f}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(f'<text class="end" x="{left - 6:.1f}" y="{at + 4:.1f}">{10.0**power:g}</text>')
    for number, (name, found) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        last_at, last = found[-1]
        straight = [(at, last * at / last_at) for at, _ in found if last * at / last_at >= 10.0**y_low]
        parts.append(_path([place(*point) for point in straight], colour, "1", 'stroke-dasharray="3 4"'))
        placed = [place(*point) for point in found]
        parts.append(_path(placed, colour, "2.5"))
        parts += [
            f'<circle cx="{right:.1f}" cy="{down:.1f}" r="4" fill="{colour}"/>' for right, down in placed
        ]
        top = _TOP + 18 + 18 * number
        parts.append(f'<rect x="{_LEFT + 10}" y="{top - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + 28}" y="{top}">{escape(name)}, {escape(y)}</text>')
    parts.append(f'<text class="middle" x="{_WIDTH / 2}" y="{height - 8}">{escape(x)}</text></svg>')
    return "".join(parts)


def bars(title: str, drawn: Sequence[Bar], *, logarithmic: bool = False, unit: str = "") -> str:
    """Draw bars from the left with whiskers from the least to the most, and a red mark where the limit is."""
    left, step = 250, 34
    height = _TOP + step * len(drawn) + 30
    values = [value for bar in drawn for value in (bar.low, bar.high, bar.must or bar.value)]
    least, most = _decades(values) if logarithmic else (0, max(values) * 1.08)

    def at(value: float) -> float:
        share = (log10(value) - least) / (most - least) if logarithmic else value / most
        return left + share * (_WIDTH - left - 70)

    parts = [_open(height, title)]
    for number, bar in enumerate(drawn):
        top = _TOP + step * number + 6
        parts.append(f'<text class="end" x="{left - 8}" y="{top + 15}">{escape(bar.label)}</text>')
        parts.append(
            f'<rect x="{left}" y="{top}" width="{max(at(bar.value) - left, 1):.1f}" height="20" '
            f'fill="{_COLOURS[0]}" fill-opacity="0.75"/>'
        )
        parts.append(
            f'<line x1="{at(bar.low):.1f}" x2="{at(bar.high):.1f}" y1="{top + 10}" y2="{top + 10}" stroke="#222"/>'
        )
        if bar.must is not None:
            mark = at(bar.must)
            parts.append(
                f'<line class="must" x1="{mark:.1f}" x2="{mark:.1f}" y1="{top - 4}" y2="{top + 24}"/>'
            )
        end = max(at(bar.high), at(bar.value), at(bar.must or bar.value)) + 6
        parts.append(f'<text x="{end:.1f}" y="{top + 15}">{bar.value:.3g}{unit}</text>')
    about = "whiskers: run by run"
    if any(bar.must is not None for bar in drawn):
        about += "; red: the limit"
    if logarithmic:
        about += "; logarithmic"
    parts.append(f'<text x="{left}" y="{height - 8}">{about}</text></svg>')
    return "".join(parts)


def _open(height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">{_STYLE}<rect width="{_WIDTH}" height="{height}" rx="6" fill="#fff"/>'
        f'<text class="title" x="12" y="22">{escape(title)}</text>'
    )


def _path(placed: Sequence[tuple[float, float]], colour: str, width: str, more: str = "") -> str:
    points = " ".join(f"{right:.1f},{down:.1f}" for right, down in placed)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" {more}/>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around some values."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return (low, high) if high > low else (low, low + 1)
