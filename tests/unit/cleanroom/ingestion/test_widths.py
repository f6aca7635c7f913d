"""Rows in flight are as narrow as their numbers allow, and never narrower."""

import numpy as np

from cleanroom.ingestion.records import RecordLayout
from cleanroom.ingestion.spool import refit
from cleanroom.ingestion.widths import Widths
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import NULL_DATE, NULL_INT

LAYOUT = RecordLayout.of(
    schema_from_yaml(
        """\
match_keys: {email: {column: e}}
attributes:
  sex: {type: category, values: [F, M]}
  spend: {type: integer, kind: behavioural, clamp: [0, 9]}
  since: {type: date, bands: ["2020-01-01"]}
"""
    )
)


def persons(spend: list[int], since: list[int]) -> np.ndarray:
    made = np.zeros(len(spend), LAYOUT.person_dtype)
    made["a0"], made["a1"], made["a2"], made["primary"] = 2, spend, since, range(len(spend))
    return made


def kinds(widths: Widths) -> list[str]:
    return [widths.kinds[index].str for index in (1, 2)]


def test_widths_grow_with_the_numbers_and_never_shrink():
    widths = Widths(LAYOUT)
    assert kinds(widths) == ["|i1", "|i1"]
    for spend, since, expected in (
        ([NULL_INT, 127, -127], [NULL_DATE] * 3, ["|i1", "|i1"]),
        ([-128], [1], ["<i2", "|i1"]),
        ([5], [20_000], ["<i2", "<i2"]),
        ([1 << 62], [NULL_DATE], ["<i8", "<i2"]),
        ([0], [0], ["<i8", "<i2"]),
    ):
        rows = persons(spend, since)
        fitted = widths.fitted(rows)
        assert kinds(widths) == expected
        assert [fitted.dtype["a1"].str, fitted.dtype["a2"].str] == expected
        assert refit(fitted, LAYOUT.person_dtype).tobytes() == rows.tobytes()


def test_all_that_is_no_number_keeps_its_width():
    fitted = Widths(LAYOUT).fitted(persons([1], [1]))
    assert LAYOUT.numbers == {1: np.dtype("<i8"), 2: np.dtype("<i4")}
    assert fitted.dtype.itemsize == LAYOUT.person_dtype.itemsize - 7 - 3
    assert fitted[["a0", "primary"]].tolist() == [(2, 0)]
