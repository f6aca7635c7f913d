"""Reading a register: pages of incidents, one of them, and its entries."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, type_coerce

from cleanroom.db.base import UtcDateTime
from cleanroom.db.database import Transaction
from cleanroom.incidents.errors import UnknownIncidentError
from cleanroom.incidents.models import IncidentDutyRow, IncidentEntryRow, IncidentRow, IncidentShareRow
from cleanroom.incidents.rows import entry_of, incident_of
from cleanroom.incidents.types import DutyState, Entry, Incident, IncidentState, Severity

_RANK = case({one.value: place for place, one in enumerate(Severity)}, value=IncidentRow.severity)
_DUE = (
    select(func.min(IncidentDutyRow.due_at))
    .where(IncidentDutyRow.incident_id == IncidentRow.id, IncidentDutyRow.state == DutyState.DUE.value)
    .correlate(IncidentRow)
    .scalar_subquery()
)
SORTS = ("opened", "discovered", "severity", "state", "due")


class Register:
    """What an organisation sees of incidents: its own, and those that the operator has shared with it."""

    def page(
        self,
        tx: Transaction,
        organisation_id: str,
        *,
        state: IncidentState | None = None,
        severity: Severity | None = None,
        sort: str = "opened",
        descending: bool = True,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[tuple[Incident, ...], int]:
        """Return a page of incidents.

        Args:
            tx: any transaction.
            organisation_id: who looks.
            state: only those in one state.
            severity: only those of one severity.
            sort: one of `SORTS`; the first one for any other text. By `due` those with nothing due come last.
            descending: the other way round.
            offset: how many to pass over.
            limit: how many at most.

        Returns:
            The page, and how many there are in all.
        """
        wanted = [_seen_by(organisation_id)]
        if state is not None:
            wanted.append(IncidentRow.state == state.value)
        if severity is not None:
            wanted.append(IncidentRow.severity == severity.value)
        total = tx.session.scalar(select(func.count()).select_from(IncidentRow).where(*wanted)) or 0
        orders: dict[str, ColumnElement[Any]] = {
            "discovered": IncidentRow.discovered_at.expression,
            "severity": _RANK,
            "state": IncidentRow.state.expression,
            "due": type_coerce(_DUE, UtcDateTime()),
        }
        order = orders.get(sort, IncidentRow.id.expression)
        found = select(IncidentRow).where(*wanted)
        if sort == "due":
            found = found.order_by(case((_DUE.is_(None), 1), else_=0))
        found = found.order_by(order.desc() if descending else order, IncidentRow.id.desc())
        rows = tx.session.scalars(found.offset(offset).limit(limit)).all()
        return _with_duties(tx, rows, organisation_id), int(total)

    def incident(self, tx: Transaction, incident_id: str, *, organisation_id: str) -> Incident:
        """Return an incident as an organisation sees it; raises UnknownIncidentError."""
        seen = select(IncidentRow).where(IncidentRow.id == incident_id, _seen_by(organisation_id))
        row = tx.session.scalar(seen)
        if row is None:
            raise UnknownIncidentError("There is no incident with this id.", remedy="List the register.")
        return _with_duties(tx, [row], organisation_id)[0]

    def entries(
        self, tx: Transaction, incident: Incident, *, offset: int = 0, limit: int = 50
    ) -> tuple[tuple[Entry, ...], int]:
        """Return a page of an incident's entries in their order, and how many there are in all.

        Args:
            tx: any transaction.
            incident: as the one who looks sees it: others see what is meant for them.
            offset: how many to pass over.
            limit: how many at most.
        """
        found = select(IncidentEntryRow).where(IncidentEntryRow.incident_id == incident.id)
        if not incident.own:
            found = found.where(IncidentEntryRow.shown)
        total = tx.session.scalar(select(func.count()).select_from(found.subquery())) or 0
        rows = tx.session.scalars(found.order_by(IncidentEntryRow.number).offset(offset).limit(limit))
        entries = [
            entry_of(row, viewer_is_owner=incident.own, owner_id=incident.organisation_id) for row in rows
        ]
        return tuple(entries), int(total)

    def shared_with(self, tx: Transaction, incident: Incident) -> tuple[str, ...]:
        """Return with which organisations an incident is shared; nothing to those."""
        if not incident.own:
            return ()
        rows = select(IncidentShareRow.organisation_id).where(IncidentShareRow.incident_id == incident.id)
        return tuple(tx.session.scalars(rows.order_by(IncidentShareRow.organisation_id)))


def _seen_by(organisation_id: str) -> ColumnElement[bool]:
    shared = select(IncidentShareRow.incident_id).where(IncidentShareRow.organisation_id == organisation_id)
    return or_(IncidentRow.organisation_id == organisation_id, IncidentRow.id.in_(shared))


def _with_duties(tx: Transaction, rows: Iterable[IncidentRow], organisation_id: str) -> tuple[Incident, ...]:
    rows = list(rows)
    duties: dict[str, list[IncidentDutyRow]] = {row.id: [] for row in rows}
    found = select(IncidentDutyRow).where(IncidentDutyRow.incident_id.in_(list(duties)))
    for duty in tx.session.scalars(found):
        duties[duty.incident_id].append(duty)
    return tuple(incident_of(row, duties[row.id], viewer_id=organisation_id) for row in rows)
