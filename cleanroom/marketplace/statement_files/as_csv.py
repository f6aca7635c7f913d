"""A statement as CSV (RFC 4180): UTF-8 with a byte-order mark, as Excel needs it to read Cyrillic."""

import csv
import io
import re
from datetime import date

from cleanroom.marketplace.statement_files.table import (
    WORDINGS,
    Cell,
    Rate,
    columns_of,
    date_text,
    decimal_text,
    totals_of,
)
from cleanroom.marketplace.statement_files.types import Document
from cleanroom.money import Money, exponent_of
from cleanroom.papers.text import Language, clean

_FORMULA = re.compile(r'((?:^|[,;])[" ]*)([=+@-])')
"""What begins a formula, at the start of a field or of what another separator would make one."""


def write_csv(document: Document, language: Language) -> bytes:
    """Write the lines and, below them, the totals; fields are parted as Excel of the language expects it."""
    words, statement = WORDINGS[language], document.statement
    columns = columns_of(document, language)
    titles = [column.title for column in columns]
    text = io.StringIO()
    rows = csv.writer(text, delimiter=";" if language is Language.RU else ",", lineterminator="\r\n")
    rows.writerow(titles)
    for line in statement.lines:
        rows.writerow([_field(column.of(line), language) for column in columns])
    for totals in statement.totals:
        for label, amount in totals_of(totals, language):
            total: dict[str, Cell] = {
                words.position: label,
                words.amount: amount,
                words.currency: amount.currency,
            }
            rows.writerow([_field(total.get(title), language) for title in titles])
    return text.getvalue().encode("utf-8-sig")


def _field(cell: Cell, language: Language) -> str:
    match cell:
        case None:
            return ""
        case Money():
            return decimal_text(cell.minor, exponent_of(cell.currency), language)
        case Rate():
            return decimal_text(cell.basis_points, 2, language, trim=True)
        case date():
            return date_text(cell, language)
        case int():
            return str(cell)
        case str():
            # A spreadsheet would run it; one of another country parts fields elsewhere; an apostrophe makes it text.
            return _FORMULA.sub(r"\1'\2", clean(cell))
