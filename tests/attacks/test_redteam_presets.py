"""Every attack with all its games against every preset: none goes further than promised; the best one is not tame."""

import pytest

from cleanroom.redteam.lab import lab_home
from cleanroom.redteam.run import run
from policies.codec import PRESETS, load_preset
from tests.attacks.games import certainly_above

# What an attacker gives up: the share kept for public releases, the overlap's cell, and chance.
TEETH = 0.7


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("preset", PRESETS)
def test_no_attack_exceeds_the_bound_of_its_account(preset):
    document = load_preset(preset, purposes=["advertising", "research"])
    with lab_home() as home:
        report = run(document, home=home, seed=20, jobs=1)

    assert [found.name for found in report.results if certainly_above(found)] == []
    assert report.conclusive
    # The best strategy against one person: it comes as far as the budget lets it.
    differencing = report.results[0]
    assert differencing.name == "differencing"
    assert differencing.interval95[1] > TEETH * differencing.limit
