"""A picture of released figures: one self-contained SVG, for light and dark pages and for screen readers.

On the left a bar for every figure with its 95% interval; on the right, where the truth is known, a
close-up of the noise: the released value in the middle, the interval around it, and how far away the
true count lies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _ROW, _TOP, _BOTTOM = 960, 30, 108, 64
_NAMES = 210
_BARS_WITH_TRUTH, _BARS_ALONE = 400, 600
_VALUES = 116
_CLOSE_UP = 190
_LONGEST_NAME = 26

_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: #1d2127; }
.page { fill: #ffffff; }
.title { font-size: 18px; font-weight: 600; }
.muted { fill: #5b626b; }
.number { font-variant-numeric: tabular-nums; }
.bar { fill: #8fb3f2; }
.first { fill: #4a7fdc; }
.grid { stroke: #e3e6ea; }
.axis { stroke: #aab1ba; }
.whisker { stroke: #1d2127; stroke-width: 1.6; fill: none; }
.dot { fill: #2f63c0; }
.true { stroke: #c2410c; stroke-width: 3; }
.hidden { fill: none; stroke: #aab1ba; stroke-dasharray: 4 4; }
@media (prefers-color-scheme: dark) {
  text { fill: #e7eaee; }
  .page { fill: #14171b; }
  .muted { fill: #a2abb5; }
  .bar { fill: #3f66a8; }
  .first { fill: #6b9bf0; }
  .grid { stroke: #2a2f36; }
  .axis { stroke: #5a636e; }
  .whisker { stroke: #e7eaee; }
  .dot { fill: #8db4ff; }
  .true { stroke: #ff9a57; }
  .hidden { stroke: #5a636e; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One released figure in the picture.

    Attributes:
        name: what is counted, in words.
        value: people; None when suppressed.
        interval95: both ends, in people; None when suppressed.
        truth: the exact count, in people, where somebody may know it; None otherwise.
    """

    name: str
    value: int | None
    interval95: tuple[int, int] | None
    truth: int | None


def draw(bars: Sequence[Bar], *, title: str, subtitle: str) -> str:
    """Draw figures as an SVG document.

    Args:
        bars: the first one is drawn in a stronger colour: the whole, of which the others are parts.
        title: one line.
        subtitle: one line; how the figures were made.

    Returns:
        The text of an SVG file without references to anything outside it.
    """
    known = any(bar.truth is not None and bar.value is not None for bar in bars)
    bar_width = _BARS_WITH_TRUTH if known else _BARS_ALONE
    height = _TOP + _ROW * len(bars) + _BOTTOM
    top = max((bar.interval95[1] for bar in bars if bar.interval95), default=1)
    scale = bar_width / top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(_in_words(bars))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="8"/>',
        f'<text class="title" x="24" y="36">{escape(title)}</text>',
        f'<text class="muted" x="24" y="58">{escape(subtitle)}</text>',
        *_axis(top, scale, height),
    ]
    for place, bar in enumerate(bars):
        parts += _bar(bar, _TOP + _ROW * place, scale, bar_width, first=place == 0)
    if known:
        parts += _close_up(bars, _NAMES + bar_width + _VALUES + 10, height)
    parts += [*_legend(height - 22, known=known), "</svg>"]
    return "\n".join(parts) + "\n"


def _in_words(bars: Sequence[Bar]) -> str:
    sentences = []
    for bar in bars:
        if bar.value is None or bar.interval95 is None:
            sentences.append(f"{bar.name}: suppressed.")
            continue
        low, high = bar.interval95
        truth = f", true count {bar.truth:,}" if bar.truth is not None else ""
        sentences.append(f"{bar.name}: {bar.value:,} people, 95% interval {low:,} to {high:,}{truth}.")
    return " ".join(sentences)


def _step(top: int) -> int:
    """Find a round step of 1, 2 or 5 times a power of ten that gives two to six parts."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if top < digit * power * 6:
                return digit * power
        power *= 10


def _axis(top: int, scale: float, height: int) -> list[str]:
    lines = []
    for people in range(0, top + 1, _step(top)):
        x = _NAMES + people * scale
        lines.append(f'<path class="grid" d="M{x:.1f} {_TOP - 6}V{height - _BOTTOM}"/>')
        lines.append(
            f'<text class="muted number" x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle">{people:,}</text>'
        )
    return lines


def _bar(bar: Bar, y: int, scale: float, width: int, *, first: bool) -> list[str]:
    middle = y + _ROW / 2
    name = bar.name if len(bar.name) <= _LONGEST_NAME else bar.name[: _LONGEST_NAME - 1] + "…"
    parts = [f'<text x="{_NAMES - 12}" y="{middle + 4.5}" text-anchor="end">{escape(name)}</text>']
    after = _NAMES + width + 10
    if bar.value is None or bar.interval95 is None:
        parts.append(
            f'<rect class="hidden" x="{_NAMES}.5" y="{y + 6}.5" width="44" height="{_ROW - 13}" rx="2"/>'
        )
        parts.append(f'<text class="muted" x="{after}" y="{middle + 4.5}">suppressed</text>')
        return parts
    low, high = (_NAMES + end * scale for end in bar.interval95)
    css = "first" if first else "bar"
    parts += [
        f'<rect class="{css}" x="{_NAMES}" y="{y + 5}" width="{bar.value * scale:.1f}" '
        f'height="{_ROW - 10}" rx="2"/>',
        f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {y + 9}V{y + _ROW - 9}'
        f'M{high:.1f} {y + 9}V{y + _ROW - 9}"/>',
    ]
    if bar.truth is not None:
        x = _NAMES + bar.truth * scale
        parts.append(f'<path class="true" d="M{x:.1f} {y + 2}V{y + _ROW - 2}"/>')
    half = max(bar.interval95[1] - bar.value, bar.value - bar.interval95[0])
    parts.append(
        f'<text class="number" x="{after}" y="{middle + 4.5}">{bar.value:,} '
        f'<tspan class="muted">± {half:,}</tspan></text>'
    )
    return parts


def _close_up(bars: Sequence[Bar], left: int, height: int) -> list[str]:
    centre = left + _CLOSE_UP / 2
    reach = max(
        max(
            abs(bar.interval95[0] - bar.value),
            abs(bar.interval95[1] - bar.value),
            abs((bar.truth or 0) - bar.value),
        )
        for bar in bars
        if bar.value is not None and bar.interval95 is not None and bar.truth is not None
    )
    scale = (_CLOSE_UP / 2 - 8) / max(reach, 1)
    parts = [
        f'<text class="muted" x="{centre}" y="{_TOP - 34}" text-anchor="middle">'
        "close-up of the noise, in people</text>",
        f'<path class="axis" d="M{centre} {_TOP - 6}V{height - _BOTTOM}"/>',
    ]
    marks = ((-reach, f"−{reach:,}"), (0, "released"), (reach, f"+{reach:,}"))
    for people, text in marks:
        x = centre + people * scale
        parts.append(
            f'<text class="muted number" x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle">{text}</text>'
        )
    for place, bar in enumerate(bars):
        if bar.value is None or bar.interval95 is None or bar.truth is None:
            continue
        middle = _TOP + _ROW * (place + 0.5)
        low, high = (centre + (end - bar.value) * scale for end in bar.interval95)
        x = centre + (bar.truth - bar.value) * scale
        parts += [
            f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 5}v10'
            f'M{high:.1f} {middle - 5}v10"/>',
            f'<circle class="dot" cx="{centre}" cy="{middle}" r="4"/>',
            f'<path class="true" d="M{x:.1f} {middle - 9}v18"/>',
        ]
    return parts


def _legend(y: int, *, known: bool) -> list[str]:
    parts = [
        f'<rect class="bar" x="24" y="{y - 11}" width="22" height="13" rx="2"/>',
        f'<text x="54" y="{y}">released figure</text>',
        f'<path class="whisker" d="M180 {y - 4.5}h30M180 {y - 9}v9M210 {y - 9}v9"/>',
        f'<text x="220" y="{y}">95% interval</text>',
    ]
    if known:
        parts.append(f'<path class="true" d="M334 {y - 12}v15"/>')
        parts.append(
            f'<text x="346" y="{y}">true count; only a demo that made its own data can show it</text>'
        )
    return parts
