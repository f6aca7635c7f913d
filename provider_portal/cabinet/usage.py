"""Usage: who asked what when, about one's own datasets, and no figure of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import USAGE_READ
from cleanroom.analyses.noticing import Wanted, answered
from cleanroom.marketplace.errors import MonthError
from cleanroom.marketplace.months import Month
from policies.question import KINDS
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/usage")
Reading = Annotated[Visit, Depends(needs(USAGE_READ, kinds=PROVIDERS))]
_MOST_MONTHS = 36


@router.get("")
def list_usage(visit: Reading) -> Response:
    """Show the questions that were answered, the newest first."""
    room, organisation_id = visit.room, visit.who.organisation_id
    table = asked(visit, ("asked",), default="asked", descending=True)
    zone = room.marketplace.usage.zone
    month = _month(visit.asked("month"))
    kind = visit.asked("kind")
    wanted = Wanted(
        buyer=table.text,
        dataset=visit.asked("dataset").strip(),
        kind=kind if kind in KINDS else None,
        start=month.starts_at(zone) if month else None,
        end=month.ends_at(zone) if month else None,
    )
    with room.db.reading() as tx:
        found, total = answered(tx, organisation_id, wanted, offset=table.offset, limit=PER_PAGE)
        months = room.marketplace.statements.months(tx, organisation_id)
    return page(
        visit,
        "cabinet/usage.html",
        found=found,
        total=total,
        wanted=table,
        asked=wanted,
        month=month,
        months=months[::-1][:_MOST_MONTHS],
        kinds=KINDS,
    )


def _month(text: str) -> Month | None:
    try:
        return Month.parse(text)
    except MonthError:
        return None
