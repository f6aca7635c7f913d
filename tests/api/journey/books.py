"""A month's statement as both sides got it, worked out again from receipts."""

import calendar
import csv
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
from pypdf import PdfReader

CPM, QUESTION, FLAT, FEE_BP, VAT_BP = 150_000, 5_000, 1_000_000, 1_000, 2_000


def check_statements(
    folder: Path, zone: str, month: str, bought: dict[str, Any], earned: dict[str, Any]
) -> None:
    """Compare both sides' month with the receipts, and each file with its statement, to the kopeck."""
    today = datetime.now(ZoneInfo(zone)).day
    days = calendar.monthrange(int(month[:4]), int(month[5:]))[1]
    # Revoked on its first day, the advertiser's own was in force on that day; the agency's until the month's end.
    flats = [_half_up(FLAT * in_force, days) for in_force in (1, days - today + 1)]
    net = sum(bought["charged"]) + sum(flats)
    vat = _half_up(net * VAT_BP, 10_000)
    for name, side in (("advertiser", bought), ("provider", earned)):
        statement = side["statement"]
        assert statement["complete"] is True
        [totals] = statement["totals"]
        assert totals["net"] == {"minor": net, "currency": "RUB"}
        assert totals["vat"][0]["vat"]["minor"] == vat
        assert totals["gross"]["minor"] == net + vat
        assert sum(line["amount"]["minor"] for line in statement["lines"]) == net
        check_files(folder / name, statement)
    for line in earned["statement"]["lines"]:
        amount, fee, share = (line[name]["minor"] for name in ("amount", "fee", "share"))
        assert fee + share == amount
        assert abs(fee * 10_000 - amount * FEE_BP) <= 5_000
        # What a single answer counted is not the provider's business.
        assert (line["people"], line["day"]) == (0, None)
    [totals] = earned["statement"]["totals"]
    assert totals["fee"]["minor"] + totals["share"]["minor"] == net


def check_files(folder: Path, statement: dict[str, Any]) -> None:
    """Read a statement's files as their readers do."""
    [totals] = statement["totals"]
    amounts = [line["amount"]["minor"] for line in statement["lines"]]
    sums = [totals["net"]["minor"], totals["vat"][0]["vat"]["minor"], totals["gross"]["minor"]]
    with (folder / "statement.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    read = [round(float(row["Amount without VAT"]) * 100) for row in rows]
    assert read[: len(amounts) + 3] == amounts + sums
    sheet = openpyxl.load_workbook(folder / "statement.xlsx").worksheets[0]
    numbers = [
        cell for row in sheet.iter_rows(values_only=True) for cell in row if isinstance(cell, int | float)
    ]
    assert {amount / 100 for amount in sums} <= {round(number, 2) for number in numbers}
    text = "".join(page.extract_text() for page in PdfReader(folder / "statement.pdf").pages)
    assert f"{totals['gross']['minor'] / 100:,.2f}" in text.replace("\u00a0", " ")


def _half_up(value: int, divisor: int) -> int:
    return (2 * value + divisor) // (2 * divisor)
