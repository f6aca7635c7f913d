"""Monthly statements, as JSON and as files; what stands in one depends on whose it is."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from advertiser_api.pages import AskedPage, Listed
from advertiser_api.parties import Party, PartyOut, party, party_out
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Id, Shown
from advertiser_api.v1.money import MoneyOut, MonthInPath, money_out
from advertiser_api.v1.offers import Bilingual
from cleanroom.access.scopes import STATEMENTS_READ
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.types import MEDIA_TYPES, Format
from cleanroom.marketplace.statements import Position, Side, StatementLine, Totals
from cleanroom.money import Money
from cleanroom.papers.text import Language

router = APIRouter(prefix="/v1/statements", tags=["books"])
Reading = Annotated[Party, Depends(party(STATEMENTS_READ, whole=True))]
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {media: {} for media in MEDIA_TYPES.values()}}
}


class StatementMonth(Shown):
    """A month that there is a statement of."""

    id: Annotated[str, Field(description="names it in addresses", examples=["2026-11"])]
    over: Annotated[bool, Field(description="whether the month is over")]


class LineOut(Shown):
    """One line."""

    entitlement_id: Id
    title: Bilingual
    provider: PartyOut
    advertiser: PartyOut
    agency: PartyOut | None
    position: Position
    day: Annotated[date | None, Field(description="for a buyer; null for what belongs to the month")]
    questions: int
    people: Annotated[int, Field(description="charged for; 0 for whoever is not the buyer")]
    rho_micro: Annotated[int, Field(description="privacy budget spent; 0 for whoever is not the buyer")]
    amount: Annotated[MoneyOut, Field(description="without tax")]
    fee: Annotated[MoneyOut | None, Field(description="the operator's share; null for a buyer")]
    share: Annotated[MoneyOut | None, Field(description="the provider's share; null for a buyer")]
    vat_bp: int


class VatOut(Shown):
    """What is taxed at one rate; tax is rounded once, on the sum."""

    vat_bp: int
    net: MoneyOut
    vat: MoneyOut


class TotalsOut(Shown):
    """The totals of one currency."""

    net: MoneyOut
    vat: list[VatOut]
    gross: MoneyOut
    fee: MoneyOut | None
    share: MoneyOut | None


class StatementOut(Shown):
    """One organisation's month."""

    id: Annotated[str, Field(examples=["2026-11"])]
    organisation_id: Id
    side: Side
    complete: Annotated[bool, Field(description="before the month is over, figures may grow")]
    lines: list[LineOut]
    totals: list[TotalsOut]


@router.get("", summary="List statements")
def list_statements(room: OpenRoom, caller: Reading, page: AskedPage) -> Listed[StatementMonth]:
    """List the months from the first entitlement to now."""
    with room.db.reading() as tx:
        months = room.marketplace.statements.months(
            tx, caller.organisation_id, advertiser_id=caller.advertiser_id
        )
    now = Month.of(room.clock.now(), room.marketplace.usage.zone)
    rows = [month for month in months if str(month) > page.after][: page.fetch]
    return page.of(rows, lambda month: StatementMonth(id=str(month), over=month < now), position=str)


# Before the next one, whose placeholder would take the ending too.
@router.get("/{month}.{form}", summary="Get a statement as a file", response_class=Response, responses=_FILES)
def read_statement_file(
    room: OpenRoom,
    caller: Reading,
    month: MonthInPath,
    form: Format,
    lang: Annotated[Language, Query(description="of words, amounts and dates")] = Language.EN,
) -> Response:
    """Give a month as CSV, XLSX or PDF; of a complete month it is the same bytes every time."""
    files = room.marketplace.statement_files
    room.marketplace.usage.catch_up(room.db)
    with room.db.reading() as tx:
        document = files.document(
            tx, caller.organisation_id, Month.parse(month), advertiser_id=caller.advertiser_id
        )
    made = files.write(document, form, lang)
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.content, media_type=made.media_type, headers=headers)


@router.get("/{month}", summary="Read a statement")
def read_statement(room: OpenRoom, caller: Reading, month: MonthInPath) -> StatementOut:
    """Show what a buyer pays, a provider earns, and the operator keeps in a month."""
    room.marketplace.usage.catch_up(room.db)
    with room.db.reading() as tx:
        statement = room.marketplace.statements.statement_lines(
            tx, caller.organisation_id, Month.parse(month), advertiser_id=caller.advertiser_id
        )
        parties = {
            party_id: party_out(room, tx, party_id)
            for line in statement.lines
            for party_id in (line.provider_id, line.advertiser_id, line.agency_id)
            if party_id is not None
        }
    return StatementOut(
        id=str(statement.month),
        organisation_id=statement.organisation_id,
        side=statement.side,
        complete=statement.complete,
        lines=[_line(line, parties) for line in statement.lines],
        totals=[_totals(totals) for totals in statement.totals],
    )


def _line(line: StatementLine, parties: dict[str, PartyOut]) -> LineOut:
    return LineOut(
        entitlement_id=line.entitlement_id,
        title=Bilingual(ru=line.title.ru, en=line.title.en),
        provider=parties[line.provider_id],
        advertiser=parties[line.advertiser_id],
        agency=parties[line.agency_id] if line.agency_id is not None else None,
        position=line.position,
        day=line.day,
        questions=line.questions,
        people=line.people,
        rho_micro=line.rho_micro,
        amount=money_out(line.amount),
        fee=_maybe(line.fee),
        share=_maybe(line.share),
        vat_bp=line.vat_bp,
    )


def _totals(totals: Totals) -> TotalsOut:
    return TotalsOut(
        net=money_out(totals.net),
        vat=[VatOut(vat_bp=one.vat_bp, net=money_out(one.net), vat=money_out(one.vat)) for one in totals.vat],
        gross=money_out(totals.gross),
        fee=_maybe(totals.fee),
        share=_maybe(totals.share),
    )


def _maybe(amount: Money | None) -> MoneyOut | None:
    return None if amount is None else money_out(amount)
