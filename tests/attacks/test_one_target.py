"""Attacks on one person alone, at L0 = 1, played at the gate: differences, padding to the minimum and to an edge."""

from cleanroom.redteam.plants import planted
from cleanroom.release.gate import plan_mechanism
from cleanroom.release.types import ReleasedFigure
from policies.accounting import MICRO, advantage
from tests.attacks.games import MARGIN, advantage_of

CAP_MICRO = 100_000
QUESTION_MICRO = CAP_MICRO // 4
# One total at the highest price of one question: sigma 4.47.
SHARP = {"l0": 1, "rho_micro": QUESTION_MICRO}


def difference(figures: tuple[ReleasedFigure, ...]) -> bool:
    """The attacker knows that 5,000 or 5,001 people were counted; four answers are averaged."""
    return sum(figure.value or 0 for figure in figures) > 5_000.5 * len(figures)


def test_differencing_with_the_whole_cap_spent_stays_below_the_presets_column():
    mechanism = plan_mechanism(**SHARP, minimum_audience=100, round_to=1)

    # The best there is: the mean of four answers at a quarter of the cap each; 0.18 in the presets' table.
    found = advantage_of(difference, without=5_000, mechanism=mechanism, each=4)

    assert found <= advantage(CAP_MICRO / MICRO) + MARGIN < 0.22
    # It is an attack that works as far as it can: the game has teeth.
    assert found > 0.17 - MARGIN


def test_differencing_without_noise_is_certain():
    mechanism = plan_mechanism(**SHARP, minimum_audience=100, round_to=1)

    with planted("noise_off"):
        assert advantage_of(difference, without=5_000, mechanism=mechanism, games=100) == 1.0


def shown(figures: tuple[ReleasedFigure, ...]) -> bool:
    return not figures[0].suppressed


def test_padding_to_the_minimum_and_watching_suppression_gains_no_more_than_one_answer_may_tell():
    mechanism = plan_mechanism(**SHARP, minimum_audience=100, round_to=1)
    # The attacker pads to where the noisy threshold splits best, and not just to the minimum.
    for known in (99, mechanism.threshold - 1):
        found = advantage_of(shown, without=known, mechanism=mechanism)
        assert found <= advantage(QUESTION_MICRO / MICRO) + MARGIN


def test_padding_to_the_minimum_is_certain_when_the_exact_count_is_suppressed():
    mechanism = plan_mechanism(**SHARP, minimum_audience=100, round_to=1)

    with planted("threshold_on_true"):
        assert advantage_of(shown, without=99, mechanism=mechanism, games=100) == 1.0


def rounded_up(figures: tuple[ReleasedFigure, ...]) -> bool:
    return (figures[0].value or 0) >= 1_050


def test_padding_to_the_edge_of_rounding_gains_no_more_than_one_answer_may_tell():
    mechanism = plan_mechanism(**SHARP, minimum_audience=100, round_to=50)

    found = advantage_of(rounded_up, without=1_024, mechanism=mechanism)

    assert found <= advantage(QUESTION_MICRO / MICRO) + MARGIN


def test_padding_to_the_edge_is_certain_when_counts_are_rounded_before_the_noise():
    mechanism = plan_mechanism(**SHARP, minimum_audience=100, round_to=50)

    with planted("round_before_noise"):
        assert advantage_of(rounded_up, without=1_024, mechanism=mechanism) > 0.99


def test_a_question_costs_a_quarter_of_the_cap_at_most(make_room):
    stage = make_room()

    refused = stage.ask(stage.grant(), half_width=1)

    assert [reason.rule for reason in refused.reasons] == ["budget_question"]
    assert refused.reasons[0].limit == QUESTION_MICRO
