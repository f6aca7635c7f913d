"""Monthly caps of mandates: what is spent for an advertiser through an agency, held against the most that it may be."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import and_, or_, select

from cleanroom.accounts.mandates import mandate_stood
from cleanroom.accounts.service import Accounts
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.clock import Clock
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.buyers import Buyers
from cleanroom.marketplace.entitlements import entitlement_of
from cleanroom.marketplace.errors import MoneyCapError
from cleanroom.marketplace.models import EntitlementRow, UsageRow
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.plans import PricePlan
from cleanroom.marketplace.pricing import Part, maximum, monthly, standing
from cleanroom.marketplace.types import Entitlement
from cleanroom.marketplace.usage import Usage
from cleanroom.money import Money
from policies.question import question_from_dict


@dataclass(frozen=True)
class Spending:
    """What an entitlement comes to in this month, at least, and with what is under way at most.

    Attributes:
        entitlement_id: which.
        minor: its answers so far, the flat price, and what these lack to the minimum.
        lacking_minor: what they lack: further answers of this worth cost nothing more.
        under_way_minor: what questions that no record was made for yet cost at most.
    """

    entitlement_id: str
    minor: int
    lacking_minor: int
    under_way_minor: int

    @property
    def at_most_minor(self) -> int:
        """All of it, once everything under way is answered."""
        return self.minor + max(0, self.under_way_minor - self.lacking_minor)


@dataclass(frozen=True)
class Caps:
    """Holds what an agency buys and asks for an advertiser against its mandate."""

    clock: Clock
    accounts: Accounts
    buyers: Buyers
    usage: Usage

    def hold(self, tx: Transaction, *, agency_id: str, advertiser_id: str) -> Money | None:
        """Return what a mandate lets an agency spend for an advertiser in a month; None without a cap.

        Whoever buys or asks for the same advertiser waits until the transaction ends, so that two never fit once each.
        """
        self.accounts.lock(tx, advertiser_id)
        return self.buyers.monthly_cap(tx, agency_id=agency_id, advertiser_id=advertiser_id)

    def spending(
        self, tx: Transaction, *, agency_id: str, advertiser_id: str, currency: str
    ) -> Iterator[Spending]:
        """Yield what every entitlement of an agency for an advertiser comes to in this month.

        One that is in force counts with a whole month's standing charges, however late it began: the next month is a
        whole one, and what is asked now may be answered in it. One that ended counts with the days that it had. What
        the advertiser asked while no mandate stood is not the agency's: its sum would tell the agency of it.

        Args:
            tx: any transaction.
            agency_id, advertiser_id: whose.
            currency: the cap's; what is priced in another cannot be held against it.
        """
        now, zone = self.clock.now(), self.usage.zone
        month = Month.of(now, zone)
        under_way = self._under_way(tx, agency_id, advertiser_id, month)
        used = select(UsageRow.id).where(
            UsageRow.entitlement_id == EntitlementRow.id, UsageRow.month == str(month)
        )
        rows = select(EntitlementRow).where(
            EntitlementRow.agency_id == agency_id,
            EntitlementRow.advertiser_id == advertiser_id,
            # One that ended before may be charged for a question that was under way.
            or_(
                EntitlementRow.ended_at.is_(None),
                EntitlementRow.ended_at >= month.starts_at(zone),
                EntitlementRow.id.in_(list(under_way)),
                used.exists(),
            ),
        )
        for row in tx.session.scalars(rows.order_by(EntitlementRow.id)).all():
            one = entitlement_of(tx, row)
            if one.plan.currency != currency:
                continue
            whole = one.ends_at > now
            days = month.days if whole else month.days_within(one.valid_from, one.ends_at, zone)
            so_far = self.usage.so_far(tx, one.id, month, agency_id=agency_id)
            charge = monthly(one.plan, so_far, days=days, of=month.days)
            answered = so_far.question_minor + so_far.cpm_minor
            yield Spending(
                one.id,
                answered + charge.total.minor,
                charge.minor(Part.MINIMUM),
                sum(
                    maximum(one.plan, segments=segments, people_at_most=people).minor * times
                    for (segments, people), times in under_way.get(one.id, Counter()).items()
                ),
            )

    def left(self, tx: Transaction, entitlement: Entitlement) -> Money | None:
        """Return what further answers under an entitlement may cost this month; None where no mandate caps it."""
        agency_id, advertiser_id = entitlement.agency_id, entitlement.advertiser_id
        if agency_id is None:
            return None
        cap = self.buyers.monthly_cap(tx, agency_id=agency_id, advertiser_id=advertiser_id)
        if cap is None:
            return None
        if cap.currency != entitlement.plan.currency:
            # What is spent in another currency cannot be held against the cap, so nothing may be.
            return Money(0, cap.currency)
        left = cap.minor
        for one in self.spending(tx, agency_id=agency_id, advertiser_id=advertiser_id, currency=cap.currency):
            left -= one.at_most_minor
            if one.entitlement_id == entitlement.id:
                left += max(0, one.lacking_minor - one.under_way_minor)
        return Money(max(0, left), cap.currency)

    def require_within(self, tx: Transaction, entitlement: Entitlement) -> None:
        """Refuse a question that has just reserved when it might pass the cap, all under way counted in.

        Call `hold` before the question is asked. Raised in the transaction that asks, it leaves nothing asked, reserved
        or spent.

        Raises:
            MoneyCapError: it might, or is priced in another currency than the cap.
        """
        agency_id, advertiser_id = entitlement.agency_id, entitlement.advertiser_id
        if agency_id is None:
            return
        cap = self.buyers.monthly_cap(tx, agency_id=agency_id, advertiser_id=advertiser_id)
        if cap is None:
            return
        # What was answered counts with what it cost, not with what it might have.
        self.usage.mint_all(tx)
        spent = self.spending(tx, agency_id=agency_id, advertiser_id=advertiser_id, currency=cap.currency)
        if cap.currency != entitlement.plan.currency or sum(one.at_most_minor for one in spent) > cap.minor:
            raise MoneyCapError(
                "The question might cost more than the mandate lets the agency spend this month.",
                remedy="Wait for the answers that are under way, or ask the advertiser to raise the cap.",
            )

    def require_fits(self, tx: Transaction, plan: PricePlan, *, agency_id: str, advertiser_id: str) -> None:
        """Refuse a plan whose standing charges do not fit under the cap beside all that stands, is spent or under way.

        Raises:
            MoneyCapError: they do not fit, or are in another currency than the cap.
        """
        cap = self.hold(tx, agency_id=agency_id, advertiser_id=advertiser_id)
        if cap is None:
            return
        # No records are made here: whoever makes them is waited for, who may wait for the budget that is given next.
        spent = self.spending(tx, agency_id=agency_id, advertiser_id=advertiser_id, currency=cap.currency)
        sum_minor = sum(one.at_most_minor for one in spent) + standing(plan).minor
        if cap.currency != plan.currency or sum_minor > cap.minor:
            raise MoneyCapError(
                "The plan's monthly charges do not fit what the mandate lets the agency spend, or are in another "
                "currency.",
                remedy="Have the advertiser raise the cap, or ask for another plan.",
            )

    def _under_way(
        self, tx: Transaction, agency_id: str, advertiser_id: str, month: Month
    ) -> dict[str, Counter[tuple[int, int]]]:
        """Return by entitlement what questions without a record depend on: segments, and people at most."""
        recorded = select(UsageRow.id).where(UsageRow.analysis_id == AnalysisRow.id)
        rows = (
            select(EntitlementRow.id, AnalysisRow.question, AnalysisRow.ticket, DatasetVersionRow.persons)
            .join(EntitlementRow, EntitlementRow.grant_id == AnalysisRow.grant_id)
            .join(DatasetVersionRow, DatasetVersionRow.id == AnalysisRow.base_version_id)
            .where(
                EntitlementRow.agency_id == agency_id,
                EntitlementRow.advertiser_id == advertiser_id,
                mandate_stood(agency_id, advertiser_id, AnalysisRow.asked_at),
                or_(
                    AnalysisRow.status == Outcome.RESERVED.value,
                    and_(
                        AnalysisRow.status == Outcome.RELEASED.value,
                        AnalysisRow.finished_at >= month.starts_at(self.usage.zone),
                        ~recorded.exists(),
                    ),
                ),
            )
        )
        found: dict[str, Counter[tuple[int, int]]] = {}
        for entitlement_id, question, ticket, persons in tx.session.execute(rows).all():
            # The bound that its receipt will state; a public size made it smaller than the base, if there was one.
            people = persons if ticket is None else ticket["facts"]["people_at_most"]
            segments = len(question_from_dict(question).segments)
            found.setdefault(entitlement_id, Counter())[segments, people] += 1
        return found
