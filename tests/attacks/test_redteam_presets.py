"""The attacks on one moment with all their games against every preset: none goes further than promised, or is tame."""

import pytest

from cleanroom.redteam.lab import Lab, lab_home
from cleanroom.redteam.run import WIDEST
from policies.codec import PRESETS, load_preset
from tests.attacks.games import certainly_above
from tests.attacks.test_redteam import ATTACKS

# What an attacker gives up: the share kept for public releases, the overlap's cell, and chance.
TEETH = 0.7


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("preset", PRESETS)
def test_no_attack_exceeds_the_bound_of_its_account(preset, attack):
    with lab_home() as home:
        found = attack.run(Lab(load_preset(preset, purposes=["research"]), 20, home))

    assert not certainly_above(found)
    low, high = found.interval95
    assert high - low <= WIDEST
    if attack.name == "differencing":
        # The best strategy against one person: it comes as far as the budget lets it.
        assert high > TEETH * found.limit
