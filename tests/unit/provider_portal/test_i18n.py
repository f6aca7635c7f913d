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


@pytest.mark.parametrize(("language", "written"), [("en", "0.5%"), ("ru", "0,5\xa0%")])
def test_a_percentage_has_its_locales_form_whatever_its_digits(language: str, written: str) -> None:
    writing = Writing(language, ZoneInfo("UTC"))
    assert writing.percent(5, 1_000) == writing.share(0.005) == written
    assert writing.percent(50, 100) == written.replace("0.5", "50").replace("0,5", "50")


def test_a_range_has_groups_and_a_dash() -> None:
    assert Writing("ru", ZoneInfo("UTC")).numbers("1000-9999") == "1\xa0000\u20139\xa0999"
    assert Writing("en", ZoneInfo("UTC")).numbers("1000+") == "1000+"
