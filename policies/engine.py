"""The decision: documents and a request in; a permit, a denial that teaches, or a gap out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from policies.combine import combine, limits_of, missing_rules, with_budgets
from policies.decision import Decision, Deny, Gap, Limits, Permit, Reason
from policies.granted import Cost, GrantPurpose, GrantTerm, KillSwitch
from policies.model import PolicyDocument
from policies.question import question_to_dict
from policies.request import Check, Request
from policies.rules import Buyers, Direct, Purposes, Rule, Sectors, Validity
from policies.unknown_keys import UnknownKeys

_ROUNDS = 8


def decide(documents: Sequence[PolicyDocument], request: Request) -> Decision:
    """Decide on a question; pure, and blind to the provider's rows.

    Args:
        documents: the current policy of every dataset that meets in the question; the strictest of each
            rule wins.
        request: the question and the facts around it.

    Returns:
        A permit with the combined limits and the price; a denial with every broken rule, each with the
        nearest question that is truly permitted; or a gap when a document, or a required rule in one, is
        missing.

    Raises:
        QuestionError: the question cannot be understood at all.
    """
    missing = _missing(documents)
    if missing:
        return Gap(missing)
    rules = combine(documents)
    limits = limits_of(rules)
    cost, unknown = Cost(limits), UnknownKeys(limits)
    checks: tuple[Check, ...] = (KillSwitch(), *rules.values(), GrantTerm(), GrantPurpose(), cost, unknown)
    canonical = request.canonical
    reasons = _reasons(checks, request)
    if not reasons:
        cells, rho_micro = cost.price(request)
        return Permit(
            limits=limits,
            question=canonical,
            l0=cells,
            rho_micro=rho_micro,
            delta_pico=unknown.price(request),
        )
    nearest = _nearest(checks, request)
    return Deny(tuple(replace(reason, nearest=nearest) for reason in reasons))


def grant_limits(
    documents: Sequence[PolicyDocument],
    *,
    purposes: Sequence[str],
    advertiser_id: str,
    agency_id: str | None,
    at: datetime,
    sector: str | None = None,
    beside: Sequence[PolicyDocument] = (),
) -> Limits | Deny | Gap:
    """Tell whether a grant may be given to these parties for these purposes, and within which limits.

    Args:
        documents: the current policies, as for a question.
        purposes: at least one; every one must be allowed.
        advertiser_id: who gets the grant.
        agency_id: through whom, if anyone.
        at: the instant of granting.
        sector: the advertiser's; None when it has not declared one.
        beside: the policies of other datasets about the same people; their budgets hold too.
    """
    missing = _missing(documents)
    if missing or not purposes:
        return Gap(missing or ("purposes",))
    rules = combine(documents)
    reasons = _purpose_reasons(rules, purposes)
    buyers = rules.get(Buyers)
    if isinstance(buyers, Buyers):
        reasons.extend(filter(None, [buyers.refuse(advertiser_id, agency_id)]))
    sectors = rules.get(Sectors)
    if isinstance(sectors, Sectors):
        reasons.extend(filter(None, [sectors.refuse(sector)]))
    direct = rules.get(Direct)
    if isinstance(direct, Direct):
        reasons.extend(filter(None, [direct.refuse(agency_id)]))
    reasons.extend(_date_reasons(rules, at))
    return Deny(tuple(reasons)) if reasons else limits_of(with_budgets(rules, beside))


def public_limits(
    documents: Sequence[PolicyDocument],
    *,
    purpose: str,
    at: datetime,
    beside: Sequence[PolicyDocument] = (),
) -> Limits | Deny | Gap:
    """Tell whether figures may be released to everyone for a purpose, and within which limits.

    Args:
        documents: the current policies, as for a question.
        purpose: whose consents are counted; it must be allowed.
        at: the instant of the release.
        beside: the policies of other datasets about the same people; their budgets hold too.
    """
    missing = _missing(documents)
    if missing:
        return Gap(missing)
    rules = combine(documents)
    reasons = [*_purpose_reasons(rules, [purpose]), *_date_reasons(rules, at)]
    return Deny(tuple(reasons)) if reasons else limits_of(with_budgets(rules, beside))


def _purpose_reasons(rules: Mapping[type[Rule], Rule], purposes: Sequence[str]) -> list[Reason]:
    allowed = rules[Purposes]
    assert isinstance(allowed, Purposes)
    refused = tuple(sorted(set(purposes) - allowed.allowed))
    if not refused:
        return []
    listed = tuple(sorted(allowed.allowed))
    message = f"The owner allows these purposes: {', '.join(listed) or 'none'}."
    return [Reason(Purposes.tag, message, listed, refused)]


def _date_reasons(rules: Mapping[type[Rule], Rule], at: datetime) -> list[Reason]:
    validity = rules.get(Validity)
    reason = validity.refuse(at) if isinstance(validity, Validity) else None
    return [] if reason is None else [reason]


def _missing(documents: Sequence[PolicyDocument]) -> tuple[str, ...]:
    if not documents:
        return ("policy",)
    return tuple(sorted({tag for document in documents for tag in missing_rules(document)}))


def _reasons(checks: Sequence[Check], request: Request) -> list[Reason]:
    return [reason for check in checks if (reason := check.check(request)) is not None]


def _nearest(checks: Sequence[Check], request: Request) -> dict[str, Any] | None:
    """Repair what each check forbids until nothing is forbidden; None when something cannot be repaired."""
    nearer = request
    for _ in range(_ROUNDS):
        broken = [check for check in checks if check.check(nearer) is not None]
        if not broken:
            return _differences(request, nearer)
        for check in broken:
            repaired = check.repair(nearer)
            if repaired is None:
                return None
            nearer = repaired
    return None


def _differences(asked: Request, nearest: Request) -> dict[str, Any]:
    data: dict[str, Any] = {"question": question_to_dict(nearest.question)}
    if nearest.base_persons != asked.base_persons:
        data["base_persons"] = nearest.base_persons
    if nearest.at != asked.at:
        data["not_before"] = nearest.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return data
