"""What an organisation's months came to, all at once: the totals of its statements, in a few statements of SQL."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction
from cleanroom.marketplace.entitlements import entitlement_of
from cleanroom.marketplace.models import EntitlementRow, ListingVersionRow
from cleanroom.marketplace.months import Month, first_open
from cleanroom.marketplace.pricing import MonthSoFar
from cleanroom.marketplace.statements import Statements, rest_of_month
from cleanroom.marketplace.types import Entitlement
from cleanroom.marketplace.usage import UsageSums
from cleanroom.marketplace.views import read_content
from cleanroom.money import Money


@dataclass(frozen=True)
class Earned:
    """One month in one currency; the same sums as in its statement.

    Attributes:
        month: which.
        questions: that were answered and charged.
        net: what buyers pay without tax.
        vat: the tax on it, rounded once per rate.
        fee: the operator's share of the net.
    """

    month: Month
    questions: int
    net: Money
    vat: Money
    fee: Money

    @property
    def share(self) -> Money:
        """The provider's share of the net."""
        return self.net - self.fee

    @property
    def gross(self) -> Money:
        """What buyers pay."""
        return self.net + self.vat


@dataclass(frozen=True)
class MonthsEarned:
    """The months of an organisation.

    Attributes:
        months: that there are statements of, the newest first, the one that is under way included.
        earned: what the complete ones came to, the newest first, by currency.
        complete: the months that are over and fully accounted for. Before that, a provider's sum that grows after
            every question would tell the count of each, so there is none.
    """

    months: tuple[Month, ...]
    earned: tuple[Earned, ...]
    complete: frozenset[Month]


def months_earned(
    tx: Transaction, statements: Statements, organisation_id: str, *, newest: int | None = None
) -> MonthsEarned:
    """Return what the months of a provider, or of the whole room for its operator, came to.

    Args:
        tx: any transaction; make usage records first to have the newest.
        statements: the service, whose sums these are.
        organisation_id: a provider or the operator; raises UnknownOrganisationError.
        newest: how many months at most, the newest ones; None for all.
    """
    usage = statements.usage
    months = statements.months(tx, organisation_id)[::-1][: newest or None]
    now = first_open(statements.clock.now(), usage.zone)
    over = [month for month in months if month < now]
    if not over or usage.behind(tx):
        return MonthsEarned(months, (), frozenset())
    kind = statements.accounts.organisation(tx, organisation_id).kind
    mine = None if kind is OrganisationKind.OPERATOR else organisation_id
    entitlements = _entitlements(tx, mine)
    sums = usage.sums(tx, over[-1], over[0], provider_id=mine)
    earned: list[Earned] = []
    for month in over:
        earned += _month(statements, month, entitlements, sums)
    return MonthsEarned(months, tuple(earned), frozenset(over))


def _month(
    statements: Statements,
    month: Month,
    entitlements: Iterable[Entitlement],
    sums: dict[tuple[str, Month], UsageSums],
) -> list[Earned]:
    zone = statements.usage.zone
    nets: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    questions: dict[str, int] = defaultdict(int)
    fees: dict[str, int] = defaultdict(int)
    for one in entitlements:
        used = sums.get((one.id, month), UsageSums())
        rest = [
            amount
            for _, amount in rest_of_month(one, MonthSoFar(used.questions, used.amount_minor), month, zone)
        ]
        if not (used.questions or rest):
            continue
        currency = one.plan.currency
        questions[currency] += used.questions
        nets[currency][one.plan.vat_bp] += used.amount_minor + sum(amount.minor for amount in rest)
        fees[currency] += used.fee_minor + sum(amount.share(one.fee_bp).minor for amount in rest)
    return [
        Earned(
            month,
            questions[currency],
            Money(sum(by_rate.values()), currency),
            sum((Money(net, currency).share(rate) for rate, net in by_rate.items()), Money(0, currency)),
            Money(fees[currency], currency),
        )
        for currency, by_rate in sorted(nets.items())
    ]


def _entitlements(tx: Transaction, provider_id: str | None) -> list[Entitlement]:
    # One that ended before may have been charged later, for a question that was under way: all are read.
    rows = select(EntitlementRow)
    if provider_id is not None:
        rows = rows.where(EntitlementRow.provider_id == provider_id)
    found = list(tx.session.scalars(rows))
    wordings = {row.listing_version_id for row in found}
    for version in tx.session.scalars(select(ListingVersionRow).where(ListingVersionRow.id.in_(wordings))):
        # Remembered, so that no entitlement reads its wording on its own.
        read_content(version)
    return [entitlement_of(tx, row) for row in found]
