"""Who looks, and how far: an operator's people over the whole room, everybody else over their own organisation."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import Depends

from cleanroom.access.scopes import EVENTS_READ, INCIDENTS_WRITE
from cleanroom.accounts.types import OrganisationKind
from cleanroom.signin.types import Member
from provider_portal.ui import PROVIDERS
from provider_portal.visits import Visit, needs

Looking = Annotated[Visit, Depends(needs(EVENTS_READ))]
Owning = Annotated[Visit, Depends(needs(EVENTS_READ, kinds=PROVIDERS))]
Acting = Annotated[Visit, Depends(needs(INCIDENTS_WRITE))]


def sees_all(who: Member) -> bool:
    """Tell whether somebody looks after the whole room."""
    return who.kind is OrganisationKind.OPERATOR


def whose(who: Member) -> str | None:
    """Return whose events somebody may read; None for everybody's."""
    return None if sees_all(who) else who.organisation_id


def day(visit: Visit, text: str, *, after: bool = False) -> datetime | None:
    """Return the instant at which a day begins, in the room's zone, or the one after it; None for no day.

    Args:
        visit: whose zone counts.
        text: the day as a browser sends it, ISO 8601.
        after: whether the next day's is wanted, so that the day itself is counted in.
    """
    try:
        begins = datetime.combine(date.fromisoformat(text), time(), tzinfo=visit.writing.zone)
        begins += timedelta(days=after)
        # The first and the last days that can be written have no place in UTC.
        begins.astimezone(UTC)
        return begins
    except (ValueError, OverflowError):
        return None


def instant(visit: Visit, text: str) -> datetime | None:
    """Return the instant of a day and time as a browser sends them, in the room's zone; None for none.

    Args:
        visit: whose zone counts.
        text: the day and time, ISO 8601 without a zone.
    """
    try:
        found = datetime.fromisoformat(text).replace(tzinfo=visit.writing.zone)
    except ValueError:
        return None
    # Near the ends of the calendar arithmetic fails.
    return found if 1970 <= found.year <= 9000 else None
