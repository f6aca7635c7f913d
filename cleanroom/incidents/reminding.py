"""Telling of duties whose term is nearly over, or is over: each once, by an event that makes notices and letters."""

from dataclasses import dataclass

from sqlalchemy import select

from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Database, Transaction
from cleanroom.incidents.duties import TERMS, near
from cleanroom.incidents.models import IncidentDutyRow, IncidentRow
from cleanroom.incidents.types import Duty, DutyState

NEAR, PASSED = 1, 2
_LONGEST = max(near(duty) for duty in TERMS)


@dataclass(frozen=True)
class Reminding:
    """Looks at what is due."""

    clock: Clock

    def catch_up(self, db: Database) -> None:
        """Remind of what is due by now; where there is nothing it only reads."""
        with db.reading() as tx:
            due = bool(self._due(tx))
        if due:
            with db.transaction() as tx:
                self.remind(tx)

    def remind(self, tx: Transaction) -> int:
        """Enter in the log that terms are nearly over, or over; returns how many."""
        reminded = 0
        for row, organisation_id, level in self._due(tx, held=True):
            row.reminded = level
            tx.audit(
                "incidents.deadline_passed" if level == PASSED else "incidents.deadline_near",
                subject_id=row.incident_id,
                organisation_id=organisation_id,
                body={"duty": row.duty, "due_at": rfc3339(row.due_at)},
            )
            reminded += 1
        tx.session.flush()
        return reminded

    def _due(self, tx: Transaction, *, held: bool = False) -> list[tuple[IncidentDutyRow, str, int]]:
        now = self.clock.now()
        rows = (
            select(IncidentDutyRow, IncidentRow.organisation_id)
            .join(IncidentRow, IncidentRow.id == IncidentDutyRow.incident_id)
            .where(
                IncidentDutyRow.state == DutyState.DUE.value,
                IncidentDutyRow.due_at <= now + _LONGEST,
                IncidentDutyRow.reminded < PASSED,
            )
            .order_by(IncidentDutyRow.incident_id, IncidentDutyRow.duty)
        )
        if held:
            rows = rows.with_for_update(of=IncidentDutyRow).execution_options(populate_existing=True)
        found = []
        for row, organisation_id in tx.session.execute(rows).all():
            left = row.due_at - now
            level = PASSED if left.total_seconds() <= 0 else NEAR if left <= near(Duty(row.duty)) else 0
            if level > row.reminded:
                found.append((row, organisation_id, level))
        return found
