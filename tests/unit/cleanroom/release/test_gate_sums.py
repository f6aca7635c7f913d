"""Sums through the gate: noise in units of one person's bound, shown with the count of their people."""

import pytest

from cleanroom.release import gate
from cleanroom.release.gate import plan_mechanism, release_cells
from cleanroom.release.types import Cell, Mechanism, ReleasedFigure
from policies.attributes import AttributeInfo
from tests.tallies import calls_of

INFOS = {
    "balance": AttributeInfo("integer", clamp=(-20, 10)),
    "debt": AttributeInfo("decimal", scale=2, clamp=(-9_000, -100)),
    "spend": AttributeInfo("decimal", scale=2, clamp=(100, 500_000)),
}
# One count and one sum of each attribute: 1 + 3 cells; sigma 31.6.
MECHANISM = plan_mechanism(l0=4, rho_micro=2_000, minimum_audience=100, round_to=1, sums=INFOS, sum_l0=1)
PEOPLE = Cell("overlap", 1_000, None)


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> dict[float, int]:
    """Noise by its scale, instead of the random part; what is not named gets none."""
    fixed: dict[float, int] = {}

    def add_noise(exact: list[int], *, sigma: float) -> list[int]:
        return [figure + fixed.get(sigma, 0) for figure in exact]

    monkeypatch.setattr(gate, "add_noise", add_noise)
    return fixed


def sigma_of(attribute: str) -> float:
    return next(made.sigma for made in MECHANISM.sums if made.attribute == attribute)


def released(attribute: str, exact: int, *, people: Cell = PEOPLE) -> ReleasedFigure:
    _, figure = release_cells([people, Cell(f"sum:{attribute}", exact, "overlap", attribute)], MECHANISM)
    return figure


@pytest.mark.parametrize(("attribute", "unit"), [("balance", 20), ("debt", 9_000), ("spend", 500_000)])
def test_the_noise_of_a_sum_is_that_of_a_count_times_the_bound_further_from_zero(attribute, unit):
    made = MECHANISM.noise_of(f"sum:{attribute}:segment:old")

    assert made.sigma == MECHANISM.sigma * unit
    assert made.half_width == pytest.approx(1.96 * 31.62 * unit, rel=0.01)
    assert (made.lowest, made.highest) == INFOS[attribute].clamp


def test_the_noise_of_a_count_is_the_questions_own():
    assert MECHANISM.noise_of("overlap") is MECHANISM
    assert MECHANISM.noise_of("sum:spending") is MECHANISM


@pytest.mark.parametrize(("count", "suppressed"), [(174, False), (173, True)])
def test_a_sum_is_shown_exactly_when_the_count_of_its_people_is(noise, count, suppressed):
    assert MECHANISM.threshold == 174

    figure = released("spend", 9_000_000, people=Cell("overlap", count, None))

    assert figure.suppressed is suppressed
    assert (figure.value is None) is (figure.interval95 is None) is suppressed


def test_whether_a_sum_is_shown_depends_on_the_noisy_count_and_not_on_the_sum(noise):
    noise[MECHANISM.sigma] = -900

    assert released("spend", 9_000_000).suppressed
    assert not released("spend", 0, people=Cell("overlap", 5_000, None)).suppressed


def test_a_sum_is_never_shown_beyond_what_the_people_shown_can_add_up_to(noise):
    noise[sigma_of("spend")] = 10_000_000

    figure = released("spend", 495_000_000)

    # 1,000 people at 5,000.00 each; the interval still stands around the unbiased value of 505,000,000.
    assert figure.value == 500_000_000
    half_width = MECHANISM.noise_of("sum:spend").half_width
    assert figure.interval95 == (505_000_000 - half_width, 505_000_000 + half_width)
    assert (figure.sigma, figure.scale) == (sigma_of("spend"), 2)


def test_the_interval_is_stretched_to_the_value_shown(noise):
    noise[sigma_of("spend")] = 200_000_000

    figure = released("spend", 495_000_000)

    assert figure.value == 500_000_000
    assert figure.interval95[0] == 500_000_000


@pytest.mark.parametrize(
    ("attribute", "exact", "drawn", "value", "low", "high"),
    [
        # Nobody takes away from a sum of what is never negative, and nobody adds to a sum of debts.
        ("spend", 1_000, -50_000_000, 0, 0, 0),
        ("spend", 100_000, 0, 100_000, 0, None),
        ("debt", -1_000, 900_000, 0, None, 0),
        ("debt", -900_000, 0, -900_000, None, None),
        ("debt", -90_000, 0, -90_000, None, 0),
        # A balance can be either.
        ("balance", 0, -900, -900, None, None),
        ("balance", -20_000, -5_000, -20_000, None, None),
        ("balance", 10_000, 5_000, 10_000, None, None),
    ],
)
def test_ends_and_values_keep_to_the_side_of_zero_that_the_bounds_allow(
    noise, attribute, exact, drawn, value, low, high
):
    noise[sigma_of(attribute)] = drawn
    half_width = MECHANISM.noise_of(f"sum:{attribute}").half_width

    figure = released(attribute, exact)

    assert figure.value == value
    ends = (min(exact + drawn - half_width, value), max(exact + drawn + half_width, value))
    assert figure.interval95 == (ends[0] if low is None else low, ends[1] if high is None else high)


def test_rounding_is_of_counts_alone(noise):
    rounded = plan_mechanism(
        l0=2, rho_micro=2_000, minimum_audience=100, round_to=50, sums={"spend": INFOS["spend"]}, sum_l0=1
    )

    count, total = release_cells(
        [Cell("overlap", 1_021, None), Cell("sum:spend", 1_234_567, "overlap", "spend")], rounded
    )

    assert count.value == 1_000
    assert total.value == 1_234_567


def test_a_sum_whose_noise_was_not_planned_is_never_released():
    plain = plan_mechanism(l0=1, rho_micro=2_000, minimum_audience=0, round_to=1)

    with pytest.raises(KeyError):
        release_cells([PEOPLE, Cell("sum:spend", 5, "overlap", "spend")], plain)


def vectors(monkeypatch: pytest.MonkeyPatch, cells: list[Cell], mechanism: Mechanism) -> list[int]:
    """How many figures each draw of noise covered."""
    drawn = []
    add_noise = gate.add_noise

    def counting(exact: list[int], *, sigma: float) -> list[int]:
        drawn.append(len(exact))
        return add_noise(exact, sigma=sigma)

    monkeypatch.setattr(gate, "add_noise", counting)
    release_cells(cells, mechanism)
    return drawn


def test_a_thousand_segments_are_one_draw_and_their_sums_another(monkeypatch):
    counts = [PEOPLE, *(Cell(f"segment:{at}", 500, "overlap") for at in range(1_000))]
    sums = [Cell(f"sum:spend:{cell.name}", 5, cell.name, "spend") for cell in counts]
    plain = plan_mechanism(l0=1_001, rho_micro=2_000, minimum_audience=100, round_to=1)
    summing = plan_mechanism(
        l0=2_002,
        rho_micro=2_000,
        minimum_audience=100,
        round_to=1,
        sums={"spend": INFOS["spend"]},
        sum_l0=1_001,
    )

    assert vectors(monkeypatch, counts, plain) == [1_001]
    assert vectors(monkeypatch, [*counts, *sums], summing) == [1_001, 1_001]


def test_ten_times_the_cells_are_ten_times_the_work():
    mechanism = plan_mechanism(l0=2, rho_micro=5_000, minimum_audience=100, round_to=1)

    def calls(number: int) -> int:
        cells = [PEOPLE, *(Cell(f"breakdown:0:{at}", at, "overlap") for at in range(number))]
        return calls_of(lambda: release_cells(cells, mechanism))

    assert calls(2_000) < 12 * calls(200)
