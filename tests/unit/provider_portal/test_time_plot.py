"""Lines over months: where their points lie, and which marks stand beside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_portal.time_plot import HEIGHT, WIDTH, time_plot


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=12, max_size=12), min_size=1, max_size=4))
def test_every_point_lies_inside_and_larger_ones_no_lower(series: list[list[float]]) -> None:
    plot = time_plot(series)
    for values, line in zip(series, plot.lines, strict=True):
        assert len(line) == len(values) == len(plot.across)
        for (x, y), across in zip(line, plot.across, strict=True):
            assert x == across
            assert plot.left < x < plot.right <= WIDTH
            assert 0 < y <= plot.bottom < HEIGHT
        heights = [y for _, (_, y) in sorted(zip(values, line, strict=True), key=lambda pair: pair[0])]
        assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize(
    ("highest", "marks"),
    [
        (0.0, [0.0, 1.0]),
        (0.13, [0.0, 0.05, 0.1, 0.15]),
        (2.14, [0.0, 1.0, 2.0, 3.0]),
        (80.0, [0, 20, 40, 60, 80]),
    ],
)
def test_marks_are_round_and_reach_above_the_highest(highest: float, marks: list[float]) -> None:
    assert [value for value, _ in time_plot([[highest]]).up] == pytest.approx(marks)


def test_nothing_is_a_chart_too() -> None:
    plot = time_plot([])
    assert plot.lines == plot.across == ()
    assert plot.paths == ()
