"""How numbers are written."""

from zoneinfo import ZoneInfo

import pytest

from provider_portal.i18n import Writing


@pytest.mark.parametrize(
    ("value", "english", "russian"),
    [
        (0, "0", "0"),
        (1_234_567, "1,234,567", "1\xa0234\xa0567"),
        (0.0954, "0.095", "0,095"),
        (0.001, "0.001", "0,001"),
        (0.000432, "0.00043", "0,00043"),
        (-0.0000987, "-0.000099", "-0,000099"),
    ],
)
def test_a_small_number_does_not_look_like_none(value: float, english: str, russian: str) -> None:
    assert Writing("en", ZoneInfo("UTC")).number(value) == english
    assert Writing("ru", ZoneInfo("UTC")).number(value) == russian
