"""Periods of retention: how long each table of people is kept, and what of it ends next."""

from datetime import UTC

from fastapi import APIRouter, Response

from cleanroom.oversight.names import names_of
from cleanroom.rights.ending import endings, without_period
from provider_portal.compliance.looking import Looking, sees_all, whose
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import page

router = APIRouter(prefix="/compliance/retention")


@router.get("")
def list_endings(visit: Looking) -> Response:
    """Show the tables that have a period, what ends first before the rest."""
    wanted = asked(visit, (), default="")
    with visit.room.db.reading() as tx:
        found, total = endings(tx, whose(visit.who), offset=wanted.offset, limit=PER_PAGE)
        ids = {one.dataset_id for one in found} | {one.organisation_id for one in found}
        names = names_of(tx, ids, organisation_id=whose(visit.who))
        without = without_period(tx, whose(visit.who))
    return page(
        visit,
        "compliance/retention.html",
        found=found,
        total=total,
        wanted=wanted,
        names=names,
        without=without,
        # The room keeps periods by the calendar in UTC.
        today=visit.room.clock.now().astimezone(UTC).date(),
        whole_room=sees_all(visit.who),
    )
