"""Laboratories with few games."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from cleanroom.redteam.lab import Lab, lab_home
from policies.codec import load_preset, policy_from_data, policy_to_data

MakeLab = Callable[..., Lab]


@pytest.fixture
def make_lab() -> Iterator[MakeLab]:
    """A factory: the preset `standard`, with a total for four buyers, and other rules replaced."""
    made = count()
    with lab_home() as home:

        def make(games: int, **replaced: dict) -> Lab:
            replaced = {"budget": {"agency_rho_micro": 200_000, "total_rho_micro": 400_000}} | replaced
            data = policy_to_data(load_preset("standard", purposes=["advertising", "research"]))
            rules = [{**rule, **replaced.get(rule["rule"], {})} for rule in data["rules"]]
            return Lab(policy_from_data({**data, "rules": rules}), 7, home / str(next(made)), games=games)

        yield make
