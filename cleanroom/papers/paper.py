"""The paper of PDF files: A4, fonts that know Cyrillic and the signs of currencies, and page numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.resources import as_file, files

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

FAMILY = "DejaVu"
MARGIN = 15.0
_FONTS = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_SHADE, _PALE, _LINE = (232, 237, 243), (246, 248, 250), (160, 170, 180)
_SMALL, _USUAL = 8.0, 9.0


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        cells: its texts; one alone stands across all columns.
        bold: printed bold.
    """

    cells: tuple[str, ...]
    bold: bool = False


class Paper(FPDF):
    """A document whose pages say what they are part of, and which of how many they are."""

    def __init__(self, *, title: str, day: date, language: str, footer: str, page_text: str) -> None:
        """Prepare a document without pages.

        Args:
            title: of the file.
            day: its date; with it the file is the same bytes whenever it is made.
            language: of its words.
            footer: on every page, at the left.
            page_text: at the right, with `{page}` and `{pages}` in it.
        """
        super().__init__(format="A4")
        folder = files("cleanroom.papers") / "fonts"
        for style, name in _FONTS.items():
            with as_file(folder / name) as path:
                self.add_font(FAMILY, style, path)
        self.set_title(title)
        self.set_lang(language)
        self.set_creator("Cleanroom")
        self.set_creation_date(datetime.combine(day, time(), UTC))
        self.set_margin(MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN + 4)
        self._footer, self._page_text = footer, page_text

    def footer(self) -> None:
        """Print what every page ends with."""
        self.set_y(-MARGIN)
        self.set_font(FAMILY, "", 7)
        self.set_text_color(90)
        page = self._page_text.format(page=self.page_no(), pages="{nb}")
        self.cell(self.epw / 2, 5, self._footer)
        self.cell(self.epw / 2, 5, page, align="R")
        self.set_text_color(0)

    def heading(self, text: str) -> None:
        """Print a heading."""
        self.set_font(FAMILY, "B", 15)
        self.multi_cell(0, 8, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(2)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print pairs of a label and a text."""
        for label, text in rows:
            self.set_font(FAMILY, "B", _USUAL)
            self.cell(40, 5.5, label)
            self.text_block(text)
        self.ln(3)

    def text_block(self, text: str, *, size: float = _USUAL) -> None:
        """Print a paragraph, as wide as what is left of the line."""
        self.set_font(FAMILY, "", size)
        self.multi_cell(0, 5.5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def grid(
        self, head: Sequence[str], rows: Sequence[TableRow], *, widths: Sequence[float], left: Sequence[int]
    ) -> None:
        """Print a table; its head is printed again on every page, and no text is cut.

        Args:
            head: the columns' titles.
            rows: below it.
            widths: of the columns, in millimetres.
            left: the columns of text; numbers stand at the right.
        """
        self.set_font(FAMILY, "", _SMALL)
        self.set_draw_color(_LINE)
        aligns = tuple("LEFT" if place in left else "RIGHT" for place in range(len(widths)))
        with self.table(
            col_widths=tuple(widths),
            width=sum(widths),
            align="LEFT",
            text_align=aligns,
            line_height=4.6,
            padding=(0.8, 1.5),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            headings_style=FontFace(emphasis="BOLD", fill_color=_SHADE),
        ) as table:
            table.row(head)
            for row in rows:
                if len(row.cells) == 1:
                    style = FontFace(emphasis="BOLD", fill_color=_PALE)
                    table.row().cell(row.cells[0], colspan=len(widths), style=style, align="LEFT")
                else:
                    table.row(row.cells, style=FontFace(emphasis="BOLD") if row.bold else None)

    def totals(self, rows: Sequence[tuple[str, str]], *, bold: str) -> None:
        """Print labels and amounts at the right of the page, all of them on one.

        Args:
            rows: label and amount.
            bold: the label of what counts most.
        """
        height = 6.0
        self.keep(height * len(rows) + 4)
        self.ln(3)
        for label, amount in rows:
            self.set_font(FAMILY, "B" if label == bold else "", _USUAL)
            self.set_x(self.l_margin + self.epw - 130)
            self.cell(80, height, label, border="B")
            self.cell(50, height, amount, border="B", align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def keep(self, height: float) -> None:
        """Begin a new page unless so much, in millimetres, is left of this one."""
        if self.will_page_break(height):
            self.add_page(same=True)
