"""What a provider may read about a buyer's base."""

import pytest

from cleanroom.analyses.receipt_facts import size_band


@pytest.mark.parametrize(
    ("persons", "band"),
    [
        (0, "0"),
        (1, "1-9"),
        (9, "1-9"),
        (10, "10-99"),
        (1_499, "1000-9999"),
        (10_000_000, "10000000-99999999"),
    ],
)
def test_a_base_is_shown_as_a_power_of_ten(persons, band):
    assert size_band(persons) == band
