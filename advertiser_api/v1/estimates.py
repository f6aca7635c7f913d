"""Estimates: what asking would bring and cost, for nothing; no data is looked at."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import Field

from advertiser_api.auth import acting
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Shown
from advertiser_api.v1.answers import MechanismOut, ReasonOut, SuggestionOut
from advertiser_api.v1.questions import AskedQuestion, asker_of, entitled
from cleanroom.access.scopes import ANALYSES_RUN
from cleanroom.access.types import Acting
from cleanroom.analyses.estimate_types import Chance, Estimate, FigureEstimate
from cleanroom.analyses.types import Outcome
from cleanroom.marketplace.plans import plan_to_data
from cleanroom.marketplace.quoting import CappedQuote
from cleanroom.money import Money

router = APIRouter(prefix="/v1/estimates", tags=["analyses"])
Size = Annotated[int, Field(ge=0, le=1_000_000_000)]
Running = Annotated[Acting, Depends(acting(ANALYSES_RUN))]


class AskedEstimate(AskedQuestion):
    """A question that is not asked yet, and sizes to tell chances and prices at."""

    sizes: Annotated[list[Size], Field(default_factory=list, max_length=100, description="people")]
    expected_sizes: Annotated[
        dict[str, Size],
        Field(default_factory=dict, max_length=1000, description="people expected, by a figure's name"),
    ]


class MoneyOut(Shown):
    """An amount in minor units of its currency."""

    minor: Annotated[int, Field(examples=[12000])]
    currency: Annotated[str, Field(examples=["RUB"])]

    @classmethod
    def of(cls, money: Money) -> Self:
        """Write an amount."""
        return cls(minor=money.minor, currency=money.currency)


class ChanceOut(Shown):
    """How likely a figure of a size is withheld."""

    size: int
    suppressed: float

    @classmethod
    def of(cls, chance: Chance) -> Self:
        """Write a chance."""
        return cls(size=chance.size, suppressed=chance.suppressed)


class FigureEstimateOut(Shown):
    """What is known of a figure before it is made."""

    name: str
    sigma: float
    half_width: int
    threshold: int
    chances: list[ChanceOut]
    expected: ChanceOut | None
    scale: int | None

    @classmethod
    def of(cls, figure: FigureEstimate) -> Self:
        """Write what is known of a figure."""
        return cls(
            name=figure.name,
            sigma=figure.sigma,
            half_width=figure.half_width,
            threshold=figure.threshold,
            chances=[ChanceOut.of(chance) for chance in figure.chances],
            expected=None if figure.expected is None else ChanceOut.of(figure.expected),
            scale=figure.scale,
        )


class SizePriceOut(Shown):
    """What the answer costs when every counted figure comes out at a size."""

    size: int
    amount: MoneyOut


class QuoteOut(Shown):
    """What the question will cost in money; it is never more than the maximum."""

    tariff: Annotated[dict[str, Any], Field(description="the price plan of the entitlement")]
    prices: list[SizePriceOut]
    maximum: MoneyOut
    people_at_most: Annotated[int, Field(description="no figure is charged for more people")]
    free_questions_left: int
    standing: Annotated[MoneyOut, Field(description="what a month costs besides, at least")]
    cap_left: Annotated[
        MoneyOut | None,
        Field(
            description="what further answers may cost this month under the mandate's cap; null without one"
        ),
    ]
    within_cap: bool

    @classmethod
    def of(cls, capped: CappedQuote) -> Self:
        """Write a quote."""
        quote = capped.quote
        return cls(
            tariff=plan_to_data(quote.plan),
            prices=[SizePriceOut(size=each.size, amount=MoneyOut.of(each.amount)) for each in quote.prices],
            maximum=MoneyOut.of(quote.maximum),
            people_at_most=quote.people_at_most,
            free_questions_left=quote.free_questions_left,
            standing=MoneyOut.of(quote.standing),
            cap_left=None if capped.cap_left is None else MoneyOut.of(capped.cap_left),
            within_cap=capped.within_cap,
        )


class EstimateOut(Shown):
    """What asking would bring now: the same decision, price and noise."""

    outcome: Literal["released", "stored", "refused"]
    figures: list[FigureEstimateOut]
    mechanism: MechanismOut | None
    reasons: list[ReasonOut]
    missing: list[str]
    charged_micro: int
    left_micro: int
    charged_delta_pico: int
    left_delta_pico: int
    epsilon: float | None
    delta: float
    advantage: float | None
    questions_left: int | None
    suggestions: list[SuggestionOut]
    quote: QuoteOut

    @classmethod
    def of(cls, estimate: Estimate, quote: CappedQuote) -> Self:
        """Write an estimate with its quote."""
        outcomes: dict[Outcome, Literal["released", "stored", "refused"]] = {
            Outcome.RELEASED: "released",
            Outcome.STORED: "stored",
            Outcome.REFUSED: "refused",
        }
        return cls(
            outcome=outcomes[estimate.outcome],
            figures=[FigureEstimateOut.of(figure) for figure in estimate.figures],
            mechanism=None if estimate.mechanism is None else MechanismOut.of(estimate.mechanism),
            reasons=[ReasonOut.of(reason) for reason in estimate.reasons],
            missing=list(estimate.missing),
            charged_micro=estimate.charged_micro,
            left_micro=estimate.left_micro,
            charged_delta_pico=estimate.charged_delta_pico,
            left_delta_pico=estimate.left_delta_pico,
            epsilon=estimate.epsilon,
            delta=estimate.delta,
            advantage=estimate.advantage,
            questions_left=estimate.questions_left,
            suggestions=[SuggestionOut.of(suggestion) for suggestion in estimate.suggestions],
            quote=QuoteOut.of(quote),
        )


@router.post("", summary="Estimate a question")
def estimate_question(room: OpenRoom, caller: Running, body: AskedEstimate) -> EstimateOut:
    """Take the decision that asking would take, and quote its price; nothing is asked, spent or recorded."""
    asker_id = asker_of(caller)
    # Usage that is due is recorded first, so that free questions are counted right.
    with room.db.transaction() as tx:
        entitlement = entitled(room, tx, caller, body.entitlement_id)
        question = body.question(entitlement.dataset_id)
        quote = room.marketplace.quoting.quote(
            tx, entitlement.id, question, organisation_id=asker_id, sizes=body.sizes
        )
    estimate = room.analyses.estimate(
        question,
        grant_id=entitlement.grant_id,
        asker_id=asker_id,
        sizes=body.sizes,
        expected=body.expected_sizes,
    )
    return EstimateOut.of(estimate, quote)
