"""Calendar months in a zone, and the days of them that a term touches."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from cleanroom.marketplace.errors import MonthError
from cleanroom.marketplace.months import Month

MOSCOW, LONDON = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/London")


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_month_is_written_and_read():
    assert str(Month.parse("2026-02")) == "2026-02"
    assert Month(2026, 12).following == Month(2027, 1)
    assert (Month(2024, 2).days, Month(2026, 12).days) == (29, 31)
    assert Month(2026, 2).first == date(2026, 2, 1)


@pytest.mark.parametrize(
    "text", ["2026-01\n", "2026-13", "2026-00", "2026-1", "26-01", "2026-01-01", "", "９999-01", "9999-01"]
)
def test_what_is_no_month_is_refused(text):
    with pytest.raises(MonthError):
        Month.parse(text)


def test_a_month_begins_at_midnight_of_the_zone():
    assert Month(2026, 12).starts_at(MOSCOW) == at(2026, 11, 30, 21)
    assert Month.of(at(2026, 11, 30, 21), MOSCOW) == Month(2026, 12)
    assert Month.of(at(2026, 11, 30, 20, 59), MOSCOW) == Month(2026, 11)
    # March of London is an hour short.
    assert Month(2026, 3).ends_at(LONDON) == at(2026, 3, 31, 23)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (at(2026, 11, 1), at(2026, 12, 1), 30),
        (at(2026, 10, 5), at(2027, 1, 1), 30),
        (at(2026, 11, 10, 23), at(2026, 11, 11, 1), 2),
        (at(2026, 11, 10), at(2026, 11, 11), 1),
        (at(2026, 11, 30, 23, 59), at(2026, 12, 30), 1),
        (at(2026, 12, 1), at(2026, 12, 30), 0),
        (at(2026, 10, 1), at(2026, 11, 1), 0),
        (at(2026, 11, 5), at(2026, 11, 5), 0),
    ],
)
def test_a_day_begun_is_a_day(start, end, days):
    assert Month(2026, 11).days_within(start, end, ZoneInfo("UTC")) == days
