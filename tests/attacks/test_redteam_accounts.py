"""The faults that only multiply a budget show in many games: each lets the attack pass the bound of its account."""

import pytest

from cleanroom.redteam.attacks.account_doubling import AccountDoubling
from cleanroom.redteam.attacks.collusion import Collusion
from cleanroom.redteam.attacks.crash_query import CrashQuery
from cleanroom.redteam.attacks.snapshots import Snapshots
from cleanroom.redteam.lab import Lab, lab_home
from cleanroom.redteam.plants import planted
from policies.codec import load_preset

GAMES = 2_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "plant"),
    [
        (Snapshots(), "budget_by_version"),
        (AccountDoubling(), "budget_per_entitlement"),
        (AccountDoubling(), "budget_per_agency"),
        (Collusion(), "agencies_uncapped"),
        # Half as long as the others together.
        pytest.param(Collusion(), "no_total", marks=pytest.mark.long),
        (CrashQuery(), "settle_at_release"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_multiplied_budget_passes_the_bound(attack, plant):
    with lab_home() as home, planted(plant):
        found = attack.run(
            Lab(load_preset("standard", purposes=["advertising", "research"]), 3, home, games=GAMES)
        )

    assert found.value > found.limit
