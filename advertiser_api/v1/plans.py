"""Price plans as requests and answers write them: parts that add up, each of a kind of its own."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, model_validator

from advertiser_api.schemas import Given, Id
from advertiser_api.v1.money import Currency, Price
from cleanroom.marketplace.plans import Counted, PricePlan
from cleanroom.money import BASIS_POINTS


class CpmPart(Given):
    """For every thousand people of the counted figure."""

    type: Literal["cpm"]
    price: Price
    counted: Counted = Counted.OVERLAP


class QuestionPart(Given):
    """For every answered question after the free ones of a calendar month."""

    type: Literal["question"]
    price: Price
    free: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    cap: Annotated[Price | None, Field(description="the most that it comes to in a calendar month")] = None


class FlatPart(Given):
    """For a calendar month, by days begun."""

    type: Literal["flat"]
    price: Price


class MinimumPart(Given):
    """The least that all parts come to in a calendar month, by days begun."""

    type: Literal["minimum"]
    price: Price


PlanPart = Annotated[CpmPart | QuestionPart | FlatPart | MinimumPart, Field(discriminator="type")]
_Part = TypeVar("_Part", CpmPart, QuestionPart, FlatPart, MinimumPart)
_RUB = {"currency": "RUB"}
_EXAMPLES = [
    {
        "key": "monthly",
        "currency": "RUB",
        "vat_bp": 2000,
        "parts": [
            {"type": "cpm", "price": {"minor": 150000, **_RUB}, "counted": "overlap"},
            {
                "type": "question",
                "price": {"minor": 5000, **_RUB},
                "free": 10,
                "cap": {"minor": 100000, **_RUB},
            },
            {"type": "flat", "price": {"minor": 1000000, **_RUB}},
            {"type": "minimum", "price": {"minor": 1500000, **_RUB}},
        ],
    },
    {"key": "trial", "currency": "RUB", "vat_bp": 0, "parts": []},
]


class Plan(Given):
    """A tariff; one without parts is free."""

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", examples=["monthly"])]
    currency: Currency
    vat_bp: Annotated[
        int, Field(ge=0, le=BASIS_POINTS, description="value-added tax on top, in basis points")
    ] = 0
    parts: Annotated[list[PlanPart], Field(max_length=4, description="at most one of each type")]
    offered_to: Annotated[
        list[Id],
        Field(
            max_length=200,
            description="whom a private offer names; its owner alone sees them",
            default_factory=list,
        ),
    ]

    @model_validator(mode="after")
    def _fits(self) -> "Plan":
        types = [part.type for part in self.parts]
        if len(set(types)) < len(types):
            raise ValueError("a plan has at most one part of each type")
        prices = [part.price for part in self.parts]
        prices += [part.cap for part in self.parts if isinstance(part, QuestionPart) and part.cap]
        if any(price.currency != self.currency for price in prices):
            raise ValueError("all prices of a plan are in its currency")
        return self


def plan_data(plan: Plan) -> dict[str, Any]:
    """Return a plan as the domain reads it."""
    data: dict[str, Any] = {
        "key": plan.key,
        "currency": plan.currency,
        "vat_bp": plan.vat_bp,
        "offered_to": list(plan.offered_to),
    }
    if cpm := _part(plan.parts, CpmPart):
        data |= {"cpm_minor": cpm.price.minor, "counted": cpm.counted.value}
    if question := _part(plan.parts, QuestionPart):
        data |= {"question_minor": question.price.minor, "free_questions": question.free}
        data["questions_cap_minor"] = question.cap.minor if question.cap else None
    if flat := _part(plan.parts, FlatPart):
        data["flat_minor"] = flat.price.minor
    if minimum := _part(plan.parts, MinimumPart):
        data["minimum_minor"] = minimum.price.minor
    return data


def plan_out(plan: PricePlan) -> Plan:
    """Return a plan as answers write it."""

    def price(minor: int) -> Price:
        return Price(minor=minor, currency=plan.currency)

    parts: list[CpmPart | QuestionPart | FlatPart | MinimumPart] = []
    if plan.cpm_minor:
        parts.append(CpmPart(type="cpm", price=price(plan.cpm_minor), counted=plan.counted))
    if plan.question_minor:
        cap = None if plan.questions_cap_minor is None else price(plan.questions_cap_minor)
        parts.append(
            QuestionPart(type="question", price=price(plan.question_minor), free=plan.free_questions, cap=cap)
        )
    if plan.flat_minor:
        parts.append(FlatPart(type="flat", price=price(plan.flat_minor)))
    if plan.minimum_minor:
        parts.append(MinimumPart(type="minimum", price=price(plan.minimum_minor)))
    return Plan(
        key=plan.key,
        currency=plan.currency,
        vat_bp=plan.vat_bp,
        parts=parts,
        offered_to=sorted(plan.offered_to),
    )


def _part(parts: Sequence[object], kind: type[_Part]) -> _Part | None:
    return next((part for part in parts if isinstance(part, kind)), None)
