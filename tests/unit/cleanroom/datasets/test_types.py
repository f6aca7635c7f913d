"""The owner's report survives its plain form, and reports of earlier and later formats can be read."""

from cleanroom.datasets.types import OverShared, OwnerFigure

REPORT = OwnerFigure(
    rows=3,
    rows_accepted=2,
    persons=2,
    rejected={"no_valid_key": 1},
    rejected_rows=((3, "no_valid_key"),),
    invalid={},
    known_junk={"email": 1},
    fill={"town": 2},
    distinct={"email/room": 2},
    over_shared=(OverShared("shared-1", "email/room", 9),),
    over_shared_total=1,
    consent={"advertising": {"granted": 2}},
    distinct_values={"town": 2},
)


def test_a_report_survives_its_plain_form():
    assert OwnerFigure.from_dict(REPORT.to_dict()) == REPORT


def test_fields_of_later_formats_are_left_out_and_of_earlier_ones_empty():
    plain = REPORT.to_dict() | {"later": 1}
    del plain["distinct_values"]
    assert OwnerFigure.from_dict(plain).distinct_values == {}
