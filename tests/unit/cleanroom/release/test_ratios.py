"""Ratios are made of released figures, and their ends hold."""

from dataclasses import replace

import pytest

from cleanroom.release.ratios import ratios
from cleanroom.release.types import ReleasedFigure, ReleasedRatio, SumNoise


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


SPEND = SumNoise("spend", 100, 500_000, 2, 1, 1_000.0, 2_000)
BALANCE = SumNoise("balance", -400, 300, 0, 1, 10.0, 20)


def mean_of(total: ReleasedFigure, people: ReleasedFigure, noise: SumNoise = SPEND) -> ReleasedRatio:
    found = ratios([people, total], base_persons=9, sums=[BALANCE, SPEND])
    return {ratio.name: ratio for ratio in found}[f"mean:{noise.attribute}"]


def total_of(value: int, noise: SumNoise = SPEND) -> ReleasedFigure:
    half_width = noise.half_width
    return ReleasedFigure(
        f"sum:{noise.attribute}",
        value,
        False,
        noise.sigma,
        (value - half_width, value + half_width),
        noise.scale,
    )


def test_a_mean_is_a_sum_over_the_count_of_its_people_and_both_ends_hold_jointly() -> None:
    mean = mean_of(total_of(1_000_000), shown("overlap", 4_000))

    assert mean.value == pytest.approx(250)
    # 2.2414 sigma instead of 1.96: the sum within 2,281.4 and the people within 22.8 of what is shown.
    assert mean.interval95 == pytest.approx((997_718.6 / 4022.8144, 1_002_281.4 / 3977.1856), abs=1e-3)
    assert mean.scale == 2


def test_every_part_has_its_own_mean() -> None:
    figures = [
        shown("overlap", 4_000),
        shown("segment:young", 1_000),
        hidden("segment:old"),
        shown("breakdown:age=<18", 500),
        total_of(1_000_000),
        replace(total_of(500_000), name="sum:spend:segment:young"),
        ReleasedFigure("sum:spend:segment:old", None, True, 1_000.0, None, 2),
        replace(total_of(90_000), name="sum:spend:breakdown:age=<18"),
    ]

    found = {ratio.name: ratio for ratio in ratios(figures, base_persons=9_000, sums=[SPEND])}

    assert found["mean:spend:segment:young"].value == pytest.approx(500)
    assert found["mean:spend:breakdown:age=<18"].value == pytest.approx(180)
    hidden_mean = found["mean:spend:segment:old"]
    assert (hidden_mean.value, hidden_mean.interval95) == (None, None)
    assert not any("share:sum" in name for name in found)


def test_a_negative_mean_keeps_its_ends_in_order() -> None:
    mean = mean_of(total_of(-100_000, BALANCE), shown("overlap", 1_000), BALANCE)

    assert mean.value == pytest.approx(-100)
    low, high = mean.interval95 or (0, 0)
    assert low == pytest.approx(-100_022.8 / 977.19, rel=1e-4)
    assert high == pytest.approx(-99_977.2 / 1_022.81, rel=1e-4)


@pytest.mark.parametrize(
    ("value", "ends"), [(2_900, (87.69, 300)), (-2_900, (-400, -87.69)), (5, (-17.81, 27.81))]
)
def test_a_mean_of_few_people_is_bounded_by_what_one_person_can_add(
    value: int, ends: tuple[float, float]
) -> None:
    # There are between 0 and 32.8 of them; but if there is nobody, there is no mean.
    mean = mean_of(total_of(value, BALANCE), shown("overlap", 10), BALANCE)

    assert mean.interval95 == pytest.approx(ends, abs=0.01)


def test_nobody_has_no_mean() -> None:
    assert mean_of(total_of(0), shown("overlap", 0)).value is None
