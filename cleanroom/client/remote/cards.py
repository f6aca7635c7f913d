"""Answers as small HTML cards for notebooks; they take the page's own colours, light or dark."""

from collections.abc import Iterable, Sequence
from html import escape

from cleanroom.client.remote.values import Figure, shown

MOST_BARS = 24
_WIDTH, _ROW, _LEFT, _RIGHT = 640, 22, 230, 130
_NAME = 30
_BOX = (
    "border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:6px;"
    "padding:12px;max-width:680px"
)
_TABLE = "font-size:inherit;border-collapse:collapse"
_NUMBER = "text-align:right;white-space:nowrap;padding:2px 0 2px 16px"


def card(title: str, facts: Sequence[tuple[str, str]], body: str = "") -> str:
    """Lay out a title, some facts and what stands below them.

    Args:
        title: text.
        facts: names and texts.
        body: HTML that is safe already.
    """
    rows = "".join(
        f'<tr><th style="text-align:left;padding:2px 16px 2px 0">{escape(name)}</th>'
        f'<td style="text-align:left;padding:2px 0">{escape(text)}</td></tr>'
        for name, text in facts
    )
    table = f'<table style="{_TABLE};margin:6px 0">{rows}</table>'
    return f'<div style="{_BOX}"><strong>{escape(title)}</strong>{table}{body}</div>'


def table(figures: Iterable[Figure]) -> str:
    """List figures with their 95% intervals."""
    rows = "".join(
        f'<tr><td style="text-align:left;padding:2px 0">{escape(one.name)}</td>'
        + (
            f'<td style="{_NUMBER}">withheld</td><td></td></tr>'
            if one.value is None
            else f'<td style="{_NUMBER}">{escape(one.shown_value)}</td>'
            f'<td style="{_NUMBER}">{escape(one.shown_band)}</td></tr>'
        )
        for one in figures
    )
    head = (
        f'<tr><th style="text-align:left">figure</th><th style="{_NUMBER}">value</th>'
        f'<th style="{_NUMBER}">95% interval</th></tr>'
    )
    return f'<details><summary>All figures</summary><table style="{_TABLE}">{head}{rows}</table></details>'


def chart(figures: Iterable[Figure]) -> str:
    """Draw counts of people as bars with their 95% intervals; empty when there is nothing to draw."""
    counts = [one for one in figures if not one.name.startswith(_NO_COUNTS)][:MOST_BARS]
    ends = [float(one.high if one.high is not None else one.value or 0) for one in counts]
    if not counts or max(ends) <= 0:
        return ""
    scale = (_WIDTH - _LEFT - _RIGHT) / max(ends)
    rows = "".join(_bar(one, place * _ROW, scale) for place, one in enumerate(counts))
    height = len(counts) * _ROW + 4
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" width="100%" style="max-width:{_WIDTH}px" role="img" '
        f'aria-label="Released counts with 95% intervals" font-size="12" fill="currentColor" '
        f'stroke="none">{rows}</svg>'
    )


_NO_COUNTS = ("sum:", "mean:", "share:", "affinity:", "match_rate:")


def _bar(figure: Figure, top: int, scale: float) -> str:
    name = figure.name if len(figure.name) <= _NAME else figure.name[: _NAME - 1] + "…"
    middle = top + _ROW / 2
    label = f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
    if figure.value is None:
        return label + f'<text x="{_LEFT}" y="{middle + 4}" opacity="0.6">withheld</text>'
    low = _LEFT + max(float(figure.low or 0), 0.0) * scale
    high = _LEFT + float(figure.high if figure.high is not None else figure.value) * scale
    width = max(float(figure.value), 0.0) * scale
    return (
        label
        + f'<rect x="{_LEFT}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 8}" opacity="0.35"/>'
        + f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {top + 6}v{_ROW - 12}M{high:.1f} {top + 6}v{_ROW - 12}" '
        + 'stroke="currentColor" stroke-width="1.5" fill="none"/>'
        + f'<text x="{high + 6:.1f}" y="{middle + 4}">{escape(shown(figure.value))}</text>'
    )
