"""Minimum audiences of single outputs: each is withheld by its own, on the noisy count."""

import math

import pytest

from cleanroom.release import gate
from cleanroom.release.codec import mechanism_from_dict, mechanism_to_dict
from cleanroom.release.gate import plan_mechanism, release_cells
from cleanroom.release.types import Cell
from policies.attributes import AttributeInfo
from policies.mechanisms import SUPPRESSION_SIGMAS

SPEND = {"spend": AttributeInfo("integer", clamp=(0, 100))}
MINIMUMS = {"segment": 300, "breakdown": 200, "sum": 400, "label": 90}
MECHANISM = plan_mechanism(
    l0=4, rho_micro=20_000, minimum_audience=100, round_to=1, minimums=MINIMUMS, sums=SPEND, sum_l0=1
)


def threshold(minimum):
    return math.ceil(minimum + SUPPRESSION_SIGMAS * MECHANISM.sigma)


@pytest.mark.parametrize(
    ("figure", "minimum"),
    [
        ("overlap", 100),
        ("dataset", 100),
        ("key:email/room", 100),
        ("label:vip", 100),
        ("segment:0", 300),
        ("dataset:segment:young people", 300),
        ("breakdown:0:4", 200),
        ("dataset:breakdown:sex=F", 200),
        ("sum:spend", 400),
        ("sum:spend:segment:0", 400),
    ],
)
def test_every_figure_has_the_minimum_of_its_output(figure, minimum):
    assert MECHANISM.minimum_of(figure) == minimum
    assert MECHANISM.threshold_of(figure) == threshold(minimum)


def test_without_minima_of_outputs_the_general_one_holds():
    plain = plan_mechanism(l0=4, rho_micro=20_000, minimum_audience=100, round_to=1)

    assert plain.threshold_of("segment:0") == plain.threshold
    assert plain.minimums == {}


def test_cells_are_withheld_by_the_minimum_of_their_output(monkeypatch):
    monkeypatch.setattr(gate, "add_noise", lambda counts, **_scale: list(counts))
    people = {
        "overlap": threshold(100),
        "segment:0": threshold(300) - 1,
        "segment:1": threshold(300),
        "segment:2": threshold(400),
        "breakdown:0:0": threshold(200) - 1,
        "breakdown:0:1": threshold(200),
    }
    cells = [Cell(name, count, None) for name, count in people.items()]
    cells += [
        Cell(f"sum:spend:{name}".removesuffix(":overlap"), 7, name, attribute="spend") for name in people
    ]

    shown = {figure.name for figure in release_cells(cells, MECHANISM) if not figure.suppressed}

    assert shown == {"overlap", "segment:1", "segment:2", "breakdown:0:1", "sum:spend:segment:2"}


def test_unknown_keys_are_held_to_the_minimum_of_breakdowns():
    made = plan_mechanism(
        l0=2,
        rho_micro=20_000,
        minimum_audience=100,
        round_to=1,
        minimums={"breakdown": 5_000},
        open_breakdown="town",
        delta_pico=1_000,
    )

    assert made.open_keys.threshold == made.threshold_of("breakdown:town=Пермь") > 5_000


def test_minima_survive_the_answer_store():
    assert mechanism_from_dict(mechanism_to_dict(MECHANISM)) == MECHANISM
    older = mechanism_to_dict(MECHANISM)
    del older["minimums"]
    assert mechanism_from_dict(older).minimums == {}
