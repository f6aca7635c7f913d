"""When a month is over and every answer in it is accounted for: the log says so, once, of every organisation in it."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.marketplace.models import EntitlementRow, StatementMonthRow
from cleanroom.marketplace.months import Month, first_open
from cleanroom.marketplace.usage import Usage

READY = "marketplace.statement_ready"
_MOST_MONTHS = 12
"""A room that was off for longer says nothing of the months before."""


@dataclass(frozen=True)
class StatementsReady:
    """Says that statements are ready; they can be read all the time, and do not change from then on."""

    clock: Clock
    usage: Usage

    def announce(self, db: Database) -> None:
        """Say it of the months that are over; where there is nothing to say it only reads."""
        with db.reading() as tx:
            due = self._due(tx)
        for month in due:
            with db.transaction() as tx:
                self._announce(tx, month)

    def _due(self, tx: Transaction) -> list[Month]:
        zone = self.usage.zone
        now = first_open(self.clock.now(), zone)
        last = tx.session.scalar(select(func.max(StatementMonthRow.month)))
        if last is not None:
            month = Month.parse(last).following
        else:
            first = tx.session.scalar(select(func.min(EntitlementRow.valid_from)))
            if first is None:
                return []
            month = Month.of(first, zone)
        due = []
        while month < now:
            due.append(month)
            month = month.following
        return due[-_MOST_MONTHS:] if due and not self.usage.behind(tx) else []

    def _announce(self, tx: Transaction, month: Month) -> None:
        dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
        values = {"month": str(month), "announced_at": self.clock.now()}
        adding = dialect.insert(StatementMonthRow).values(values)
        added = tx.session.execute(adding.on_conflict_do_nothing().returning(StatementMonthRow.month)).first()
        if added is None:
            # Another worker was first.
            return
        for organisation_id in sorted(self._concerned(tx, month)):
            tx.audit(
                READY,
                subject_id=organisation_id,
                organisation_id=organisation_id,
                body={"month": str(month)},
            )

    def _concerned(self, tx: Transaction, month: Month) -> set[str]:
        """Return whose statements of a month have lines: the sides of entitlements that were in force, the operator."""
        zone = self.usage.zone
        in_force = select(
            EntitlementRow.provider_id, EntitlementRow.advertiser_id, EntitlementRow.agency_id
        ).where(
            EntitlementRow.valid_from < month.ends_at(zone),
            EntitlementRow.ended_at.is_(None) | (EntitlementRow.ended_at >= month.starts_at(zone)),
        )
        found = {one for row in tx.session.execute(in_force) for one in row if one is not None}
        if found:
            operators = select(OrganisationRow.id).where(
                OrganisationRow.kind == OrganisationKind.OPERATOR.value,
                OrganisationRow.offboarded_at.is_(None),
            )
            found |= set(tx.session.scalars(operators))
        return found
