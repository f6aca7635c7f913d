"""Ratios are made of released figures, and their ends hold."""

import pytest

from cleanroom.release.ratios import ratios
from cleanroom.release.types import ReleasedFigure, ReleasedRatio


def shown(name: str, value: int, sigma: float = 10.0) -> ReleasedFigure:
    return ReleasedFigure(name, value, False, sigma, (max(0, value - 20), value + 20))


def hidden(name: str) -> ReleasedFigure:
    return ReleasedFigure(name, None, True, 10.0, None)


def by_name(*figures: ReleasedFigure, base_persons: int = 10_000) -> dict[str, ReleasedRatio]:
    return {ratio.name: ratio for ratio in ratios(figures, base_persons=base_persons)}


def test_both_match_rates_share_the_overlap() -> None:
    found = by_name(shown("overlap", 4000), shown("dataset", 20_000))

    assert found["match_rate:base"].value == pytest.approx(0.4)
    assert found["match_rate:base"].interval95 == pytest.approx((0.398, 0.402))
    assert found["match_rate:dataset"].value == pytest.approx(0.2)
    low, high = found["match_rate:dataset"].interval95 or (1, 0)
    assert low < 3980 / 20_020 < 4020 / 19_980 < (high or 0)


def test_an_affinity_index_of_200_means_twice_as_frequent_as_in_the_dataset() -> None:
    found = by_name(
        shown("overlap", 4000),
        shown("segment:young", 1000),
        shown("dataset", 20_000),
        shown("dataset:segment:young", 2500),
    )

    ratio = found["affinity:segment:young"]
    assert ratio.value == pytest.approx(200)
    assert ratio.interval95 is not None
    assert ratio.interval95[0] < 200 < (ratio.interval95[1] or 0)
    assert found["share:segment:young"].value == pytest.approx(0.25)


def test_a_suppressed_part_suppresses_every_ratio_it_stands_in() -> None:
    found = by_name(
        hidden("overlap"),
        shown("segment:young", 300),
        shown("dataset", 500),
        shown("dataset:segment:young", 400),
    )

    assert all(ratio.value is None and ratio.interval95 is None for ratio in found.values())


def test_an_unbounded_end_is_said_and_not_invented() -> None:
    weak = ReleasedFigure("overlap", 15, False, 10.0, (0, 35))

    found = by_name(
        weak, shown("segment:young", 12), shown("dataset", 500), shown("dataset:segment:young", 400)
    )

    assert (found["affinity:segment:young"].interval95 or (0, 0))[1] is None
    assert (found["share:segment:young"].interval95 or (0, 0))[1] == 1.0


def test_a_rate_never_passes_one_and_an_empty_base_has_none() -> None:
    assert by_name(shown("overlap", 120), base_persons=100)["match_rate:base"].value == 1.0
    assert by_name(shown("overlap", 120), base_persons=0)["match_rate:base"].value is None
