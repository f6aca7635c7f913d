"""The table that all files of a statement share: its columns, its lines, and the totals below them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.types import Document
from cleanroom.marketplace.statement_files.wording import ENGLISH, RUSSIAN, Wording
from cleanroom.marketplace.statements import Side, StatementLine, Totals
from cleanroom.money import Money
from cleanroom.papers.text import Language

WORDINGS: Mapping[Language, Wording] = {Language.RU: RUSSIAN, Language.EN: ENGLISH}


@dataclass(frozen=True)
class Rate:
    """A rate of tax.

    Attributes:
        basis_points: 2000 are 20%.
    """

    basis_points: int


Cell: TypeAlias = str | int | date | Money | Rate | None


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its head.
        of: its value for a line.
    """

    title: str
    of: Callable[[StatementLine], Cell]


def columns_of(document: Document, language: Language) -> tuple[Column, ...]:
    """Return the columns that a side sees: a buyer its questions by day, the others how an amount is parted."""
    words, names = WORDINGS[language], document.names
    columns = [
        Column(words.entitlement, lambda line: line.entitlement_id),
        Column(words.listing, lambda line: title_of(line, language)),
        Column(words.provider, lambda line: names[line.provider_id]),
        Column(words.advertiser, lambda line: names[line.advertiser_id]),
        Column(words.agency, lambda line: names[line.agency_id] if line.agency_id else None),
        Column(words.position, lambda line: words.positions[line.position]),
    ]
    buyer = document.statement.side is Side.BUYER
    if buyer:
        columns.append(Column(words.day, lambda line: line.day))
    columns.append(Column(words.questions, lambda line: line.questions))
    if buyer:
        columns += [
            Column(words.people, lambda line: line.people),
            Column(words.budget, lambda line: line.rho_micro),
        ]
    columns.append(Column(words.amount, lambda line: line.amount))
    if not buyer:
        columns += [
            Column(words.fee, lambda line: line.fee),
            Column(words.share, lambda line: line.share),
        ]
    columns += [
        Column(words.currency, lambda line: line.amount.currency),
        Column(words.vat_rate, lambda line: Rate(line.vat_bp)),
    ]
    return tuple(columns)


def totals_of(totals: Totals, language: Language) -> list[tuple[str, Money]]:
    """Return the totals of one currency, each with its label, in the order of a bill."""
    words = WORDINGS[language]
    rows = [(words.net, totals.net)]
    for one in totals.vat:
        rows.append(
            (f"{words.vat} {rate_text(one.vat_bp, language)}" if one.vat_bp else words.no_vat, one.vat)
        )
    rows.append((words.gross, totals.gross))
    if totals.fee is not None and totals.share is not None:
        rows += [(words.fee, totals.fee), (words.share, totals.share)]
    return rows


def facts_of(document: Document, language: Language) -> list[tuple[str, str]]:
    """Return what stands above the table: whose statement it is, of what, and whether it is final."""
    words, statement = WORDINGS[language], document.statement
    first, last = statement.month.first, last_day(statement.month)
    name = document.names[statement.organisation_id]
    return [
        (words.number, document.number),
        (words.organisation, f"{name} ({statement.organisation_id})"),
        (words.role, words.sides[statement.side]),
        (words.period, f"{date_text(first, language)} – {date_text(last, language)}"),
        (words.zone, document.zone),
        (words.state, words.complete if statement.complete else words.preliminary),
    ]


def title_of(line: StatementLine, language: Language) -> str:
    """Return the listing's title in a language."""
    return line.title.ru if language is Language.RU else line.title.en


def last_day(month: Month) -> date:
    """Return the last day of a month, which its documents bear."""
    return month.following.first - timedelta(days=1)


def date_text(day: date, language: Language) -> str:
    """Write a day: 22.11.2026 in Russian, 2026-11-22 in English."""
    return f"{day:%d.%m.%Y}" if language is Language.RU else day.isoformat()


def rate_text(basis_points: int, language: Language) -> str:
    """Write a rate: 20%, 12,5% or 12.5%."""
    return f"{decimal_text(basis_points, 2, language, trim=True)}%"


def decimal_text(units: int, digits: int, language: Language, *, trim: bool = False) -> str:
    """Write a number without groups, for programs: 1234,50 in Russian, 1234.50 in English.

    Args:
        units: in the last digit after the point.
        digits: after the point.
        language: whose point.
        trim: leave out zeros at the end.
    """
    sign, text = "-" if units < 0 else "", str(abs(units)).rjust(digits + 1, "0")
    whole, fraction = (text[:-digits], text[-digits:]) if digits else (text, "")
    if trim:
        fraction = fraction.rstrip("0")
    point = "," if language is Language.RU else "."
    return f"{sign}{whole}{point}{fraction}" if fraction else f"{sign}{whole}"
