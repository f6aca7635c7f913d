"""A rate with an exact denominator gives the denominator away."""

import pytest

from cleanroom.redteam.plants import planted
from cleanroom.release import gate
from cleanroom.release.ratios import ratios

CONSENTED = 2_700
ASKED = {"kind": "profile", "breakdowns": [["sex"]], "affinity": True, "precision": "fine"}


def denominator(answer) -> int:
    """What the attacker reads off a match rate: released overlap over released rate."""
    overlap = next(figure.value for figure in answer.figures if figure.name == "overlap")
    rate = next(ratio.value for ratio in answer.ratios if ratio.name == "match_rate:dataset")
    return round(overlap / rate)


def test_every_rate_is_made_of_released_figures_and_the_askers_own_base(make_room, monkeypatch):
    stage = make_room()
    # Noise that cannot be zero by chance.
    monkeypatch.setattr(gate, "add_noise", lambda counts, sigma: [count + 300 for count in counts])

    answer = stage.ask(stage.grant(), **ASKED)

    # Nothing that the asker does not hold goes into them: it can make them all itself.
    assert answer.ratios == ratios(answer.figures, base_persons=1_500)
    assert denominator(answer) == CONSENTED + 300


def test_an_exact_denominator_would_be_read_off_a_single_rate(make_room):
    stage = make_room()

    with planted("exact_denominator"):
        assert denominator(stage.ask(stage.grant(), **ASKED)) == CONSENTED


def test_a_rate_of_the_base_is_over_the_size_that_its_owner_knows(make_room):
    stage = make_room()

    answer = stage.ask(stage.grant())

    (rate,) = answer.ratios
    assert rate.name == "match_rate:base"
    assert rate.value == pytest.approx(answer.figures[0].value / 1_500)
