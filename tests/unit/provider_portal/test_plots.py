"""Where the points of the error chart lie."""

from itertools import pairwise

from cleanroom.grants.prospect import SIZES, prospect
from policies.codec import load_preset
from provider_portal.plots import error_plot


def test_points_lie_inside_in_order_and_their_names_apart() -> None:
    levels = prospect(load_preset("standard", purposes=["a"])).levels
    plot = error_plot(levels)
    assert [level for level, _ in plot.lines] == ["rough", "normal", "fine"]
    for _, dots in plot.lines:
        assert len(dots) == len(SIZES)
        across, down = [dot.x for dot in dots], [dot.y for dot in dots]
        assert across == sorted(across)
        # The larger the audience, the smaller the error, the lower the point.
        assert down == sorted(down)
        assert plot.left <= min(across) <= max(across) <= plot.right
        assert plot.top <= min(down) <= max(down) <= plot.bottom
    # At 100 people a hundred are mostly withheld, at 500 nobody is.
    assert [dot.hollow for dot in plot.lines[1][1]][:3] == [True, False, False]
    heights = sorted(y for _, y in plot.labels)
    assert all(lower - upper >= 20 for upper, lower in pairwise(heights))
    # A mark lies where a point of that size does.
    assert (100, plot.lines[0][1][0].x) in plot.across
    assert (100_000, plot.lines[0][1][-1].x) in plot.across


def test_one_audience_alone_can_be_drawn() -> None:
    levels = prospect(load_preset("strict", purposes=["a"]), sizes=(1_000,)).levels
    plot = error_plot(levels)
    assert all(len(dots) == 1 for _, dots in plot.lines)
