"""A statement as PDF, to be read and filed."""

from itertools import groupby

from cleanroom.marketplace.statement_files.act import add_acts
from cleanroom.marketplace.statement_files.table import (
    WORDINGS,
    date_text,
    facts_of,
    last_day,
    rate_text,
    title_of,
    totals_of,
)
from cleanroom.marketplace.statement_files.types import Document
from cleanroom.marketplace.statements import Position, Side, StatementLine
from cleanroom.money import Money, format_money
from cleanroom.papers.paper import Paper, TableRow
from cleanroom.papers.text import Language, clean

# In millimetres; A4 across has 267 within its margins.
_BUYER, _OTHERS = (78, 28, 24, 30, 32, 50, 25), (78, 24, 47, 47, 47, 24)


def write_pdf(document: Document, language: Language) -> bytes:
    """Write the statement, by entitlement; in Russian, with the act of services as its second part."""
    words, statement = WORDINGS[language], document.statement
    title = f"{words.title}: {statement.month}"
    paper = Paper(
        title=title,
        day=last_day(statement.month),
        language=language.value,
        footer=f"{title} · {document.number}",
        page_text=words.page,
    )
    paper.add_page(orientation="L")
    paper.heading(title)
    paper.facts([(label, clean(text)) for label, text in facts_of(document, language)])
    if not statement.lines:
        paper.text_block(words.nothing)
    else:
        buyer = statement.side is Side.BUYER
        head = [words.position, words.questions, words.amount, words.fee, words.share, words.vat_rate]
        if buyer:
            head = [words.position, words.day, words.questions, words.people, words.budget]
            head += [words.amount, words.vat_rate]
        left = (0, 1) if buyer else (0,)
        paper.grid(head, _rows(document, language), widths=_BUYER if buyer else _OTHERS, left=left)
        for totals in statement.totals:
            paper.totals(
                [(label, _money(amount, language)) for label, amount in totals_of(totals, language)],
                bold=words.gross,
            )
        paper.ln(4)
        paper.text_block(words.note, size=7.5)
    if language is Language.RU:
        add_acts(paper, document)
    return bytes(paper.output())


def _rows(document: Document, language: Language) -> list[TableRow]:
    rows = []
    for _, group in groupby(document.statement.lines, key=lambda line: line.entitlement_id):
        lines = list(group)
        rows.append(TableRow((_heading(document, lines[0], language),)))
        rows += [TableRow(_cells(line, document.statement.side, language)) for line in lines]
    return rows


def _heading(document: Document, line: StatementLine, language: Language) -> str:
    words, names = WORDINGS[language], document.names
    parties = [f"{words.provider}: {clean(names[line.provider_id])}"]
    parties.append(f"{words.advertiser}: {clean(names[line.advertiser_id])}")
    if line.agency_id is not None:
        parties.append(f"{words.agency}: {clean(names[line.agency_id])}")
    return f"{clean(title_of(line, language))}\n{' · '.join(parties)}\n{line.entitlement_id}"


def _cells(line: StatementLine, side: Side, language: Language) -> tuple[str, ...]:
    words = WORDINGS[language]
    position, rate = words.positions[line.position], rate_text(line.vat_bp, language)
    amount = _money(line.amount, language)
    # What belongs to the month counts neither questions nor people.
    counted = line.position in (Position.QUESTIONS, Position.NO_CHARGE)
    questions, people, budget = (
        _count(number, language) if counted else ""
        for number in (line.questions, line.people, line.rho_micro)
    )
    if side is Side.BUYER:
        day = words.no_day if line.day is None else date_text(line.day, language)
        return position, day, questions, people, budget, amount, rate
    parts = [_money(part, language) if part is not None else "" for part in (line.fee, line.share)]
    return position, questions, amount, *parts, rate


def _money(amount: Money, language: Language) -> str:
    return format_money(amount, language.value)


def _count(number: int, language: Language) -> str:
    return f"{number:,}".replace(",", "\u00a0" if language is Language.RU else ",")
