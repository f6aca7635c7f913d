"""Price plans: what a buyer pays, in whole minor units of one currency."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from cleanroom.marketplace.errors import PlanFormError
from cleanroom.money import BASIS_POINTS, EXPONENTS

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
MOST_MINOR = 10**13
"""The largest amount of a plan, in minor units: a hundred thousand million roubles."""
MOST_CPM_MINOR = 10**9
"""The largest price for a thousand people: a thousand segments of a hundred million stay far below 2^63, where no
answer of the whole room could be booked any more."""
_MOST_QUESTIONS = 1_000_000
_MOST_PARTIES = 200


class Counted(StrEnum):
    """Which released figure a price per thousand people goes by."""

    OVERLAP = "overlap"
    SEGMENTS = "segments"


@dataclass(frozen=True)
class PricePlan:
    """One tariff of a listing; its parts add up.

    Attributes:
        key: names it within its listing: small letters, digits, `-` and `_`.
        currency: a code of ISO 4217.
        cpm_minor: for every thousand people of the counted figure; 0 for no such part.
        counted: `overlap`, or `segments`: every released segment that was asked for, or the overlap when none was.
        flat_minor: for a whole calendar month; parts of a month by days begun.
        question_minor: for every answered question after the free ones.
        free_questions: answered questions of a month that cost no `question_minor`.
        questions_cap_minor: the most that `question_minor` comes to in a month; None for no such cap.
        minimum_minor: the least that all parts come to in a whole calendar month; parts of a month by days begun.
        vat_bp: the rate of value-added tax on top of all of it, in basis points; 0 for none.
        offered_to: the organisations that a private offer names; empty for an offer to everyone.
    """

    key: str
    currency: str
    cpm_minor: int = 0
    counted: Counted = Counted.OVERLAP
    flat_minor: int = 0
    question_minor: int = 0
    free_questions: int = 0
    questions_cap_minor: int | None = None
    minimum_minor: int = 0
    vat_bp: int = 0
    offered_to: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not KEY.fullmatch(self.key):
            raise PlanFormError(
                "A plan's key has 1 to 40 small letters, digits, dashes and underscores.",
                remedy="Name it like `monthly`.",
            )
        if self.currency not in EXPONENTS:
            raise PlanFormError(
                "The plan's currency is not known.", remedy="Use a code of ISO 4217, such as RUB."
            )
        for name, most in _LIMITS.items():
            value = getattr(self, name)
            if value is None and name == "questions_cap_minor":
                continue
            if type(value) is not int or not 0 <= value <= most:
                raise PlanFormError(f"`{name}` of a plan is a whole number from 0 to {most}.")
        if (self.free_questions or self.questions_cap_minor is not None) and not self.question_minor:
            raise PlanFormError(
                "Free questions and a cap belong to a price per question, and there is none.",
                remedy="Give `question_minor`, or leave them out.",
            )
        if len(self.offered_to) > _MOST_PARTIES:
            raise PlanFormError(f"A private offer names at most {_MOST_PARTIES} organisations.")

    def open_to(self, *parties: str | None) -> bool:
        """Tell whether the plan is offered to everyone, or to one of these organisations."""
        return not self.offered_to or not self.offered_to.isdisjoint(parties)


_LIMITS = {
    "cpm_minor": MOST_CPM_MINOR,
    "flat_minor": MOST_MINOR,
    "question_minor": MOST_MINOR,
    "free_questions": _MOST_QUESTIONS,
    "questions_cap_minor": MOST_MINOR,
    "minimum_minor": MOST_MINOR,
    "vat_bp": BASIS_POINTS,
}
_NAMES = tuple(field.name for field in fields(PricePlan))


def plan_to_data(plan: PricePlan) -> dict[str, Any]:
    """Write a plan as plain data, fit for canonical JSON."""
    values = {name: getattr(plan, name) for name in _NAMES}
    return values | {"counted": plan.counted.value, "offered_to": sorted(plan.offered_to)}


def plan_from_data(data: object) -> PricePlan:
    """Read a plan from plain data: `key`, `currency` and the parts that it has.

    Raises:
        PlanFormError: an unknown key, or a value outside its range.
    """
    if not isinstance(data, Mapping) or not {"key", "currency"} <= set(data):
        raise PlanFormError("A plan is a mapping with at least `key` and `currency`.")
    unknown = sorted(str(name) for name in data if name not in _NAMES)
    if unknown:
        raise PlanFormError(
            f"Unknown key {unknown[0][:80]!r} in a plan.", remedy=f"Use: {', '.join(_NAMES)}."
        )
    counted, offered = data.get("counted", Counted.OVERLAP), data.get("offered_to", [])
    if counted not in set(Counted):
        raise PlanFormError("`counted` of a plan is not known.", remedy=f"Use one of: {', '.join(Counted)}.")
    if not isinstance(offered, list) or not all(isinstance(party, str) and party for party in offered):
        raise PlanFormError("`offered_to` of a plan is a list of organisations' ids.")
    if not isinstance(data["key"], str) or not isinstance(data["currency"], str):
        raise PlanFormError("`key` and `currency` of a plan are text.")
    return PricePlan(**{**data, "counted": Counted(counted), "offered_to": frozenset(offered)})
