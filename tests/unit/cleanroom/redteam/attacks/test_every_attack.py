"""With few games every attack succeeds on its planted faults, and on no sound room."""

import pytest

from cleanroom.redteam.attacks.account_doubling import AccountDoubling
from cleanroom.redteam.attacks.collusion import Collusion
from cleanroom.redteam.attacks.crash_query import CrashQuery
from cleanroom.redteam.attacks.key_fanout import KeyFanout
from cleanroom.redteam.attacks.optout_oracle import OptoutOracle
from cleanroom.redteam.attacks.provider_flood import ProviderFlood
from cleanroom.redteam.attacks.refusal_oracle import RefusalOracle
from cleanroom.redteam.attacks.snapshots import Snapshots
from cleanroom.redteam.plants import planted
from cleanroom.redteam.types import Verdict

# The faults that show in few games; those that only double a budget are in the slow tests, in many.
CLEAR = [
    (Snapshots(), "noise_off", 30),
    (Snapshots(), "noise_seeded_by_content", 60),
    (Collusion(), "noise_off", 30),
    (KeyFanout(), "rows_counted_as_persons", 240),
    (KeyFanout(), "rows_fused_by_keys", 240),
    (OptoutOracle(), "touched_answers_marking", 20),
    (RefusalOracle(), "floor_on_matched", 14),
    (RefusalOracle(), "exact_denominator", 14),
    (RefusalOracle(), "empty_literal_refused", 14),
    (ProviderFlood(), "bill_by_matches", 20),
    (CrashQuery(), "noise_off", 30),
]


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "plant", "games"), CLEAR, ids=lambda value: getattr(value, "name", None))
def test_a_planted_fault_lets_the_attack_succeed(make_lab, attack, plant, games):
    assert plant in attack.plants

    with planted(plant):
        found = attack.run(make_lab(games))

    assert found.verdict is Verdict.FALLS
    assert (found.name, found.metric) == (attack.name, attack.metric)


@pytest.mark.slow
@pytest.mark.parametrize("attack", [RefusalOracle(), ProviderFlood()], ids=lambda attack: attack.name)
def test_nothing_beside_the_figures_tells_anything_in_a_sound_room(make_lab, attack):
    found = attack.run(make_lab(14))

    assert found.value == 0.0
    assert found.trials == 14


@pytest.mark.slow
def test_watching_a_withdrawal_tells_nothing_in_a_sound_room(make_lab):
    found = OptoutOracle().run(make_lab(20))

    assert "watching 0.000" in found.note


@pytest.mark.parametrize(
    "attack",
    [Snapshots(), AccountDoubling(), Collusion(), KeyFanout(), CrashQuery()],
    ids=lambda attack: attack.name,
)
def test_a_policy_that_sells_no_tables_gives_a_crowd_nothing_to_ask(make_lab, attack):
    found = attack.run(make_lab(20, analyses={"allowed": ["match_test"]}))

    assert (found.verdict, found.trials, found.value) == (Verdict.RESISTS, 0, 0.0)
    assert "no profile" in found.note


def test_the_oracles_ask_whatever_the_policy_sells(make_lab):
    lab = make_lab(10, analyses={"allowed": ["match_test"]})

    assert ProviderFlood().run(lab).trials == 10
    assert OptoutOracle().run(lab).trials == 10
    assert RefusalOracle().run(lab).trials == 0
    nothing = make_lab(10, analyses={"allowed": []})
    assert ProviderFlood().run(nothing).trials == OptoutOracle().run(nothing).trials == 0
