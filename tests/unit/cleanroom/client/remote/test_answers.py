from pathlib import Path
from typing import Any

import openpyxl
import pytest

from cleanroom.client.remote.answers import EstimateValue, ResultValue
from cleanroom.client.remote.problems import StillRunning
from cleanroom.client.remote.values import figures_of
from cleanroom.money import Money

EVIL = '<script>alert("x")</script>'


def figure(name: str, value: int | None, *, scale: int | None = None) -> dict[str, Any]:
    interval = None if value is None else [value - 10, value + 10]
    return {"name": name, "value": value, "suppressed": value is None, "interval95": interval, "scale": scale}


def result() -> ResultValue:
    made = ResultValue("an_1", asked={})
    made._answer = {
        "figures": [
            figure("overlap", 1000),
            figure(f"segment:{EVIL}", None),
            figure("sum:spend", 1234, scale=2),
        ],
        "ratios": [{"name": "match_rate:base", "value": 0.5, "interval95": [0.4, None], "scale": None}],
        "as_of": EVIL,
    }
    return made


def test_sums_come_in_their_owners_units() -> None:
    figures = {one.name: one for one in figures_of(result().answer)}
    assert (figures["sum:spend"].value, figures["sum:spend"].low) == (12.34, 12.24)
    assert figures["match_rate:base"].high is None
    assert str(figures[f"segment:{EVIL}"]) == "withheld"


def test_a_card_shows_bands_and_runs_nothing() -> None:
    html = result()._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "currentColor" in html
    assert "990 to 1\u00a0010" in html
    assert "withheld" in html


def test_a_workbook_holds_no_formulas(tmp_path: Path) -> None:
    made = result()
    made.answer["figures"][1]["name"] = "=1+1"
    sheet = openpyxl.load_workbook(made.to_xlsx(tmp_path / "r.xlsx"))["figures"]
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert [cell.number_format for cell in sheet["B"][1:]] == ["#,##0", "#,##0.00", "#,##0.00", "0.0%"]
    assert sheet.column_dimensions["A"].width >= max(len(str(cell.value)) for cell in sheet["A"])


def test_people_read_per_cent_and_whole_sums() -> None:
    shown = {one.name: str(one) for one in figures_of(result().answer)}
    assert shown["match_rate:base"] == "50.0\u00a0% (40.0\u00a0% to unbounded)"
    big = figures_of({"figures": [figure("sum:spend", 123456789, scale=2)]})[0]
    assert big.shown_value == "1\u00a0234\u00a0567.89"
    # Signed JSON writes sums as text.
    text = {**figure("sum:spend", 1, scale=2), "value": "123456789", "interval95": ["0", "123456799"]}
    assert figures_of({"figures": [text]})[0].value == big.value


def test_what_is_stored_has_no_price() -> None:
    quote = {"tariff": {"cpm_minor": 150}, "maximum": {"minor": 5000, "currency": "RUB"}}
    estimate = EstimateValue({"kind": "overlap"}, {"outcome": "stored", "quote": quote})
    assert estimate.stored
    assert estimate.price == Money(0, "RUB")
    assert "at most" not in repr(estimate)


def test_nothing_is_read_before_it_is_there() -> None:
    with pytest.raises(StillRunning, match="not here"):
        _ = ResultValue("an_1", asked={}).figures
    assert "not complete" in ResultValue("an_1", asked={})._repr_html_()


@pytest.mark.parametrize(("cpm", "exact"), [(0, True), (150, False)])
def test_a_price_by_the_released_count_is_known_only_at_most(cpm: int, exact: bool) -> None:
    quote = {"tariff": {"cpm_minor": cpm}, "maximum": {"minor": 5000, "currency": "RUB"}}
    estimate = EstimateValue({"kind": "overlap"}, {"outcome": "released", "quote": quote})
    assert (estimate.price is not None) is exact
    assert ("at most" in repr(estimate)) is not exact
