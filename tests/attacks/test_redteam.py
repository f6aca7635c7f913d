"""The red team's attacks on one moment: with few games they succeed on every planted fault, and on no sound room."""

import pytest

from cleanroom.redteam.attacks.averaging import Averaging
from cleanroom.redteam.attacks.bisection import Bisection
from cleanroom.redteam.attacks.differencing import Differencing
from cleanroom.redteam.attacks.padding import Padding
from cleanroom.redteam.attacks.reconstruction import Reconstruction
from cleanroom.redteam.attacks.rounding_edge import RoundingEdge
from cleanroom.redteam.lab import Lab, lab_home
from cleanroom.redteam.plants import planted
from cleanroom.redteam.types import Verdict
from policies.codec import load_preset, policy_from_data, policy_to_data
from policies.model import PolicyDocument
from tests.attacks.games import certainly_above

ATTACKS = (Differencing(), Padding(), RoundingEdge(), Bisection(), Reconstruction(), Averaging())
FEW, FEWER = 160, 40


def standard(**replaced: dict) -> PolicyDocument:
    data = policy_to_data(load_preset("standard", purposes=["research"]))
    rules = [{**rule, **replaced.get(rule["rule"], {})} for rule in data["rules"]]
    return policy_from_data({**data, "rules": rules})


@pytest.fixture(scope="module")
def labs():
    """A lab with few games; its room of targets is made once and copied for every buyer."""
    with lab_home() as home:
        yield {games: Lab(standard(), 11, home / str(games), games=games) for games in (FEW, FEWER)}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_attack_goes_further_than_the_standard_preset_promises(labs, attack):
    found = attack.run(labs[FEW])

    assert found.trials >= FEW // 2
    assert not certainly_above(found)
    assert found.plot is not None


@pytest.mark.parametrize(
    ("attack", "plant"),
    [
        # Spellings need many games to tell.
        pytest.param(
            attack,
            plant,
            marks=[pytest.mark.slow] if plant == "stored_answers_renoised" else [],
            id=f"{attack.name}-{plant}",
        )
        for attack in ATTACKS
        for plant in attack.plants
    ],
)
def test_every_planted_fault_lets_the_attack_succeed(labs, attack, plant):
    # Spellings alone tell less than the other faults, which tell nearly everything, so they need more games.
    slight = plant == "stored_answers_renoised"
    with planted(plant):
        found = attack.run(labs[FEW if slight else FEWER])

    assert found.verdict is Verdict.FALLS
    assert found.value > (0.35 if slight else 0.95)


LARGER_TABLES = {"minimum_audience": {"outputs": {"breakdown": 250}}}


def test_the_attacker_pads_to_the_minimum_of_the_output_that_it_reads():
    with lab_home() as home, planted("threshold_on_true"):
        found = Padding().run(Lab(standard(**LARGER_TABLES), 11, home, games=FEWER))

    assert found.verdict is Verdict.FALLS


LABELS_ONLY = {"attributes": {"breakdown": []}}
NO_CELLS = {"analyses": {"allowed": ["match_test"]}}


def test_without_breakdowns_the_attackers_own_labels_make_the_cells():
    with lab_home() as home:
        lab = Lab(standard(**LABELS_ONLY), 11, home, games=FEWER)
        assert lab.cells.by_label
        assert not certainly_above(Differencing().run(lab))
        with planted("noise_off"):
            found = Differencing().run(lab)

    assert found.verdict is Verdict.FALLS


@pytest.mark.parametrize("attack", [Differencing(), Reconstruction()], ids=lambda attack: attack.name)
def test_an_attack_that_the_policy_does_not_let_ask_finds_nothing_and_says_so(attack):
    with lab_home() as home:
        found = attack.run(Lab(standard(**NO_CELLS), 11, home, games=FEWER))

    assert (found.verdict, found.trials, found.note) == (Verdict.RESISTS, 0, "Refused by: analyses.")
