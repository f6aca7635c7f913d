"""Alarms: what a detector has seen in the log, and who has looked at it."""

from fastapi import APIRouter, Response

from cleanroom.access.scopes import INCIDENTS_WRITE
from cleanroom.alarms.reading import SORTS, alarm, alarms
from cleanroom.alarms.types import Alarm, AlarmKind, Whose
from cleanroom.errors import CleanroomError
from cleanroom.signin.types import Member
from provider_portal.compliance.looking import Acting, Looking, sees_all
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import go, page
from provider_portal.visits import Visit

router = APIRouter(prefix="/compliance/alarms")
_NOTICES = {"acknowledged": N_("Acknowledged. Your note stands in the log.")}


@router.get("")
def list_alarms(visit: Looking) -> Response:
    """Show what was seen, the newest first."""
    wanted = asked(visit, SORTS, default="raised", descending=True)
    kind = visit.chosen("kind", AlarmKind)
    only_open = visit.asked("show") == "open"
    with visit.room.db.reading() as tx:
        found, total = alarms(
            tx,
            whose_alarms(visit.who),
            kind=kind,
            only_open=only_open,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        "compliance/alarms.html",
        found=found,
        total=total,
        wanted=wanted,
        kind=kind,
        kinds=tuple(AlarmKind),
        only_open=only_open,
        whole_room=sees_all(visit.who),
    )


@router.get("/{alarm_id}")
def show_alarm(visit: Looking, alarm_id: str) -> Response:
    """Show what was seen, what it may mean, and what somebody has found."""
    return _alarm_page(visit, alarm_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{alarm_id}/acknowledge")
def acknowledge(visit: Acting, alarm_id: str) -> Response:
    """Note what was found; the alarm is over then."""
    who, note = visit.who, visit.typed("note")
    try:
        with visit.room.db.transaction() as tx:
            visit.room.alarms.acknowledge(tx, alarm_id, whose_alarms(who), by=who.user_id, note=note)
    except CleanroomError as error:
        if error.code == "alarms.unknown":
            raise
        return _alarm_page(visit, alarm_id, error=error_words(error), note=note, status=400)
    return go(visit, f"/compliance/alarms/{alarm_id}?done=acknowledged")


def whose_alarms(who: Member) -> Whose:
    """Return whose alarms somebody sees."""
    return Whose(who.organisation_id, whole_room=sees_all(who))


def may_acknowledge(who: Member, found: Alarm) -> bool:
    """Tell whether an open alarm is somebody's to acknowledge."""
    own = whose_alarms(who).answers_for(found.organisation_id)
    return found.open and own and who.may(INCIDENTS_WRITE)


def _alarm_page(
    visit: Visit,
    alarm_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    note: str = "",
    status: int = 200,
) -> Response:
    with visit.room.db.reading() as tx:
        found = alarm(tx, alarm_id, whose_alarms(visit.who))
    return page(
        visit,
        "compliance/alarm.html",
        status=status,
        alarm=found,
        acts=may_acknowledge(visit.who, found),
        settings=visit.room.settings.alarms,
        note=note,
        notice=notice,
        error=error,
    )
