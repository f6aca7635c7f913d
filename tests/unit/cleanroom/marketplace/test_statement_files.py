"""Statements as files: what is read back is the statement's, to the minor unit, and the same bytes every time."""

import csv
import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from pypdf import PdfReader

from cleanroom.marketplace.content import Words
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.as_csv import write_csv
from cleanroom.marketplace.statement_files.as_pdf import write_pdf
from cleanroom.marketplace.statement_files.as_xlsx import write_xlsx
from cleanroom.marketplace.statement_files.table import totals_of
from cleanroom.marketplace.statement_files.types import Document
from cleanroom.marketplace.statements import Position, Side, Statement, StatementLine, totals_by_currency
from cleanroom.money import Money, exponent_of, format_money
from cleanroom.papers.text import Language

BUYER, PROVIDER, OPERATOR, AGENCY = (f"org_{digit * 32}" for digit in "abcd")
NAMES = {
    BUYER: "ООО «Ёлка»",
    PROVIDER: "АО «Поставщик данных с очень длинным названием, которое нигде не обрезается до самого конца»",
    OPERATOR: "Оператор комнаты",
    AGENCY: "Agency & Sons",
}
MONTH = Month(2026, 11)
PLANS = (("RUB", 2_000), ("RUB", 0), ("KZT", 1_250), ("JPY", 1_000))
FILES = {"csv": write_csv, "xlsx": write_xlsx, "pdf": write_pdf}


def document(
    side: Side = Side.BUYER, *, days: int = 3, complete: bool = True, title: str = "Покупатели"
) -> Document:
    """Entitlements in several currencies and rates, with amounts that leave halves of a minor unit of tax."""
    lines = []
    for number, (currency, vat_bp) in enumerate(PLANS):

        def line(
            position: Position,
            minor: int,
            *,
            day: date | None = None,
            questions: int = 0,
            of: str = currency,
            rate: int = vat_bp,
            at: int = number,
        ) -> StatementLine:
            amount = Money(minor, of)
            fee, buyer = amount.share(1_250), side is Side.BUYER
            return StatementLine(
                entitlement_id=f"ent_{at:032x}",
                title=Words(f"{title} {at}", f"Shoppers {at}"),
                provider_id=PROVIDER,
                advertiser_id=BUYER,
                agency_id=AGENCY if at == 1 else None,
                position=position,
                day=day if buyer else None,
                questions=questions,
                people=12_345 * questions if buyer else 0,
                rho_micro=400 * questions if buyer else 0,
                amount=amount,
                fee=None if buyer else fee,
                share=None if buyer else amount - fee,
                vat_bp=rate,
            )

        for day in range(days if side is Side.BUYER else 1):
            on = date(2026, 11, 1) + timedelta(days=day)
            lines.append(line(Position.QUESTIONS, 1_234_567 + 37 * day, day=on, questions=3))
        lines.append(line(Position.FLAT, 1_000_000))
        lines.append(line(Position.MINIMUM, 33))
    own = {Side.BUYER: BUYER, Side.PROVIDER: PROVIDER, Side.OPERATOR: OPERATOR}[side]
    statement = Statement(own, side, MONTH, tuple(lines), totals_by_currency(lines), complete)
    return Document(statement, NAMES, OPERATOR, "Europe/Moscow")


def expected(made: Document, language: Language) -> list[tuple[str, Money]]:
    return [row for totals in made.statement.totals for row in totals_of(totals, language)]


def csv_rows(made: Document, language: Language) -> list[dict[str, str]]:
    text = write_csv(made, language).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";" if language is Language.RU else ","))


def pdf_text(content: bytes) -> Iterator[str]:
    for page in PdfReader(io.BytesIO(content)).pages:
        yield page.extract_text().replace("\u00a0", " ")


def amount_of(text: str, currency: str, language: Language) -> Money:
    plain = text.replace(",", ".") if language is Language.RU else text
    digits = exponent_of(currency)
    assert re.fullmatch(rf"\d+\.\d{{{digits}}}" if digits else r"\d+", plain)
    return Money(int(plain.replace(".", "")), currency)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("language", Language)
def test_csv_says_what_the_statement_says(side: Side, language: Language) -> None:
    made = document(side)
    content = write_csv(made, language)
    assert content.startswith(b"\xef\xbb\xbf")
    assert (
        content.count(b"\r\n")
        == content.count(b"\n")
        == 1 + len(made.statement.lines) + len(expected(made, language))
    )
    rows = csv_rows(made, language)
    ru = language is Language.RU
    amount, currency, position = (
        ("Сумма без НДС", "Валюта", "Позиция") if ru else ("Amount without VAT", "Currency", "Position")
    )
    read = [amount_of(row[amount], row[currency], language) for row in rows]
    count = len(made.statement.lines)
    assert read[:count] == [line.amount for line in made.statement.lines]
    assert [
        (row[position], money) for row, money in zip(rows[count:], read[count:], strict=True)
    ] == expected(made, language)
    assert rows[0]["НДС, %" if ru else "VAT, %"] == "20"
    assert {row["НДС, %" if ru else "VAT, %"] for row in rows[:count]} >= {"12,5" if ru else "12.5", "0"}
    if side is Side.BUYER:
        assert rows[0]["Дата" if ru else "Date"] == ("01.11.2026" if ru else "2026-11-01")
        assert "Доля оператора" not in rows[0]
    else:
        assert rows[0]["Доля оператора" if ru else "Operator's fee"]
        assert "Людей" not in rows[0]


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("language", Language)
def test_a_workbook_has_numbers_and_dates(side: Side, language: Language) -> None:
    made = document(side)
    sheet = load_workbook(io.BytesIO(write_xlsx(made, language))).worksheets[0]
    assert sheet.title == "2026-11"
    rows = list(sheet.iter_rows())
    head = next(at for at, row in enumerate(rows) if row[1].value in ("Предложение", "Listing"))
    assert sheet.freeze_panes == f"A{head + 2}"
    assert sheet.print_title_rows == f"${head + 1}:${head + 1}"
    place = {cell.value: cell.column - 1 for cell in rows[head]}
    ru = language is Language.RU
    amount, position = (
        place["Сумма без НДС" if ru else "Amount without VAT"],
        place["Позиция" if ru else "Position"],
    )
    count = len(made.statement.lines)

    def money(row: tuple[object, ...]) -> Money:
        cell, code = row[amount], row[place["Валюта" if ru else "Currency"]].value  # type: ignore[attr-defined]
        assert cell.data_type == "n"  # type: ignore[attr-defined]
        assert ("₽" if ru else "RUB") in cell.number_format or code != "RUB"  # type: ignore[attr-defined]
        return Money(round(cell.value * 10 ** exponent_of(code)), code)  # type: ignore[attr-defined]

    lines = rows[head + 1 : head + 1 + count]
    assert [money(row) for row in lines] == [line.amount for line in made.statement.lines]
    totals = [row for row in rows[head + 1 + count :] if row[position].value is not None]
    assert [(row[position].value, money(row)) for row in totals] == expected(made, language)
    if side is Side.BUYER:
        day = lines[0][place["Дата" if ru else "Date"]]
        assert day.value == datetime(2026, 11, 1)
        assert day.is_date


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("language", Language)
def test_a_pdf_shows_every_amount_and_its_head_on_every_page(side: Side, language: Language) -> None:
    made = document(side, days=30)
    pages = list(pdf_text(write_pdf(made, language)))
    text = "\n".join(pages)
    ru = language is Language.RU
    for line in made.statement.lines:
        assert format_money(line.amount, language.value).replace("\u00a0", " ") in text
    for label, amount in expected(made, language):
        assert re.search(
            re.escape(label)
            + r"\s*"
            + re.escape(format_money(amount, language.value).replace("\u00a0", " ")),
            text,
        ), label
    acts = [page for page in pages if page.startswith("Акт об оказании услуг")]
    for number, page in enumerate(pages, 1):
        assert (f"Страница {number} из {len(pages)}" if ru else f"Page {number} of {len(pages)}") in page
    statement = pages[: len(pages) - len(acts)]
    with_rows = [page for page in statement if "ent_" in page or ("Ответы" if ru else "Answered") in page]
    assert len(with_rows) > (3 if side is Side.BUYER else 0)
    assert all(("Позиция" if ru else "Position") in page for page in with_rows)
    assert len(acts) == (3 if ru and side is not Side.OPERATOR else 0)
    # Nothing is cut, wherever lines break.
    assert "".join(NAMES[PROVIDER].split()) in "".join(text.split())


def test_the_act_names_both_sides_and_the_same_totals() -> None:
    made = document(Side.BUYER)
    acts = [page for page in pdf_text(write_pdf(made, Language.RU)) if page.startswith("Акт")]
    for act, totals in zip(acts, made.statement.totals, strict=True):
        plain = " ".join(act.split())
        assert f"от {30}.11.2026" in plain
        assert "Исполнитель Оператор комнаты" in plain
        assert "Заказчик ООО «Ёлка»" in plain
        gross = format_money(totals.gross, "ru").replace("\u00a0", " ")
        assert f"Всего оказано услуг на сумму {gross}" in plain
    turned = next(pdf_text(write_pdf(document(Side.PROVIDER), Language.RU)))
    assert "поставщик" in turned
    act = next(
        page for page in pdf_text(write_pdf(document(Side.PROVIDER), Language.RU)) if page.startswith("Акт")
    )
    assert "Заказчик Оператор комнаты" in " ".join(act.split())


def test_a_month_that_is_not_over_says_so_and_has_no_act() -> None:
    text = "\n".join(pdf_text(write_pdf(document(complete=False), Language.RU)))
    assert "предварительный" in text
    assert "Акт об оказании" not in text


def test_an_empty_month_is_a_file_too() -> None:
    made = document()
    empty = replace(made, statement=replace(made.statement, lines=(), totals=()))
    assert "There are no charges" in "\n".join(pdf_text(write_pdf(empty, Language.EN)))
    assert csv_rows(empty, Language.EN) == []
    assert load_workbook(io.BytesIO(write_xlsx(empty, Language.EN))).worksheets[0]["A1"].value


@pytest.mark.parametrize("title", ["=1+1", "+7", "-5", "@sum", "\t=cmd", "\r\n=cmd", " =x", "a\x01b\x00c"])
def test_no_title_is_a_formula_or_breaks_a_file(title: str) -> None:
    made = document(title=title)
    field = csv_rows(made, Language.RU)[0]["Предложение"]
    assert not field.startswith(("=", "+", "-", "@", "\t", "\r"))
    sheet = load_workbook(io.BytesIO(write_xlsx(made, Language.RU))).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "d"}
    assert write_pdf(made, Language.RU).startswith(b"%PDF")


@pytest.mark.parametrize("language", Language)
def test_a_spreadsheet_that_expects_the_other_separator_finds_no_formula_either(language: Language) -> None:
    titled = document(title='Fir, and more; "fir";=HYPERLINK("x") ,@sum;-5')
    text = write_csv(titled, language).decode("utf-8-sig")
    for separator in ",;":
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            assert not [field for field in row if field.lstrip(' "').startswith(("=", "+", "@", "-"))]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_survives_csv_on_one_line(title: str) -> None:
    rows = csv_rows(document(title=title), Language.EN)
    assert len(rows) == len(document().statement.lines) + len(expected(document(), Language.EN))


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("year", [1970, 9998])
def test_every_month_that_there_is_can_be_a_file(form: str, year: int) -> None:
    made = document()
    far = replace(made, statement=replace(made.statement, month=Month(year, 12), lines=(), totals=()))
    assert FILES[form](far, Language.RU)


@pytest.mark.parametrize("form", FILES)
def test_made_again_it_is_the_same_bytes(form: str) -> None:
    first = FILES[form](document(), Language.RU)
    # Beyond the two seconds that a zip's instants are rounded to.
    time.sleep(2.1)
    assert FILES[form](document(), Language.RU) == first


def test_fonts_and_their_licence_are_in_the_package() -> None:
    folder = files("cleanroom.papers") / "fonts"
    assert "Bitstream" in (folder / "LICENSE").read_text(encoding="utf-8")
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"):
        assert (folder / name).read_bytes().startswith(b"\x00\x01\x00\x00")
    probe = "import cleanroom.client, sys; assert 'fpdf' not in sys.modules and 'openpyxl' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
