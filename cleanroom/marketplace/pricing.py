"""What a plan charges: pure functions over released figures, exact to the minor unit, rounded half up.

Only what a receipt says enters a price, so that a bill can be made again from receipts alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cleanroom.client.receipts import RELEASED
from cleanroom.marketplace.plans import Counted, PricePlan
from cleanroom.money import Money, round_half_up, total

_THOUSAND = 1_000
_OVERLAP, _SEGMENT = "overlap", "segment:"


class Part(StrEnum):
    """Which part of a plan a charge comes from."""

    CPM = "cpm"
    QUESTION = "question"
    FLAT = "flat"
    MINIMUM = "minimum"


class Answered(StrEnum):
    """What became of a question, as far as money goes; only released answers cost any."""

    RELEASED = "released"
    SUPPRESSED = "suppressed"
    REFUSED = "refused"


@dataclass(frozen=True)
class AnswerFacts:
    """What a receipt says that a price depends on.

    Attributes:
        outcome: released; suppressed, when every figure was withheld; or refused.
        overlap: the released value, in people; None when there is none.
        segments: the released value of every segment asked for, None for each that was withheld.
        people_at_most: no figure is charged for more people than this.
        rho_micro: the privacy budget that it spent; suppressed answers spend it too.
    """

    outcome: Answered
    overlap: int | None
    segments: tuple[int | None, ...]
    people_at_most: int
    rho_micro: int


@dataclass(frozen=True)
class MonthSoFar:
    """What an entitlement has been charged in a calendar month.

    Attributes:
        questions: answered questions, free ones included.
        question_minor: what they came to by the price per question.
        cpm_minor: what they came to by counts.
    """

    questions: int = 0
    question_minor: int = 0
    cpm_minor: int = 0

    def after(self, facts: AnswerFacts, charge: "Charge") -> "MonthSoFar":
        """Return the month with one more answer in it."""
        if facts.outcome is not Answered.RELEASED:
            return self
        return MonthSoFar(
            self.questions + 1,
            self.question_minor + charge.minor(Part.QUESTION),
            self.cpm_minor + charge.minor(Part.CPM),
        )


@dataclass(frozen=True)
class ChargeLine:
    """One part of a charge.

    Attributes:
        part: of the plan.
        amount: what it comes to.
        people: whom it counts, for a price by counts; 0 for other parts.
    """

    part: Part
    amount: Money
    people: int = 0


@dataclass(frozen=True)
class Charge:
    """What is to be paid, by parts that add up to it."""

    currency: str
    lines: tuple[ChargeLine, ...] = ()

    @property
    def total(self) -> Money:
        """All parts together."""
        return total([line.amount for line in self.lines], self.currency)

    @property
    def people(self) -> int:
        """How many people were charged for."""
        return sum(line.people for line in self.lines)

    def minor(self, part: Part) -> int:
        """Return what one part comes to, in minor units."""
        return sum(line.amount.minor for line in self.lines if line.part is part)


def answer_facts(record: Mapping[str, Any]) -> AnswerFacts:
    """Read what a price depends on from the record that a receipt proves.

    Args:
        record: the log's record of a release or a refusal.
    """
    body = record["body"]
    budget = body["budget"]
    spent = budget["left_before_micro"] - budget["left_after_micro"]
    if record["kind"] != RELEASED:
        return AnswerFacts(Answered.REFUSED, None, (), 0, spent)
    values = {figure["name"]: figure["value"] for figure in body["figures"] if "scale" not in figure}
    # Beside an overlap that is withheld, figures of the dataset's own side can be worth all the more.
    withheld = all(value is None for value in values.values())
    return AnswerFacts(
        outcome=Answered.SUPPRESSED if withheld else Answered.RELEASED,
        overlap=values.get(_OVERLAP),
        segments=tuple(value for name, value in values.items() if name.startswith(_SEGMENT)),
        people_at_most=body["people_at_most"],
        rho_micro=spent,
    )


def price(plan: PricePlan, so_far: MonthSoFar, facts: AnswerFacts) -> Charge:
    """Return what one answer costs.

    Refused and suppressed answers cost nothing, a withheld figure counts nobody, and no figure counts more people than
    `people_at_most`.

    Args:
        plan: the entitlement's.
        so_far: the calendar month's earlier answers under the same entitlement.
        facts: of the answer.
    """
    if facts.outcome is not Answered.RELEASED:
        return Charge(plan.currency)
    lines = []
    if plan.cpm_minor:
        figures = facts.segments if plan.counted is Counted.SEGMENTS else ()
        counted = [value for value in (figures or (facts.overlap,)) if value is not None]
        people = sum(min(value, facts.people_at_most) for value in counted)
        lines.append(ChargeLine(Part.CPM, _cpm(plan, people), people))
    if plan.question_minor:
        free = so_far.questions < plan.free_questions
        left = plan.question_minor
        if plan.questions_cap_minor is not None:
            left = max(0, min(left, plan.questions_cap_minor - so_far.question_minor))
        lines.append(ChargeLine(Part.QUESTION, Money(0 if free else left, plan.currency)))
    return Charge(plan.currency, tuple(lines))


def monthly(plan: PricePlan, so_far: MonthSoFar, *, days: int, of: int) -> Charge:
    """Return what a calendar month costs besides its answers: the flat price, and what lacks to the minimum.

    Args:
        plan: the entitlement's.
        so_far: all answers of the month.
        days: of the month, on which the entitlement was in force.
        of: days of the month.
    """
    lines, flat = [], 0
    if plan.flat_minor and days:
        flat = round_half_up(plan.flat_minor * days, of)
        lines.append(ChargeLine(Part.FLAT, Money(flat, plan.currency)))
    least = round_half_up(plan.minimum_minor * days, of)
    lacking = least - flat - so_far.question_minor - so_far.cpm_minor
    if lacking > 0:
        lines.append(ChargeLine(Part.MINIMUM, Money(lacking, plan.currency)))
    return Charge(plan.currency, tuple(lines))


@dataclass(frozen=True)
class SizePrice:
    """What an answer costs when every counted figure comes out at a size, in people."""

    size: int
    amount: Money


@dataclass(frozen=True)
class Quote:
    """What a question will cost, before it is asked.

    Attributes:
        plan: the tariff.
        prices: at each size named, if nothing else is answered under the entitlement meanwhile.
        maximum: what this question never costs more than, whatever is asked meanwhile and whenever it is answered.
        people_at_most: the bound behind it: no figure is charged for more people.
        free_questions_left: of this month.
        standing: what a whole month costs besides, at least.
    """

    plan: PricePlan
    prices: tuple[SizePrice, ...]
    maximum: Money
    people_at_most: int
    free_questions_left: int
    standing: Money


def quote(
    plan: PricePlan, so_far: MonthSoFar, *, segments: int, people_at_most: int, sizes: Sequence[int] = ()
) -> Quote:
    """Tell what a question will cost; everything in it is public or the asker's own.

    Args:
        plan: the entitlement's.
        so_far: the month's answers.
        segments: how many segments the question names.
        people_at_most: what the receipt will say: see `cleanroom.analyses.receipt_facts.people_at_most`.
        sizes: released values, in people, to name the price at.
    """
    prices = []
    for size in sizes:
        facts = AnswerFacts(Answered.RELEASED, size, (size,) * segments, people_at_most, 0)
        prices.append(SizePrice(size, price(plan, so_far, facts).total))
    return Quote(
        plan=plan,
        prices=tuple(prices),
        maximum=maximum(plan, segments=segments, people_at_most=people_at_most),
        people_at_most=people_at_most,
        free_questions_left=max(0, plan.free_questions - so_far.questions),
        standing=standing(plan),
    )


def maximum(plan: PricePlan, *, segments: int, people_at_most: int) -> Money:
    """Return what a question never costs more than, whatever else is asked and whenever it is answered."""
    figures = max(1, segments) if plan.counted is Counted.SEGMENTS else 1
    question = plan.question_minor
    if plan.questions_cap_minor is not None:
        question = min(question, plan.questions_cap_minor)
    return _cpm(plan, figures * people_at_most) + Money(question, plan.currency)


def standing(plan: PricePlan) -> Money:
    """Return what a whole month costs at least, without any answer."""
    return Money(max(plan.flat_minor, plan.minimum_minor), plan.currency)


def _cpm(plan: PricePlan, people: int) -> Money:
    return Money(plan.cpm_minor, plan.currency).scaled(people, _THOUSAND)
