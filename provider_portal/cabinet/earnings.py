"""Earnings: what the months came to, and every statement, on the page and as files."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import STATEMENTS_READ
from cleanroom.accounts.types import OrganisationKind
from cleanroom.marketplace.earnings import Earned, months_earned
from cleanroom.marketplace.errors import MonthError
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.types import Format
from cleanroom.papers.text import Language
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import EARNERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/earnings")
Reading = Annotated[Visit, Depends(needs(STATEMENTS_READ, kinds=EARNERS))]
_CHARTED = 12


@router.get("")
def show_earnings(visit: Reading) -> Response:
    """Show what the complete months came to, and the list of statements."""
    room, who = visit.room, visit.who
    wanted = asked(visit, ("month",), default="month", descending=True)
    room.marketplace.usage.catch_up(room.db)
    with room.db.reading() as tx:
        found = months_earned(tx, room.marketplace.statements, who.organisation_id)
    by_month: dict[Month, list[Earned]] = {}
    for one in found.earned:
        by_month.setdefault(one.month, []).append(one)
    currencies = sorted({one.net.currency for one in found.earned})
    return page(
        visit,
        "cabinet/earnings.html",
        months=found.months[wanted.offset : wanted.offset + PER_PAGE],
        total=len(found.months),
        wanted=wanted,
        complete=found.complete,
        by_month=by_month,
        charts=[(currency, charted(found.earned, currency)) for currency in currencies],
        operator=who.kind is OrganisationKind.OPERATOR,
        formats=tuple(Format),
    )


def charted(earned: tuple[Earned, ...], currency: str, *, most: int = _CHARTED) -> list[Earned]:
    """Return the newest months of a currency, the oldest first."""
    return [one for one in earned if one.net.currency == currency][:most][::-1]


# Before the next one, whose placeholder would take the ending too.
@router.get("/{month}.{form}")
def get_file(visit: Reading, month: str, form: str) -> Response:
    """Give a statement as CSV, XLSX or PDF; of a complete month it is the same bytes every time."""
    room = visit.room
    language = visit.asked("lang", visit.writing.language)
    if form not in set(Format) or language not in set(Language):
        raise HTTPException(404)
    files, wanted = room.marketplace.statement_files, _month(month)
    room.marketplace.usage.catch_up(room.db)
    with room.db.reading() as tx:
        document = files.document(tx, visit.who.organisation_id, wanted)
    made = files.write(document, Format(form), Language(language))
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.content, media_type=made.media_type, headers=headers)


@router.get("/{month}")
def show_statement(visit: Reading, month: str) -> Response:
    """Show a month's statement, line by line."""
    room, wanted = visit.room, _month(month)
    room.marketplace.usage.catch_up(room.db)
    with room.db.reading() as tx:
        document = room.marketplace.statement_files.document(tx, visit.who.organisation_id, wanted)
    return page(
        visit,
        "cabinet/statement.html",
        document=document,
        statement=document.statement,
        formats=tuple(Format),
        file_languages=tuple(Language),
        operator=visit.who.kind is OrganisationKind.OPERATOR,
    )


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except MonthError:
        raise HTTPException(404) from None
