"""Several documents as one: the strictest of each rule wins."""

from collections.abc import Sequence
from dataclasses import replace

from policies.decision import Limits
from policies.model import PolicyDocument
from policies.rules import (
    Analyses,
    Attributes,
    BaseFloor,
    Budget,
    DifferenceAlarm,
    MinimumAudience,
    Purposes,
    Rounding,
    Rule,
)

REQUIRED: tuple[type[Rule], ...] = (Purposes, Analyses, Attributes, BaseFloor, MinimumAudience, Budget)
"""What every document must say; one that is silent about them decides nothing."""


def missing_rules(document: PolicyDocument) -> tuple[str, ...]:
    """Return the tags of required rules that a document lacks."""
    present = {type(rule) for rule in document.rules}
    return tuple(rule.tag for rule in REQUIRED if rule not in present)


def combine(documents: Sequence[PolicyDocument]) -> dict[type[Rule], Rule]:
    """Return one rule per tag that permits only what every document permits.

    Args:
        documents: of all datasets that meet in a question, each complete.
    """
    strictest: dict[type[Rule], Rule] = {}
    for rule in (rule for document in documents for rule in document.rules):
        known = strictest.get(type(rule))
        strictest[type(rule)] = rule if known is None else known.meet(rule)
    return strictest


def with_budgets(rules: dict[type[Rule], Rule], beside: Sequence[PolicyDocument]) -> dict[type[Rule], Rule]:
    """Narrow the budget to that of further documents, whose other rules do not matter here.

    Datasets about the same people share their accounts, so the strictest of their budgets holds for all.
    """
    budgets = combine([replace(document, rules=_budgets(document)) for document in beside])
    met = budgets.get(Budget)
    return rules if met is None else {**rules, Budget: rules[Budget].meet(met)}


def _budgets(document: PolicyDocument) -> tuple[Rule, ...]:
    return tuple(rule for rule in document.rules if isinstance(rule, Budget))


def limits_of(rules: dict[type[Rule], Rule]) -> Limits:
    """Return the numbers of combined rules; every required rule must be among them."""
    budget, audience, floor = rules[Budget], rules[MinimumAudience], rules[BaseFloor]
    rounding = rules.get(Rounding, Rounding(1))
    alarm = rules.get(DifferenceAlarm)
    assert isinstance(budget, Budget)
    assert isinstance(audience, MinimumAudience)
    assert isinstance(floor, BaseFloor)
    assert isinstance(rounding, Rounding)
    return Limits(
        minimum_audience=audience.min,
        base_floor=floor.min,
        round_to=rounding.to,
        cap_rho_micro=budget.cap_rho_micro,
        agency_rho_micro=budget.agency_rho_micro,
        total_rho_micro=budget.total_rho_micro,
        cap_delta_pico=budget.cap_delta_pico,
        agency_delta_pico=budget.agency_delta_pico,
        total_delta_pico=budget.total_delta_pico,
        window_days=budget.window_days,
        public_percent=budget.public_percent,
        question_max_rho_micro=budget.cap_rho_micro * budget.question_max_percent // 100,
        size_percent=budget.size_percent,
        output_minimums=audience.outputs,
        alarm_days=alarm.days if isinstance(alarm, DifferenceAlarm) else None,
    )
