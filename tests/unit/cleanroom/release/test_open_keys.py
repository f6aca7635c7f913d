"""Counts over unknown keys: what they cost, when a key appears, and that the order of the data does not show."""

import math
from dataclasses import replace

import pytest
from scipy import stats

from cleanroom.release.codec import mechanism_from_dict, mechanism_to_dict
from cleanroom.release.errors import CalibrationError
from cleanroom.release.gate import plan_mechanism, release_cells
from cleanroom.release.mechanism import _certified, calibrate
from cleanroom.release.open_keys import _measurement, certified_rho, draw, plan_open_keys
from cleanroom.release.types import Cell, OpenKeys
from policies.accounting import MICRO
from policies.unknown_keys import PICO


def mechanism(
    *, delta_pico: int = 5_000, rho_micro: int = 20_000, minimum: int = 100, round_to: int = 1, l0: int = 2
):
    return plan_mechanism(
        l0=l0,
        rho_micro=rho_micro,
        minimum_audience=minimum,
        round_to=round_to,
        open_breakdown="town",
        delta_pico=delta_pico,
    )


def towns(**counts: int) -> list[Cell]:
    return [
        Cell("overlap", 10_000, None),
        *(Cell(f"breakdown:town={name}", count, "overlap", open=True) for name, count in counts.items()),
    ]


@pytest.mark.parametrize("l0", [2, 14])
@pytest.mark.parametrize("rho_micro", [100, 500, 4_999, 25_000])
def test_the_noise_costs_what_was_paid_for_all_cells_together(l0, rho_micro):
    sigma = calibrate(l0, rho_micro, open_keys=True)
    # The vector of the other cells and the table of unknown keys, each exactly as OpenDP states it.
    assert math.ceil((_certified(sigma, 1, l0 - 1) + certified_rho(sigma)) * MICRO) <= rho_micro
    assert sigma == pytest.approx(calibrate(l0, rho_micro), rel=1e-9)


def test_a_breakdown_over_unknown_keys_needs_a_second_cell():
    with pytest.raises(CalibrationError, match="at least one cell"):
        calibrate(1, 500, open_keys=True)


def test_both_thresholds_hold_the_minimum_audience_and_deltas():
    made = mechanism()
    assert made.open_keys is not None
    # sigma 7.1: delta asks for 43, the minimum audience for 117.
    assert made.open_keys.threshold == made.threshold == 117
    made = mechanism(minimum=0)
    assert made.open_keys is not None
    assert (made.threshold, made.open_keys.threshold) == (0, 43)
    assert plan_open_keys("town", sigma=100.0, delta_pico=5_000, shown_from=0).threshold == 576


def test_delta_must_be_paid():
    with pytest.raises(CalibrationError, match="at least one pico-delta"):
        mechanism(delta_pico=0)


def test_large_keys_are_shown_and_small_ones_leave_no_trace():
    small = {f"t{number}": 1 + number % 60 for number in range(2_000)}
    figures = release_cells(towns(Казань=4_000, **small, Омск=2_500), mechanism())
    assert [figure.name for figure in figures] == ["overlap", "breakdown:town=Казань", "breakdown:town=Омск"]
    for figure, exact in zip(figures[1:], (4_000, 2_500), strict=True):
        assert figure.value is not None
        assert figure.interval95 is not None
        assert abs(figure.value - exact) < 60
        assert figure.interval95[0] <= figure.value <= figure.interval95[1]
        assert not figure.suppressed
        assert figure.sigma == pytest.approx(math.sqrt(2 / 0.04), rel=1e-3)


def test_keys_come_sorted_never_in_the_order_of_the_data():
    names = [f"t{number * 7 % 100:02}" for number in range(100)]
    shown = [figure.name for figure in release_cells(towns(**dict.fromkeys(names, 900)), mechanism())[1:]]
    assert shown == sorted(shown)
    assert len(shown) == 100


def test_a_key_is_rounded_and_never_shown_above_the_overlap():
    cells = [Cell("overlap", 1_000, None), Cell("breakdown:town=Омск", 1_900, "overlap", open=True)]
    overlap, town = release_cells(cells, mechanism(round_to=50))
    assert overlap.value is not None
    assert town.value is not None
    assert town.value <= overlap.value
    assert town.value % 50 == 0
    assert town.interval95 is not None
    assert town.interval95[0] <= town.value <= town.interval95[1]


def test_no_person_no_key():
    assert len(release_cells(towns(), mechanism())) == 1


def test_cells_over_unknown_keys_never_pass_a_mechanism_that_was_not_planned_for_them():
    plain = plan_mechanism(l0=2, rho_micro=20_000, minimum_audience=100, round_to=1)
    with pytest.raises(CalibrationError, match="planned for them") as caught:
        release_cells(towns(Верхоянск=4_000), plain)
    assert "Верхоянск" not in str(caught.value)


def test_a_mechanism_survives_its_plain_form():
    made = mechanism()
    assert mechanism_from_dict(mechanism_to_dict(made)) == made
    older = mechanism_to_dict(plan_mechanism(l0=2, rho_micro=20_000, minimum_audience=100, round_to=1))
    del older["open_keys"]
    assert mechanism_from_dict(older).open_keys is None


def tail(sigma: float, least: int) -> float:
    """The exact chance that discrete Gaussian noise reaches a whole number."""
    reach = int(40 * sigma) + 2
    weights = {k: math.exp(-k * k / (2 * sigma * sigma)) for k in range(-reach, reach + 1)}
    return sum(weight for k, weight in weights.items() if k >= least) / sum(weights.values())


ALARM = 1e-6


def appearances(keys: OpenKeys, *, sigma: float, rounds: int, each: int) -> int:
    """How often keys that one person has are shown."""
    alone = {f"t{number}": 1 for number in range(each)}
    return sum(len(draw(alone, keys, sigma=sigma)) for _ in range(rounds))


def test_a_key_of_one_person_appears_no_oftener_than_delta_allows():
    sigma, delta_pico, rounds, each = 2.0, 22_800_000_000, 4, 10_000
    keys = plan_open_keys("town", sigma=sigma, delta_pico=delta_pico, shown_from=0)
    allowed = stats.binom.isf(ALARM, rounds * each, delta_pico / PICO)
    seen = appearances(keys, sigma=sigma, rounds=rounds, each=each)
    # Not by being far too careful either: it appears at all.
    assert 0 < seen <= allowed
    assert tail(sigma, keys.threshold - 1) <= delta_pico / PICO

    # OpenDP states less than this delta for one threshold less. That promise would not hold, and the test sees it.
    careless = replace(keys, threshold=keys.threshold - 1)
    assert _measurement(sigma, careless.threshold).map((1, 1, 1))[1] < delta_pico / PICO
    assert appearances(careless, sigma=sigma, rounds=rounds, each=each) > allowed


def test_the_noise_of_shown_keys_is_that_of_every_count():
    sigma, each = 25.0, 6_000
    keys = plan_open_keys("town", sigma=sigma, delta_pico=5_000, shown_from=0)
    noise = [
        value - 5_000 for value in draw({f"t{n}": 5_000 for n in range(each)}, keys, sigma=sigma).values()
    ]
    assert len(noise) == each
    # Mean and variance of a discrete Gaussian of this scale are 0 and sigma squared; false alarm rate 1e-6 each.
    assert abs(sum(noise) / each) < stats.norm.isf(ALARM / 2) * sigma / math.sqrt(each)
    low, high = stats.chi2.ppf([ALARM / 2, 1 - ALARM / 2], each)
    assert low < sum(value * value for value in noise) / sigma**2 < high
