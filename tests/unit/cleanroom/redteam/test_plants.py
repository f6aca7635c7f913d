"""Faults are swapped in, and out again whatever happens."""

import pytest

from cleanroom.redteam.errors import UnknownPlantError
from cleanroom.redteam.plants import plant_names, plant_says, planted
from cleanroom.redteam.plants.registry import PLANTS, plant
from cleanroom.redteam.run import ATTACKS
from cleanroom.release import gate


def use_and_fail() -> None:
    with planted("noise_off"):
        assert gate.add_noise([7, 8], sigma=1_000.0) == [7, 8]
        raise ZeroDivisionError


def test_a_fault_lasts_as_long_as_its_block_even_when_that_fails():
    sound = gate.add_noise
    with pytest.raises(ZeroDivisionError):
        use_and_fail()

    assert gate.add_noise is sound


def test_every_fault_says_what_is_wrong_and_helps_an_attack():
    helped = {name for attack in ATTACKS for name in attack.plants}

    assert set(plant_names()) == helped
    for name in plant_names():
        assert plant_says(name).endswith(".")


def test_every_fault_can_be_put_in_place_and_taken_away():
    for name in plant_names():
        with planted(name):
            pass


def test_an_unknown_fault_is_refused_with_the_list_of_known_ones():
    with pytest.raises(UnknownPlantError) as raised, planted("sabotage"):
        pass
    assert "noise_off" in str(raised.value)


def test_a_name_is_given_once():
    def noise_off():
        yield

    with pytest.raises(AssertionError):
        plant("Another.")(noise_off)
    assert PLANTS["noise_off"].says.startswith("Exact")
