"""What raises an alarm: how much within how long, and which hours are usual."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cleanroom.settings.values import SettingsError, count, variable

_MOST, _MOST_MINUTES = 1_000_000, 10_080
_UTC = ZoneInfo("UTC")
_HOURS = re.compile(r"([01]?\d|2[0-3])-([01]?\d|2[0-4])")


@dataclass(frozen=True)
class AlarmSettings:
    """When detectors raise an alarm.

    Attributes:
        refusals, refusals_minutes: so many refused questions of a buyer within so long.
        race, race_seconds: so many questions within so long that draw on a grant that is nearly spent, or are refused
            because it is.
        sign_ins, sign_ins_minutes: so many failed sign-ins of an organisation's people within so long.
        bulk, bulk_minutes: so many lookups of people and exports by one organisation within so long.
        hours: first hour and the hour that ends the day, in `zone`; None when each buyer's own habit counts.
        zone: whose hours count.
    """

    refusals: int = 20
    refusals_minutes: int = 60
    race: int = 8
    race_seconds: int = 60
    sign_ins: int = 10
    sign_ins_minutes: int = 15
    bulk: int = 30
    bulk_minutes: int = 60
    hours: tuple[int, int] | None = None
    zone: ZoneInfo = _UTC


USUAL = AlarmSettings()
_COUNTS = ("refusals", "race", "sign_ins", "bulk")
_SPANS = ("refusals_minutes", "race_seconds", "sign_ins_minutes", "bulk_minutes")
FIELDS = tuple(f"alarm_{name}" for name in (*_COUNTS, *_SPANS, "hours"))


def alarm_settings(values: Mapping[str, object], *, zone: str) -> AlarmSettings:
    """Read when to raise alarms.

    Args:
        values: by field.
        zone: the room's, whose hours count.

    Raises:
        SettingsError: a value cannot be used.
    """

    def number(name: str, most: int) -> int:
        usual = getattr(USUAL, name)
        return count(f"alarm_{name}", values.get(f"alarm_{name}", usual), most=most, example=usual)

    counts = {name: number(name, _MOST) for name in _COUNTS}
    spans = {name: number(name, _MOST_MINUTES) for name in _SPANS}
    return AlarmSettings(**counts, **spans, hours=_hours(values.get("alarm_hours")), zone=ZoneInfo(zone))


def _hours(value: object) -> tuple[int, int] | None:
    if value is None or value == "":
        return None
    found = _HOURS.fullmatch(str(value))
    opens, closes = (int(one) for one in found.groups()) if found else (0, 0)
    if opens == closes:
        raise SettingsError(
            f"{variable('alarm_hours')} is not two different hours of a day.",
            remedy="Write such as 7-22; without it each buyer's own habit counts.",
        )
    return opens, closes
