from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.merging import Axis, Merge, axes_of, expected_sizes, merges

AGE = Axis("age", 5, 6)


def one(sizes, *, needed=100):
    """The proposal for five bands of age and people of unknown age."""
    return merges([AGE], sizes, needed=needed)


def test_only_numbers_and_dates_have_bands_to_merge(attributes):
    axes = axes_of(["city", "age", "bought"], attributes)

    assert axes == (Axis("city", 0, 5), Axis("age", 4, 5), Axis("bought", 0, 5))


def test_small_bands_are_merged_with_their_neighbours_and_large_ones_stay():
    assert one([60, 70, 500, 30, 90, 5]) == (Merge("age", ((0, 1), (3, 4)), 255, 5),)


def test_what_is_left_at_the_end_joins_the_last_band():
    assert one([500, 200, 300, 40, 10, 0]) == (Merge("age", ((2, 4),), 50, 0),)


@pytest.mark.parametrize("sizes", [[100] * 6, [20, 20, 20, 20, 19, 500], [0, 500, 500, 500, 500, 30]])
def test_nothing_is_proposed_where_nothing_helps(sizes):
    assert one(sizes) == ()


def test_adding_guesses_in_another_order_is_no_gain():
    axes = [Axis("sex", 0, 2), Axis("age", 2, 2)]

    assert merges(axes, [0.1, 0.3, 0.2, 0.7], needed=100) == ()


def test_a_merge_along_one_attribute_serves_every_slice_that_can_be_served():
    axes = [Axis("sex", 0, 3), Axis("age", 3, 4)]
    women, men, unknown = [90, 90, 90, 0], [200, 40, 60, 0], [5, 5, 5, 5]

    # Women need two bands at a time, and what is left of both joins them; nothing shows the 15 of unknown sex.
    assert merges(axes, [*women, *men, *unknown], needed=100) == (Merge("age", ((0, 2),), 390, 20),)


def test_the_attribute_that_shows_the_most_people_comes_first():
    axes = [Axis("age", 2, 3), Axis("income", 2, 3)]
    #          income: low, high, unknown
    sizes = [90, 10, 0, 90, 10, 0, 0, 0, 0]

    found = merges(axes, sizes, needed=100)

    assert [merge.attribute for merge in found] == ["income", "age"]
    assert [merge.withheld_after for merge in found] == [0, 20]


def test_a_breakdown_has_a_size_for_every_cell():
    with pytest.raises(ValueError, match="as many sizes as cells"):
        merges([AGE], [1, 2], needed=5)


def test_withheld_cells_share_what_the_shown_ones_leave_of_the_whole():
    assert expected_sizes([None, 400, None, 500], whole=1_000, threshold=174) == (50, 400, 50, 500)
    assert expected_sizes([None, 400], whole=1_000, threshold=174) == (173, 400)
    assert expected_sizes([None, 400], whole=300, threshold=174) == (0, 400)
    assert expected_sizes([None, None], whole=None, threshold=174) == (0, 0)
    assert expected_sizes([400, 500], whole=1_000, threshold=174) == (400, 500)


def partitions(bands):
    for count in range(bands):
        for cuts in combinations(range(1, bands), count):
            edges = (0, *cuts, bands)
            yield [(low, high - 1) for low, high in pairwise(edges)]


sizes_of_bands = st.lists(st.integers(0, 120), min_size=1, max_size=7)


@given(sizes_of_bands, st.integers(0, 150))
def test_no_other_way_of_merging_shows_everyone_in_more_bands(bands, needed):
    found = merges([Axis("age", len(bands), len(bands))], bands, needed=needed)

    whole = [
        runs
        for runs in partitions(len(bands))
        if all(sum(bands[first : last + 1]) >= needed for first, last in runs)
    ]
    if not found:
        assert not whole or all(size == 0 or size >= needed for size in bands)
        return
    merged = sum(last - first for first, last in found[0].runs)
    assert found[0].withheld_after == 0 < found[0].withheld_before
    assert len(bands) - merged == max(map(len, whole))


@given(st.data(), st.integers(1, 4), st.integers(2, 4), st.integers(1, 200))
def test_a_proposal_says_truly_how_many_people_stay_withheld(data, others, bands, needed):
    cells = bands + 1
    table = data.draw(
        st.lists(
            st.lists(st.integers(0, 150), min_size=cells, max_size=cells), min_size=others, max_size=others
        )
    )
    flat = [table[row][column] for column in range(cells) for row in range(others)]

    for merge in merges([Axis("age", bands, cells), Axis("city", 0, others)], flat, needed=needed):
        left = 0
        inside = {at: (first, last) for first, last in merge.runs for at in range(first, last + 1)}
        for row in table:
            runs = sorted({inside.get(at, (at, at)) for at in range(cells)})
            sums = [sum(row[first : last + 1]) for first, last in runs]
            left += sum(size for size in sums if size < needed)
        assert merge.withheld_after == left < merge.withheld_before
        assert merge.withheld_before == sum(size for size in flat if size < needed)
