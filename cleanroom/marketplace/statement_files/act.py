"""The act of services (акт об оказании услуг), which Russian accounts close a month with: the second part of a PDF."""

from cleanroom.marketplace.statement_files.table import date_text, last_day, rate_text, title_of, totals_of
from cleanroom.marketplace.statement_files.types import Document
from cleanroom.marketplace.statement_files.wording import RUSSIAN
from cleanroom.marketplace.statements import Side, StatementLine, Totals
from cleanroom.money import Money, format_money, total
from cleanroom.papers.paper import Paper, TableRow
from cleanroom.papers.text import Language, clean

_RU = Language.RU
_BLANK = "_" * 40
_WIDTHS = (10, 100, 45, 25)


def add_acts(paper: Paper, document: Document) -> None:
    """Add one act per currency, between the organisation and the operator; the operator's own statement has none."""
    statement = document.statement
    if statement.side is Side.OPERATOR or not statement.complete:
        return
    for totals in statement.totals:
        if totals.net.minor:
            _add(paper, document, totals, alone=len(statement.totals) == 1)


def _add(paper: Paper, document: Document, totals: Totals, *, alone: bool) -> None:
    statement, currency = document.statement, totals.net.currency
    day = date_text(last_day(statement.month), _RU)
    number = document.number if alone else f"{document.number}-{currency}"
    own = clean(document.names[statement.organisation_id])
    operator = clean(document.names[document.operator_id]) if document.operator_id else _BLANK
    provider = statement.side is Side.PROVIDER
    contractor, customer = (own, operator) if provider else (operator, own)
    paper.add_page(orientation="P")
    paper.heading(f"Акт об оказании услуг № {number} от {day}")
    paper.facts([("Исполнитель", contractor), ("Заказчик", customer)])
    paper.text_block(
        f"Исполнитель оказал, а Заказчик принял за период с {date_text(statement.month.first, _RU)} по {day} "
        "следующие услуги:"
    )
    paper.ln(2)
    head = ("№", "Услуга", RUSSIAN.amount, RUSSIAN.vat)
    paper.grid(head, _rows(document, currency), widths=_WIDTHS, left=(1,))
    paper.totals(
        [(label, format_money(amount, "ru")) for label, amount in totals_of(totals, _RU)], bold=RUSSIAN.gross
    )
    vat = total([one.vat for one in totals.vat], currency)
    tax = f"в том числе НДС {format_money(vat, 'ru')}" if vat.minor else "без НДС"
    paper.keep(50)
    paper.ln(5)
    paper.text_block(f"Всего оказано услуг на сумму {format_money(totals.gross, 'ru')}, {tax}.")
    paper.text_block("Услуги оказаны полностью и в срок. Заказчик претензий по объёму и качеству не имеет.")
    _sign(paper, contractor, customer)


def _rows(document: Document, currency: str) -> list[TableRow]:
    amounts: dict[str, list[Money]] = {}
    first: dict[str, StatementLine] = {}
    for line in document.statement.lines:
        if line.amount.currency == currency:
            amounts.setdefault(line.entitlement_id, []).append(line.amount)
            first.setdefault(line.entitlement_id, line)
    rows: list[TableRow] = []
    for entitlement_id, parts in amounts.items():
        amount, line = total(parts, currency), first[entitlement_id]
        if not amount.minor:
            continue
        title, provider = clean(title_of(line, _RU)), clean(document.names[line.provider_id])
        text = f"Доступ к данным «{title}», поставщик {provider}, право доступа {entitlement_id}"
        if document.statement.side is Side.PROVIDER or document.statement.organisation_id == line.agency_id:
            text += f", рекламодатель {clean(document.names[line.advertiser_id])}"
        rate = rate_text(line.vat_bp, _RU) if line.vat_bp else RUSSIAN.no_vat
        rows.append(TableRow((str(len(rows) + 1), text, format_money(amount, "ru"), rate)))
    return rows


def _sign(paper: Paper, contractor: str, customer: str) -> None:
    paper.keep(40)
    paper.ln(8)
    half, top = paper.epw / 2 - 5, paper.get_y()
    for place, (role, name) in enumerate((("Исполнитель", contractor), ("Заказчик", customer))):
        paper.set_y(top)
        for text in (role, "" if name == _BLANK else name, "", "_____________ / ____________________ /"):
            paper.set_x(paper.l_margin + place * (half + 10))
            paper.multi_cell(half, 5.5, text, align="L", new_x="LMARGIN", new_y="NEXT")
