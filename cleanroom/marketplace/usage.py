"""Usage records: one per analysis, made from the log's own records of releases and refusals, and from nothing else.

The log is read behind a cursor that one transaction at a time moves, together with the records that it makes: a crash
anywhere leaves both as they were, and two processes take turns. The log's order is the order of prices, which free
questions and monthly caps depend on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.accounts.mandates import mandate_stood
from cleanroom.analyses.models import AnalysisRow
from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditEvent
from cleanroom.client.receipts import KINDS, RELEASED
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.marketplace.entitlements import plan_of
from cleanroom.marketplace.models import EntitlementRow, UsageCursorRow, UsageRow
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.pricing import Answered, MonthSoFar, Part, answer_facts, price
from cleanroom.money import Money

PER_BATCH = 500
_CURSOR = 1


@dataclass(frozen=True)
class UsageRecord:
    """What one analysis cost.

    Attributes:
        analysis_id: `an_...`, whose receipt proves the figures it was made from.
        entitlement_id: which pays.
        event_index: the place of the release or refusal in the log.
        month: the calendar month, in the room's billing zone, that it belongs to.
        at: the instant of the release or refusal.
        outcome: only released answers cost money; suppressed ones have spent budget all the same.
        people: how many people were charged for.
        rho_micro: the privacy budget that it spent, in micro-rho.
        amount: what the buyer pays for it, without tax and without what a month costs besides.
        fee: the operator's share of it; the rest is the provider's.
    """

    analysis_id: str
    entitlement_id: str
    event_index: int
    month: Month
    at: datetime
    outcome: Answered
    people: int
    rho_micro: int
    amount: Money
    fee: Money


@dataclass(frozen=True)
class UsageSums:
    """What the answers of one entitlement came to in a month.

    Attributes:
        questions: that were answered and charged.
        amount_minor: what the buyer pays for them, in minor units of the plan's currency.
        fee_minor: the operator's share of it, rounded answer by answer.
    """

    questions: int = 0
    amount_minor: int = 0
    fee_minor: int = 0


@dataclass(frozen=True)
class Usage:
    """The service of usage records."""

    clock: Clock
    log: AuditLog
    zone: ZoneInfo

    def mint(self, tx: Transaction, *, limit: int = PER_BATCH) -> int:
        """Make the records of analyses that were answered since the last time.

        Args:
            tx: the caller's transaction; records and cursor are kept or lost together.
            limit: how many of the log's records to read at most; call again while there are more.

        Returns:
            How many of the log's records were read; 0 when there are none left.
        """
        cursor = self._lock_cursor(tx)
        # Read first: whatever is committed meanwhile lies behind it, and is read the next time.
        size = self.log.size(tx)
        events = self._events(tx, cursor.next_index, size, limit)
        made = [record for index, text in events if (record := self._record(tx, index, text))]
        cursor.next_index = events[-1][0] + 1 if len(events) == limit else size
        tx.session.flush()
        if made:
            tx.audit(
                "marketplace.usage_minted",
                subject_id=made[0].analysis_id,
                body={"records": len(made), "up_to_event": cursor.next_index},
            )
        return len(events)

    def mint_all(self, tx: Transaction) -> None:
        """Make all records that are due, in one transaction."""
        while self.mint(tx) == PER_BATCH:
            pass

    def catch_up(self, db: Database) -> None:
        """Make the records that are due, a transaction for each batch; without any it only reads.

        For whoever shows usage now: a worker makes them as time goes by.
        """
        with db.reading() as tx:
            due = self.behind(tx)
        while due:
            with db.transaction() as tx:
                due = self.mint(tx) == PER_BATCH

    def behind(self, tx: Transaction) -> bool:
        """Tell whether the log holds releases or refusals that no record was made for yet."""
        row = tx.session.get(UsageCursorRow, _CURSOR, populate_existing=True)
        reached = row.next_index if row else 0
        return bool(self._events(tx, reached, self.log.size(tx), 1))

    def so_far(
        self, tx: Transaction, entitlement_id: str, month: Month, *, agency_id: str | None = None
    ) -> MonthSoFar:
        """Return what an entitlement's answers have come to in a month, by the records that were made.

        With `agency_id` only those that are this agency's books too: of questions asked while a mandate of it stood.
        """
        answered = UsageRow.outcome == Answered.RELEASED.value
        sums = select(func.count(), func.sum(UsageRow.question_minor), func.sum(UsageRow.cpm_minor)).where(
            UsageRow.entitlement_id == entitlement_id, UsageRow.month == str(month), answered
        )
        if agency_id is not None:
            sums = sums.join(EntitlementRow, EntitlementRow.id == UsageRow.entitlement_id).where(
                _through(agency_id)
            )
        count, question, cpm = tx.session.execute(sums).one()
        return MonthSoFar(int(count), int(question or 0), int(cpm or 0))

    def records(
        self,
        tx: Transaction,
        entitlement_ids: Sequence[str],
        month: Month,
        *,
        agency_id: str | None = None,
    ) -> tuple[UsageRecord, ...]:
        """Return the records of some entitlements in a month, in the order of the log.

        With `agency_id` those that are this agency's books too: of questions asked while a mandate of it stood.
        """
        rows = (
            select(UsageRow)
            .join(EntitlementRow, EntitlementRow.id == UsageRow.entitlement_id)
            .where(UsageRow.entitlement_id.in_(entitlement_ids), UsageRow.month == str(month))
            .order_by(UsageRow.event_index)
        )
        if agency_id is not None:
            rows = rows.where(_through(agency_id))
        return tuple(_usage(row) for row in tx.session.scalars(rows))

    def sums(
        self, tx: Transaction, first: Month, last: Month, *, provider_id: str | None = None
    ) -> dict[tuple[str, Month], UsageSums]:
        """Return what answers came to by entitlement and month, added up where the records are.

        Args:
            tx: any transaction.
            first, last: the months, both included.
            provider_id: only what this one earns; None for the whole room.

        Returns:
            Sums by entitlement's id and month; those without an answer are missing.
        """
        rows = select(
            UsageRow.entitlement_id,
            UsageRow.month,
            func.count(),
            func.sum(UsageRow.amount_minor),
            func.sum(UsageRow.fee_minor),
        ).where(
            UsageRow.outcome == Answered.RELEASED.value,
            UsageRow.month >= str(first),
            UsageRow.month <= str(last),
        )
        if provider_id is not None:
            rows = rows.join(EntitlementRow, EntitlementRow.id == UsageRow.entitlement_id).where(
                EntitlementRow.provider_id == provider_id
            )
        grouped = rows.group_by(UsageRow.entitlement_id, UsageRow.month)
        return {
            (entitlement_id, Month.parse(month)): UsageSums(int(count), int(amount), int(fee))
            for entitlement_id, month, count, amount, fee in tx.session.execute(grouped)
        }

    def of_buyer(
        self,
        tx: Transaction,
        organisation_id: str,
        month: Month,
        *,
        advertiser_id: str | None = None,
        after: int = -1,
        limit: int = 50,
    ) -> tuple[UsageRecord, ...]:
        """Return the records of an advertiser, or of an agency's clients through it, in the order of the log.

        A provider has no such list: it would tell the count of every question. An agency's ends with its mandate: an
        advertiser may ask on under the same entitlement.

        Args:
            tx: any transaction.
            organisation_id: the advertiser or the agency.
            month: which.
            advertiser_id: only what this one pays: an agency looks at one of its clients.
            after: the place in the log of the last record of the page before.
            limit: how many at most.
        """
        rows = (
            select(UsageRow)
            .join(EntitlementRow, EntitlementRow.id == UsageRow.entitlement_id)
            .where(
                or_(EntitlementRow.advertiser_id == organisation_id, _through(organisation_id)),
                UsageRow.month == str(month),
                UsageRow.event_index > after,
            )
        )
        if advertiser_id is not None:
            rows = rows.where(EntitlementRow.advertiser_id == advertiser_id)
        ordered = rows.order_by(UsageRow.event_index).limit(limit)
        return tuple(_usage(row) for row in tx.session.scalars(ordered))

    def _record(self, tx: Transaction, index: int, text: bytes) -> UsageRow | None:
        record = json.loads(text)
        body = record["body"]
        entitlement = tx.session.scalar(
            select(EntitlementRow).where(EntitlementRow.grant_id == body["grant_id"])
        )
        if entitlement is None:
            # The grant was given without the marketplace, so nobody pays for it here.
            return None
        plan, facts = plan_of(tx, entitlement), answer_facts(record)
        released = record["kind"] == RELEASED
        at = datetime.fromisoformat(body["released_at" if released else "refused_at"])
        month = Month.of(at, self.zone)
        charge = price(plan, self.so_far(tx, entitlement.id, month), facts)
        row = UsageRow(
            id=new_id("use", self.clock.now()),
            analysis_id=record["subject"],
            event_index=index,
            entitlement_id=entitlement.id,
            month=str(month),
            at=at,
            outcome=facts.outcome.value,
            people=charge.people,
            rho_micro=facts.rho_micro,
            currency=plan.currency,
            cpm_minor=charge.minor(Part.CPM),
            question_minor=charge.minor(Part.QUESTION),
            amount_minor=charge.total.minor,
            fee_minor=charge.total.share(entitlement.fee_bp).minor,
        )
        tx.session.add(row)
        tx.session.flush()
        return row

    def _events(self, tx: Transaction, first: int, size: int, limit: int) -> list[tuple[int, bytes]]:
        found = (
            select(AuditEvent.index, AuditEvent.record)
            .where(AuditEvent.index >= first, AuditEvent.index < size, AuditEvent.kind.in_(KINDS))
            .order_by(AuditEvent.index)
            .limit(limit)
        )
        return [(index, record) for index, record in tx.session.execute(found)]

    def _lock_cursor(self, tx: Transaction) -> UsageCursorRow:
        postgres = tx.connection.dialect.name == "postgresql"
        first = (postgresql.insert if postgres else sqlite.insert)(UsageCursorRow)
        tx.session.execute(first.values(id=_CURSOR, next_index=0).on_conflict_do_nothing())
        return tx.session.get_one(UsageCursorRow, _CURSOR, with_for_update=True, populate_existing=True)


def _through(agency_id: str) -> ColumnElement[bool]:
    """Tell of a record whether its question was asked under an agency's entitlement while a mandate of it stood."""
    asked = select(AnalysisRow.asked_at).where(AnalysisRow.id == UsageRow.analysis_id).correlate(UsageRow)
    stood = mandate_stood(agency_id, EntitlementRow.advertiser_id, asked.scalar_subquery())
    return and_(EntitlementRow.agency_id == agency_id, stood)


def _usage(row: UsageRow) -> UsageRecord:
    return UsageRecord(
        analysis_id=row.analysis_id,
        entitlement_id=row.entitlement_id,
        event_index=row.event_index,
        month=Month.parse(row.month),
        at=row.at,
        outcome=Answered(row.outcome),
        people=row.people,
        rho_micro=row.rho_micro,
        amount=Money(row.amount_minor, row.currency),
        fee=Money(row.fee_minor, row.currency),
    )
