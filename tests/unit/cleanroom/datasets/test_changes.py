"""Two reports side by side."""

from dataclasses import replace
from datetime import UTC, datetime

from cleanroom.datasets.changes import Change, changes_between
from cleanroom.datasets.types import DatasetVersion, OwnerFigure, VersionStatus

NOW = datetime(2026, 11, 30, tzinfo=UTC)
OLD = OwnerFigure(
    rows=110,
    rows_accepted=100,
    persons=90,
    rejected={"no_valid_key": 10},
    rejected_rows=(),
    invalid={},
    known_junk={},
    fill={"age": 45, "sex": 90},
    distinct={"email/room": 88},
    over_shared=(),
    over_shared_total=0,
    consent={"advertising": {"granted": 60, "denied": 30}},
)
NEW = replace(
    OLD,
    rows=120,
    rows_accepted=119,
    rejected={"bad_value:age": 1},
    fill={"age": 100, "city": 5},
    consent={"advertising": {"denied": 1}, "research": {"granted": 7}},
)


def version(number: int, persons: int) -> DatasetVersion:
    return DatasetVersion(
        *(f"dv_{number}", "ds_1", number, VersionStatus.LOADED, "full", None, "pk_1", 1, persons, 0, 0, 1),
        *(None, None, None, NOW, NOW, None),
    )


def test_what_is_new_comes_first_and_what_is_gone_is_nothing() -> None:
    found = changes_between(version(1, 90), OLD, version(2, 119), NEW)
    assert found.totals[0] == Change("rows", 110, 120, 110, 120)
    assert found.totals[2] == Change("persons", 90, 119, 90, 119)
    assert [(one.name, one.before, one.after) for one in found.fill] == [
        ("age", 45, 100),
        ("city", 0, 5),
        ("sex", 90, 0),
    ]
    assert found.fill[0].of_before == 90
    assert found.fill[0].of_after == 119
    assert [(one.name, one.before, one.after) for one in found.granted] == [
        ("advertising", 60, 0),
        ("research", 0, 7),
    ]
    assert [(one.name, one.before, one.after) for one in found.reasons] == [
        ("bad_value:age", 0, 1),
        ("no_valid_key", 10, 0),
    ]
