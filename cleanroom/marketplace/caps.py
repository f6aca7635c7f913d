"""Monthly caps of mandates: what is spent for an advertiser through an agency, held against the most that it may be."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import or_, select

from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.marketplace.buyers import Buyers
from cleanroom.marketplace.entitlements import entitlement_of
from cleanroom.marketplace.errors import MoneyCapError
from cleanroom.marketplace.models import EntitlementRow, UsageRow
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.plans import PricePlan
from cleanroom.marketplace.pricing import MonthSoFar, Part, monthly
from cleanroom.marketplace.types import Entitlement
from cleanroom.marketplace.usage import Usage
from cleanroom.money import Money


@dataclass(frozen=True)
class Spending:
    """What an entitlement comes to in this month, at least.

    Attributes:
        entitlement_id: which.
        minor: its answers so far, the flat price, and what these lack to the minimum.
        lacking_minor: what they lack: further answers of this worth cost nothing more.
    """

    entitlement_id: str
    minor: int
    lacking_minor: int


@dataclass(frozen=True)
class Caps:
    """Holds what an agency buys and asks for an advertiser against its mandate."""

    clock: Clock
    accounts: Accounts
    buyers: Buyers
    usage: Usage

    def spending(
        self, tx: Transaction, *, agency_id: str, advertiser_id: str, currency: str
    ) -> Iterator[Spending]:
        """Yield what every entitlement of an agency for an advertiser comes to in this month, by the records made.

        One that is in force counts with a whole month's standing charges, however late it began: the next month is a
        whole one, and what is asked now may be answered in it. One that ended counts with the days that it had. Answers
        to what the advertiser asked while no mandate stood are not the agency's: their sum would tell it of them.

        Args:
            tx: any transaction.
            agency_id, advertiser_id: whose.
            currency: the cap's; what is priced in another cannot be held against it.
        """
        now, zone = self.clock.now(), self.usage.zone
        month = Month.of(now, zone)
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
            yield Spending(one.id, answered + charge.total.minor, charge.minor(Part.MINIMUM))

    def left(self, tx: Transaction, entitlement: Entitlement) -> Money | None:
        """Return what answers under an entitlement may still cost this month; None where no mandate caps it."""
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
            left -= one.minor
            if one.entitlement_id == entitlement.id:
                left += one.lacking_minor
        return Money(max(0, left), cap.currency)

    def require_fits(self, tx: Transaction, plan: PricePlan, *, agency_id: str, advertiser_id: str) -> None:
        """Refuse a plan whose standing charges do not fit under the cap beside all that is spent and stands already.

        Whoever buys or asks for the same advertiser waits until the transaction ends, so that two never fit once each.

        Raises:
            MoneyCapError: they do not fit, or are in another currency than the cap.
        """
        self.accounts.lock(tx, advertiser_id)
        cap = self.buyers.monthly_cap(tx, agency_id=agency_id, advertiser_id=advertiser_id)
        if cap is None:
            return
        spent = self.spending(tx, agency_id=agency_id, advertiser_id=advertiser_id, currency=cap.currency)
        standing = monthly(plan, MonthSoFar(), days=1, of=1).total
        if cap.currency != plan.currency or sum(one.minor for one in spent) + standing.minor > cap.minor:
            raise MoneyCapError(
                "The plan's monthly charges do not fit what the mandate lets the agency spend, or are in another "
                "currency.",
                remedy="Have the advertiser raise the cap, or ask for another plan.",
            )
