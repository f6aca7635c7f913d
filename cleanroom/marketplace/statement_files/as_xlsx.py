"""A statement as a workbook (ECMA-376): typed cells, amounts as numbers in the currency's format."""

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell.cell import Cell as XlsxCell
from openpyxl.cell.cell import MergedCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.xml.functions import tostring

from cleanroom.marketplace.statement_files.table import (
    WORDINGS,
    Cell,
    Rate,
    columns_of,
    facts_of,
    last_day,
    totals_of,
)
from cleanroom.marketplace.statement_files.types import Document
from cleanroom.money import Money, exponent_of, symbol_of
from cleanroom.papers.text import Language, clean

_BOLD, _SHADE = Font(bold=True), PatternFill("solid", start_color="E8EDF3")
_WIDEST, _NARROWEST = 48, 11
_CORE = "docProps/core.xml"


def write_xlsx(document: Document, language: Language) -> bytes:
    """Write one sheet: what it is, the lines, the totals; the head stays in sight and is printed on every page."""
    words, statement = WORDINGS[language], document.statement
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = str(statement.month)
    columns = columns_of(document, language)
    _put(sheet, 1, 1, f"{words.title}: {statement.month}", language).font = Font(bold=True, size=14)
    facts = facts_of(document, language)
    for row, (label, value) in enumerate(facts, 2):
        _put(sheet, row, 1, label, language).font = _BOLD
        _put(sheet, row, 2, value, language)
    head = len(facts) + 3
    for place, column in enumerate(columns, 1):
        cell = _put(sheet, head, place, column.title, language)
        cell.font, cell.fill, cell.alignment = _BOLD, _SHADE, Alignment(wrap_text=True, vertical="top")
    row = head
    for line in statement.lines:
        row += 1
        for place, column in enumerate(columns, 1):
            _put(sheet, row, place, column.of(line), language)
    last_line = row
    places = {column.title: place for place, column in enumerate(columns, 1)}
    for totals in statement.totals:
        row += 1
        for label, amount in totals_of(totals, language):
            row += 1
            _put(sheet, row, places[words.position], label, language).font = _BOLD
            _put(sheet, row, places[words.amount], amount, language).font = _BOLD
            _put(sheet, row, places[words.currency], amount.currency, language).font = _BOLD
    for place, column in enumerate(columns, 1):
        cells = [sheet.cell(one, place) for one in range(head + 1, row + 1)]
        # The head is bold, and has a button for the filter.
        width = min(_WIDEST, max([_NARROWEST, len(column.title) + 3, *map(_length, cells)]) + 2)
        sheet.column_dimensions[get_column_letter(place)].width = width
    sheet.freeze_panes = f"A{head + 1}"
    sheet.auto_filter.ref = f"A{head}:{get_column_letter(len(columns))}{max(last_line, head)}"
    sheet.print_title_rows = f"{head}:{head}"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    return _saved(book, last_day(statement.month))


def _put(sheet: Worksheet, row: int, column: int, cell: Cell, language: Language) -> XlsxCell | MergedCell:
    made = sheet.cell(row, column)
    match cell:
        case Money():
            exponent = exponent_of(cell.currency)
            made.value = Decimal(cell.minor).scaleb(-exponent)
            made.number_format = _money_format(cell.currency, exponent, language)
        case Rate():
            # The head says per cent.
            made.value = Decimal(cell.basis_points) / 100
        case date():
            made.value = cell
            made.number_format = "dd.mm.yyyy" if language is Language.RU else "yyyy-mm-dd"
        case int():
            made.value = cell
            made.number_format = "#,##0"
        case str():
            made.value = clean(cell)
            # Never a formula, whatever it begins with.
            made.data_type = "s"
        case None:
            pass
    return made


def _length(cell: XlsxCell | MergedCell) -> int:
    # Groups of digits and the currency are added when an amount is shown.
    extra = 9 if isinstance(cell.value, Decimal) and cell.number_format != "General" else 0
    return len(str(cell.value if cell.value is not None else "")) + extra


def _money_format(currency: str, exponent: int, language: Language) -> str:
    digits = "#,##0" + ("." + "0" * exponent if exponent else "")
    if language is Language.RU:
        return f'{digits}\u00a0"{symbol_of(currency)}"'
    return f'"{currency}"\u00a0{digits}'


def _saved(book: Workbook, day: date) -> bytes:
    """Write the workbook with the day of its month for every instant in it, so that it is the same every time."""
    made, instant = io.BytesIO(), datetime.combine(day, time(), UTC)
    book.properties.created = instant
    book.properties.creator = "Cleanroom"
    book.save(made)
    # Saving sets it to the moment of saving.
    book.properties.modified = instant
    core = tostring(book.properties.to_tree())
    again = io.BytesIO()
    # All that a zip's entries can bear.
    year = min(max(day.year, 1980), 2107)
    with ZipFile(made) as source, ZipFile(again, "w") as target:
        for name in source.namelist():
            entry = ZipInfo(name, (year, day.month, day.day, 0, 0, 0))
            entry.compress_type = ZIP_DEFLATED
            target.writestr(entry, core if name == _CORE else source.read(name))
    return again.getvalue()
