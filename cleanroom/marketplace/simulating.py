"""What a tariff would bring: a supposed buyer, priced by the very functions that price a real one."""

from collections.abc import Mapping
from dataclasses import dataclass

from cleanroom.marketplace.errors import PageError
from cleanroom.marketplace.plans import PricePlan
from cleanroom.marketplace.pricing import Answered, AnswerFacts, MonthSoFar, Part, monthly, price
from cleanroom.money import Money

MOST_QUESTIONS, MOST_PEOPLE, MOST_MONTHS, MOST_SEGMENTS = 10_000, 1_000_000_000, 36, 100
_WHOLE = 30


@dataclass(frozen=True)
class Supposed:
    """A buyer that is thought of.

    Attributes:
        questions: a month, each answered in full; 0 to 10,000.
        people: that every counted figure comes out at; 0 to a thousand million.
        months: whole calendar months; 1 to 36.
        segments: that each question names; 0 to 100.
    """

    questions: int
    people: int
    months: int
    segments: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("questions", 0, MOST_QUESTIONS),
            ("people", 0, MOST_PEOPLE),
            ("months", 1, MOST_MONTHS),
            ("segments", 0, MOST_SEGMENTS),
        ):
            if not least <= getattr(self, name) <= most:
                raise PageError(
                    f"A simulation takes from {least} to {most} {name}.", remedy="Name a number in between."
                )


@dataclass(frozen=True)
class Simulation:
    """What is paid, and who gets it; every month costs the same, as free questions and caps begin anew.

    Attributes:
        plan: the tariff.
        supposed: the buyer.
        parts: of one month's amount, by part of the plan; they add up to `month_net`.
        month_net: what one month costs without tax.
        month_fee: the operator's share of it, rounded per answer and per part, as in statements.
        month_vat: the tax on it.
    """

    plan: PricePlan
    supposed: Supposed
    parts: Mapping[Part, Money]
    month_net: Money
    month_fee: Money
    month_vat: Money

    @property
    def month_share(self) -> Money:
        """What the provider gets of one month, without tax."""
        return self.month_net - self.month_fee

    @property
    def month_gross(self) -> Money:
        """What the buyer pays for one month, with tax."""
        return self.month_net + self.month_vat

    @property
    def months(self) -> tuple[tuple[int, Money, Money], ...]:
        """The sums so far: number of the month, what was paid without tax, what the provider got of it."""
        return tuple(
            (count, self.month_net * count, self.month_share * count)
            for count in range(1, self.supposed.months + 1)
        )


def simulate(plan: PricePlan, supposed: Supposed, *, fee_bp: int) -> Simulation:
    """Price a supposed buyer's months.

    Args:
        plan: the tariff.
        supposed: the buyer; its figures are never looked up anywhere.
        fee_bp: the operator's share of every amount, in basis points.

    Raises:
        MoneyError: never for a valid plan; amounts are exact.
    """
    facts = AnswerFacts(
        Answered.RELEASED, supposed.people, (supposed.people,) * supposed.segments, supposed.people, 0
    )
    so_far, fee = MonthSoFar(), Money(0, plan.currency)
    parts = dict.fromkeys(Part, Money(0, plan.currency))
    for _ in range(supposed.questions):
        charge = price(plan, so_far, facts)
        so_far = so_far.after(facts, charge)
        fee = fee + charge.total.share(fee_bp)
        for line in charge.lines:
            parts[line.part] = parts[line.part] + line.amount
    for line in monthly(plan, so_far, days=_WHOLE, of=_WHOLE).lines:
        fee = fee + line.amount.share(fee_bp)
        parts[line.part] = parts[line.part] + line.amount
    net = sum(parts.values(), Money(0, plan.currency))
    return Simulation(plan, supposed, parts, net, fee, net.share(plan.vat_bp))
