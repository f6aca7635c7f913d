"""What the gate lets out, and in which order it does things."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.canonical import canonical_json
from cleanroom.release import gate
from cleanroom.release.codec import figure_from_dict, figure_to_dict, mechanism_from_dict, mechanism_to_dict
from cleanroom.release.gate import plan_mechanism, release_cells, round_half_up
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure
from policies.attributes import AttributeInfo

MECHANISM = plan_mechanism(l0=1, rho_micro=500, minimum_audience=100, round_to=1)
# Two sums that a person can change, next to one count: 1 + 2 + 2 cells.
SUMMING = plan_mechanism(
    l0=5,
    rho_micro=2500,
    minimum_audience=100,
    round_to=1,
    sums={
        "spend": AttributeInfo("decimal", scale=2, clamp=(0, 500_000)),
        "balance": AttributeInfo("integer", clamp=(-20, 10)),
    },
    sum_l0=2,
)
Draws = Callable[..., None]


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Draws:
    """Replace the random part alone, so that everything after it can be seen."""

    def fix(*noise: int) -> None:
        monkeypatch.setattr(
            gate,
            "add_noise",
            lambda counts, sigma: [count + extra for count, extra in zip(counts, noise, strict=True)],
        )

    return fix


def release(*cells: Cell, mechanism: Mechanism = MECHANISM) -> list[ReleasedFigure]:
    return list(release_cells(cells, mechanism))


def test_the_threshold_is_the_minimum_plus_233_hundredths_of_sigma() -> None:
    # 100 + 2.33 x 31.62 = 173.7
    assert MECHANISM.threshold == 174


def test_a_total_of_the_normal_precision_is_shown_within_62_people() -> None:
    assert MECHANISM.half_width == 62


def test_suppression_looks_at_the_noisy_value_and_not_at_the_count(draws: Draws) -> None:
    draws(-1000, +1000)

    big, small = release(Cell("a", 1100, None), Cell("b", 0, None))

    assert (big.suppressed, big.value, big.interval95) == (True, None, None)
    assert (small.suppressed, small.value) == (False, 1000)


def test_the_value_at_the_threshold_is_shown_and_one_below_is_not(draws: Draws) -> None:
    draws(0, 0)

    at, below = release(Cell("a", 174, None), Cell("b", 173, None))

    assert at.value == 174
    assert below.suppressed


def test_a_part_is_never_shown_above_its_whole(draws: Draws) -> None:
    draws(0, 300)

    whole, part = release(Cell("overlap", 1000, None), Cell("segment:0", 900, "overlap"))

    assert whole.value == 1000
    assert part.value == 1000
    # The interval still stands around the unbiased value of 1200.
    assert part.interval95 == (1000, 1262)


def test_a_part_of_a_suppressed_whole_has_no_ceiling(draws: Draws) -> None:
    draws(-500, 0)

    whole, part = release(Cell("overlap", 600, None), Cell("segment:0", 400, "overlap"))

    assert whole.suppressed
    assert part.value == 400


def test_no_interval_begins_below_zero(draws: Draws) -> None:
    draws(0)
    mechanism = plan_mechanism(l0=1, rho_micro=5, minimum_audience=0, round_to=1)

    (figure,) = release(Cell("a", mechanism.threshold, None), mechanism=mechanism)

    assert figure.interval95 is not None
    assert figure.interval95[0] == 0


def test_rounding_comes_after_the_noise_and_widens_the_interval(draws: Draws) -> None:
    rounded = plan_mechanism(l0=1, rho_micro=500, minimum_audience=100, round_to=50)
    draws(4)

    (figure,) = release(Cell("a", 1021, None), mechanism=rounded)

    assert figure.value == 1050
    assert rounded.half_width > MECHANISM.half_width


@given(st.integers(-10_000, 10_000), st.integers(1, 500))
def test_rounding_moves_a_value_by_at_most_half_the_grid(value: int, grid: int) -> None:
    rounded = round_half_up(value, grid)

    assert rounded % grid == 0
    assert abs(rounded - value) * 2 <= grid


@pytest.mark.parametrize(
    "figure",
    [
        ReleasedFigure("overlap", 5, False, 1 / 3, (0, 9)),
        ReleasedFigure("segment:0", None, True, 1 / 3, None),
        ReleasedFigure("sum:spend", 2**62, False, 1e9 / 3, (-(2**62), 2**62 + 1), 2),
        ReleasedFigure("sum:spend:segment:0", None, True, 1e9 / 3, None, 0),
    ],
)
def test_figures_survive_writing_as_canonical_json_and_reading(figure: ReleasedFigure) -> None:
    written = json.loads(canonical_json(figure_to_dict(figure)))

    assert figure_from_dict(written) == figure


@pytest.mark.parametrize("mechanism", [MECHANISM, SUMMING])
def test_mechanisms_survive_writing_as_canonical_json_and_reading(mechanism: Mechanism) -> None:
    written = json.loads(canonical_json(mechanism_to_dict(mechanism)))

    assert mechanism_from_dict(written) == mechanism
