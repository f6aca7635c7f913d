"""When alarms are raised is the operator's to say."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cleanroom.settings import SettingsError, load_settings
from cleanroom.settings.alarms import FIELDS, USUAL


def test_what_is_not_set_is_as_usual(tmp_path: Path) -> None:
    assert load_settings({}, home=tmp_path).alarms == USUAL


def test_each_can_be_set(tmp_path: Path) -> None:
    environ = {f"CLEANROOM_{field.upper()}": str(number) for number, field in enumerate(FIELDS[:-1], 2)}
    environ |= {"CLEANROOM_ALARM_HOURS": "22-6", "CLEANROOM_BILLING_ZONE": "Europe/Moscow"}
    found = load_settings(environ, home=tmp_path).alarms
    assert [getattr(found, field.removeprefix("alarm_")) for field in FIELDS[:-1]] == list(range(2, 10))
    assert (found.hours, found.zone) == ((22, 6), ZoneInfo("Europe/Moscow"))


@pytest.mark.parametrize("hours", ["7", "7-7", "24-3", "7-25", "a-b", "-1-5", "7–22"])
def test_hours_that_make_no_window_are_refused(tmp_path: Path, hours: str) -> None:
    with pytest.raises(SettingsError, match="CLEANROOM_ALARM_HOURS"):
        load_settings({"CLEANROOM_ALARM_HOURS": hours}, home=tmp_path)


@pytest.mark.parametrize("field", FIELDS[:-1])
@pytest.mark.parametrize("value", ["0", "-1", "many", "99999999"])
def test_counts_that_cannot_be_meant_are_refused(tmp_path: Path, field: str, value: str) -> None:
    with pytest.raises(SettingsError, match=field.upper()):
        load_settings({f"CLEANROOM_{field.upper()}": value}, home=tmp_path)
