"""Monthly statements: everything that a buyer pays, a provider earns and the operator keeps, to the minor unit."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, func, or_, select

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.marketplace.content import Words
from cleanroom.marketplace.entitlements import entitlement_of
from cleanroom.marketplace.models import EntitlementRow, UsageRow
from cleanroom.marketplace.months import Month, first_open
from cleanroom.marketplace.pricing import Answered, MonthSoFar, Part, monthly
from cleanroom.marketplace.types import Entitlement
from cleanroom.marketplace.usage import Usage, UsageRecord, UsageSums
from cleanroom.marketplace.views import content_of
from cleanroom.money import Money, total

_Row = TypeVar("_Row")


class Side(StrEnum):
    """For whom a statement is made."""

    BUYER = "buyer"
    PROVIDER = "provider"
    OPERATOR = "operator"


class Position(StrEnum):
    """What a line is about."""

    QUESTIONS = "questions"
    FLAT = "flat"
    MINIMUM = "minimum"
    NO_CHARGE = "no_charge"


@dataclass(frozen=True)
class StatementLine:
    """One line of a statement.

    Attributes:
        entitlement_id: which it is about.
        title: of the listing, in the wording of the entitlement.
        provider_id: who earns.
        advertiser_id: who pays.
        agency_id: through whom, if anyone.
        position: answered questions, a month's flat price, what lacked to a minimum; or questions without charge
            (withheld or refused), which may have spent privacy budget.
        day: in the billing zone; None for what belongs to the month. Only a buyer sees its questions by day.
        questions: how many; 0 for a flat price and a minimum.
        people: how many people were charged for; 0 for whoever is not the buyer: no count about a base goes there.
        rho_micro: privacy budget spent, for the buyer; 0 for others.
        amount: what the buyer pays, without tax.
        fee: the operator's share of it; None for a buyer, whom the split does not concern.
        share: the provider's share of it: the rest; None for a buyer.
        vat_bp: the rate of value-added tax on the amount, in basis points.
    """

    entitlement_id: str
    title: Words
    provider_id: str
    advertiser_id: str
    agency_id: str | None
    position: Position
    day: date | None
    questions: int
    people: int
    rho_micro: int
    amount: Money
    fee: Money | None
    share: Money | None
    vat_bp: int


@dataclass(frozen=True)
class VatTotal:
    """All amounts under one rate of tax; tax is rounded once, on their sum.

    Attributes:
        vat_bp: the rate, in basis points.
        net: the amounts.
        vat: the tax on them.
    """

    vat_bp: int
    net: Money
    vat: Money


@dataclass(frozen=True)
class Totals:
    """The totals of one currency.

    Attributes:
        net: all amounts without tax.
        vat: by rate, the lowest first.
        gross: amounts and tax: what the buyer pays.
        fee: the operator's share of the net; None for a buyer.
        share: the provider's share of the net; None for a buyer.
    """

    net: Money
    vat: tuple[VatTotal, ...]
    gross: Money
    fee: Money | None
    share: Money | None


@dataclass(frozen=True)
class Statement:
    """One organisation's month.

    Attributes:
        organisation_id: whose.
        side: buyer, provider or operator.
        month: which.
        lines: by entitlement, then by day, those of the month last.
        totals: one per currency, by its code.
        complete: whether the month is over and every answer in it is accounted for; before that, numbers may grow.
    """

    organisation_id: str
    side: Side
    month: Month
    lines: tuple[StatementLine, ...]
    totals: tuple[Totals, ...]
    complete: bool


_SIDES = {OrganisationKind.PROVIDER: Side.PROVIDER, OrganisationKind.OPERATOR: Side.OPERATOR}


@dataclass(frozen=True)
class Statements:
    """The service of statements; they are made anew from usage records, and come out the same every time."""

    clock: Clock
    accounts: Accounts
    usage: Usage

    def statement_lines(
        self, tx: Transaction, organisation_id: str, month: Month, *, advertiser_id: str | None = None
    ) -> Statement:
        """Return everything that an organisation's statement of a month needs.

        An advertiser sees what it pays, an agency what is paid through it while its mandate stands, a provider what it
        earns, the operator everything; the last two see what answers came to once the month is complete. Months and
        days are those of the room's billing zone, which prices go by.

        Args:
            tx: any transaction; mint usage first to have the newest statement.
            organisation_id: whose; raises UnknownOrganisationError.
            month: which.
            advertiser_id: only what concerns this one: an agency looks at one of its clients.
        """
        kind = self.accounts.organisation(tx, organisation_id).kind
        side, agency_id = _SIDES.get(kind, Side.BUYER), None
        if kind is OrganisationKind.AGENCY:
            agency_id = organisation_id
        entitlements = self._entitlements(tx, organisation_id, side, month, advertiser_id)
        by_entitlement: dict[str, list[UsageRecord]] = defaultdict(list)
        sums: dict[tuple[str, Month], UsageSums] = {}
        # Entitlements under which the advertiser asked without the agency.
        shared: set[str] = set()
        if side is Side.BUYER:
            ids = [one.id for one in entitlements]
            for record in self.usage.records(tx, ids, month, agency_id=agency_id):
                by_entitlement[record.entitlement_id].append(record)
            if agency_id is not None:
                every = Counter(record.entitlement_id for record in self.usage.records(tx, ids, month))
                shared = {one for one in ids if every[one] != len(by_entitlement[one])}
        else:
            provider_id = organisation_id if side is Side.PROVIDER else None
            sums = self.usage.sums(tx, month, month, provider_id=provider_id)
        over = month < first_open(self.clock.now(), self.usage.zone)
        complete = over and not self.usage.behind(tx)
        lines: list[StatementLine] = []
        for entitlement in entitlements:
            if side is Side.BUYER:
                own = self._buyers_lines(tx, entitlement, by_entitlement[entitlement.id], month)
            else:
                used = sums.get((entitlement.id, month), UsageSums())
                own = self._sellers_lines(tx, entitlement, used, month, side)
            lines += [
                line
                for line in own
                # Read after every question, a provider's growing sum would tell the count of each.
                if complete or side is Side.BUYER or line.position is Position.FLAT
                # What lacks to a minimum tells what all answers came to, also those that are no longer its books.
                if agency_id is None
                or line.position is not Position.MINIMUM
                or (entitlement.id not in shared and self._stands(tx, line, month))
            ]
        return Statement(
            organisation_id=organisation_id,
            side=side,
            month=month,
            lines=tuple(lines),
            totals=totals_by_currency(lines),
            complete=complete,
        )

    def months(
        self, tx: Transaction, organisation_id: str, *, advertiser_id: str | None = None
    ) -> tuple[Month, ...]:
        """Return the months that an organisation has statements of: from its first entitlement to now.

        Args:
            tx: any transaction.
            organisation_id, advertiser_id: as for `statement_lines`.
        """
        side = _SIDES.get(self.accounts.organisation(tx, organisation_id).kind, Side.BUYER)
        rows = _concerning(select(func.min(EntitlementRow.valid_from)), organisation_id, side, advertiser_id)
        first = tx.session.scalar(rows)
        if first is None:
            return ()
        found, now = [Month.of(first, self.usage.zone)], Month.of(self.clock.now(), self.usage.zone)
        while found[-1] < now:
            found.append(found[-1].following)
        return tuple(found)

    def _stands(self, tx: Transaction, line: StatementLine, month: Month) -> bool:
        """Tell whether the agency's mandate stood until the end of a month, or stands now."""
        at = min(self.clock.now(), month.ends_at(self.usage.zone) - timedelta(microseconds=1))
        return self.accounts.mandate_in_force(
            tx, agency_id=str(line.agency_id), advertiser_id=line.advertiser_id, at=at
        )

    def _entitlements(
        self, tx: Transaction, organisation_id: str, side: Side, month: Month, advertiser_id: str | None
    ) -> list[Entitlement]:
        start, end = month.starts_at(self.usage.zone), month.ends_at(self.usage.zone)
        rows = select(EntitlementRow).where(
            EntitlementRow.valid_from < end,
            # A question that was under way when its entitlement ended may be answered, and charged, later.
            or_(EntitlementRow.ended_at.is_(None), EntitlementRow.ended_at >= start, _used(str(month))),
        )
        rows = _concerning(rows, organisation_id, side, advertiser_id)
        return [entitlement_of(tx, row) for row in tx.session.scalars(rows.order_by(EntitlementRow.id))]

    def _buyers_lines(
        self, tx: Transaction, entitlement: Entitlement, records: Sequence[UsageRecord], month: Month
    ) -> Iterable[StatementLine]:
        groups: dict[tuple[date, Position], list[UsageRecord]] = defaultdict(list)
        for record in records:
            answered = record.outcome is Answered.RELEASED
            day = record.at.astimezone(self.usage.zone).date()
            groups[day, Position.QUESTIONS if answered else Position.NO_CHARGE].append(record)
        line = partial(_line, entitlement, _title(tx, entitlement), Side.BUYER)
        for (day, position), group in sorted(groups.items()):
            currency = entitlement.plan.currency
            yield line(
                position,
                total([record.amount for record in group], currency),
                total([record.fee for record in group], currency),
                day=day,
                questions=len(group),
                people=sum(record.people for record in group),
                rho_micro=sum(record.rho_micro for record in group),
            )
        for part, amount in month_charges(entitlement, records, month, self.usage.zone):
            yield line(Position(part.value), amount, amount.share(entitlement.fee_bp))

    def _sellers_lines(
        self, tx: Transaction, entitlement: Entitlement, sums: UsageSums, month: Month, side: Side
    ) -> Iterable[StatementLine]:
        line = partial(_line, entitlement, _title(tx, entitlement), side)
        if sums.questions:
            currency = entitlement.plan.currency
            amount, fee = Money(sums.amount_minor, currency), Money(sums.fee_minor, currency)
            yield line(Position.QUESTIONS, amount, fee, questions=sums.questions)
        so_far = MonthSoFar(sums.questions, sums.amount_minor)
        for part, amount in rest_of_month(entitlement, so_far, month, self.usage.zone):
            yield line(Position(part.value), amount, amount.share(entitlement.fee_bp))


def month_charges(
    entitlement: Entitlement, records: Sequence[UsageRecord], month: Month, zone: ZoneInfo
) -> list[tuple[Part, Money]]:
    """Return what an entitlement's month costs besides its answers, by part."""
    answered = [record for record in records if record.outcome is Answered.RELEASED]
    so_far = MonthSoFar(len(answered), sum(record.amount.minor for record in answered))
    return rest_of_month(entitlement, so_far, month, zone)


def rest_of_month(
    entitlement: Entitlement, so_far: MonthSoFar, month: Month, zone: ZoneInfo
) -> list[tuple[Part, Money]]:
    """Return what an entitlement's month costs besides its answers, by part, from what these came to.

    A minimum is met by questions and counts together, so in `so_far` they need not be told apart.
    """
    days = month.days_within(entitlement.valid_from, entitlement.ends_at, zone)
    charge = monthly(entitlement.plan, so_far, days=days, of=month.days)
    return [(line.part, line.amount) for line in charge.lines]


def _title(tx: Transaction, entitlement: Entitlement) -> Words:
    return content_of(tx, entitlement.listing_version_id).title


def _concerning(
    rows: Select[_Row], organisation_id: str, side: Side, advertiser_id: str | None
) -> Select[_Row]:
    if advertiser_id is not None:
        rows = rows.where(EntitlementRow.advertiser_id == advertiser_id)
    if side is Side.PROVIDER:
        return rows.where(EntitlementRow.provider_id == organisation_id)
    if side is Side.BUYER:
        return rows.where(
            or_(EntitlementRow.advertiser_id == organisation_id, EntitlementRow.agency_id == organisation_id)
        )
    return rows


def _used(month: str) -> ColumnElement[bool]:
    used = select(UsageRow.id).where(UsageRow.entitlement_id == EntitlementRow.id, UsageRow.month == month)
    return used.exists()


def _line(
    entitlement: Entitlement,
    title: Words,
    side: Side,
    position: Position,
    amount: Money,
    fee: Money,
    *,
    day: date | None = None,
    questions: int = 0,
    people: int = 0,
    rho_micro: int = 0,
) -> StatementLine:
    buyer = side is Side.BUYER
    return StatementLine(
        entitlement_id=entitlement.id,
        title=title,
        provider_id=entitlement.provider_id,
        advertiser_id=entitlement.advertiser_id,
        agency_id=entitlement.agency_id,
        position=position,
        day=day,
        questions=questions,
        people=people,
        rho_micro=rho_micro,
        amount=amount,
        fee=None if buyer else fee,
        share=None if buyer else amount - fee,
        vat_bp=entitlement.plan.vat_bp,
    )


def totals_by_currency(lines: Sequence[StatementLine]) -> tuple[Totals, ...]:
    """Return the totals of every currency in some lines, by its code; tax is rounded once per rate."""
    found = []
    for currency in sorted({line.amount.currency for line in lines}):
        own = [line for line in lines if line.amount.currency == currency]
        vat = []
        for rate in sorted({line.vat_bp for line in own}):
            net = total([line.amount for line in own if line.vat_bp == rate], currency)
            vat.append(VatTotal(rate, net, net.share(rate)))
        net = total([one.net for one in vat], currency)
        fees = [line.fee for line in own if line.fee is not None]
        split = len(fees) == len(own)
        fee = total(fees, currency)
        found.append(
            Totals(
                net=net,
                vat=tuple(vat),
                gross=net + total([one.vat for one in vat], currency),
                fee=fee if split else None,
                share=net - fee if split else None,
            )
        )
    return tuple(found)
