"""The record of processing as a table: CSV (RFC 4180) and workbook (ECMA-376)."""

import csv
import io
import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from cleanroom.papers.text import clean
from cleanroom.rights.processing import COLUMNS, lines_of

_FORMULA = re.compile(r'((?:^|[,;])[" ]*)([=+@-])')
"""What begins a formula, at the start of a field or of what another separator would make one."""
_WIDTH = 28


class Format(StrEnum):
    """Of a record's file."""

    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: Mapping[Format, str] = MappingProxyType(
    {
        Format.CSV: "text/csv; charset=utf-8",
        Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)


def write_record(record: Mapping[str, Any], form: Format) -> bytes:
    """Write a record.

    Args:
        record: as `ProcessingRecords.record` gives it.
        form: of the file.
    """
    lines = [[_FORMULA.sub(r"\1'\2", clean(cell)) for cell in line] for line in lines_of(record)]
    return _as_csv(lines) if form is Format.CSV else _as_xlsx(lines)


def _as_csv(lines: list[list[str]]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    rows.writerows(lines)
    # Excel needs the byte-order mark to read Cyrillic.
    return text.getvalue().encode("utf-8-sig")


def _as_xlsx(lines: list[list[str]]) -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "processing"
    for place, title in enumerate(COLUMNS, 1):
        sheet.cell(1, place, title).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTH
    for row, line in enumerate(lines, 2):
        for place, cell in enumerate(line, 1):
            made = sheet.cell(row, place, cell)
            # A text that begins with an equals sign would be a formula.
            made.data_type = "s"
            made.alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = "A2"
    saved = io.BytesIO()
    book.save(saved)
    return saved.getvalue()
