"""Plots: every kind of series, and ends that coincide."""

import re
from xml.etree import ElementTree

import pytest

from cleanroom.redteam.chart import plot, strip
from cleanroom.redteam.types import AttackResult, Metric, Plot, Series

SERIES = Plot(
    "people & others",
    "share <1",
    (
        Series("line", ((0, 0), (5, 0.5), (10, 1))),
        Series("points", ((2, 0.25),), "points"),
        Series("bars", ((0, 0.1), (1, 0.2), (2, 0.1)), "bars"),
    ),
)


def parts(svg: str, tag: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(svg).findall(tag)


def test_every_kind_of_series_is_drawn_inside_the_picture():
    svg = plot(SERIES, "title")

    (line,), (point,) = parts(svg, "polyline"), parts(svg, "circle")
    assert len(parts(svg, "path")) == 1
    places = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
    assert places[0][0] < places[1][0] < places[2][0]
    assert places[0][1] > places[1][1] > places[2][1]
    assert all(0 <= x <= 360 and 0 <= y <= 226 for x, y in [*places, (float(point.get("cx")), 100)])
    texts = {text.text for text in parts(svg, "text")}
    assert {"people & others", "share <1", "line", "points", "bars", "0.5", "1"} <= texts


def test_ways_that_are_one_bar_each_are_drawn_side_by_side_with_whole_numbers():
    ways = tuple(Series(f"way {at}", ((at, 0.1 * at),), "bars") for at in (1, 2))
    svg = plot(Plot("way", "advantage", (*ways, Series("limit", ((1, 0.1), (2, 0.1)), "points"))), "title")

    bars = [[float(x) for x in re.findall(r"[MLH](\d+\.\d)", path.get("d"))] for path in parts(svg, "path")]
    assert len(bars) == 2
    assert 0 < min(bars[0]) < max(bars[0]) < min(bars[1]) < max(bars[1]) < 360
    limits = [float(point.get("cx")) for point in parts(svg, "circle")]
    assert all(min(bar) < at < max(bar) for bar, at in zip(bars, limits, strict=True))
    below = [text.text for text in parts(svg, "text") if text.get("class") == "tick middle"]
    assert below == ["1", "2"]


@pytest.mark.parametrize("points", [(), ((3, 3),), ((3, 0), (3, 0))])
def test_few_points_or_equal_ones_are_drawn_too(points):
    assert parts(plot(Plot("x", "y", (Series("s", points),)), "title"), "text")


@pytest.mark.parametrize(
    ("metric", "value", "place"),
    [(Metric.ADVANTAGE, 0.5, 180), (Metric.ACCURACY, 0.5, 4), (Metric.ADVANTAGE, -0.1, 4)],
)
def test_a_value_stands_where_its_scale_has_it(metric, value, place):
    svg = strip(AttackResult("a", metric, value, (value - 0.01, value + 0.01), 0.6, 10))

    (dot,) = parts(svg, "circle")
    assert float(dot.get("cx")) == pytest.approx(place)
