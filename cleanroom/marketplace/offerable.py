"""Whether a listing can be offered: it promises nothing that the dataset's analysis rule would refuse."""

from collections.abc import Mapping
from dataclasses import dataclass

from cleanroom.marketplace.content import ListingContent
from cleanroom.marketplace.errors import ListingFormError
from policies.attributes import AttributeInfo
from policies.canonical import canonical_condition
from policies.canonical_question import canonical_question
from policies.combine import combine
from policies.condition import attributes_of
from policies.errors import QuestionError
from policies.model import PolicyDocument
from policies.question import KINDS, Question
from policies.rules import Analyses, Attributes, Purposes, Sectors
from policies.sectors import SECTORS


@dataclass(frozen=True)
class Offerable:
    """What a listing of a dataset can offer under the rule in force.

    Attributes:
        dataset_id: which.
        dataset: its name.
        purposes: that its rule allows.
        kinds: of analysis, likewise, in their usual order.
        attributes: that its rule lets into questions, by name.
    """

    dataset_id: str
    dataset: str
    purposes: tuple[str, ...]
    kinds: tuple[str, ...]
    attributes: Mapping[str, AttributeInfo]


def offerable(
    dataset_id: str, dataset: str, document: PolicyDocument, attributes: Mapping[str, AttributeInfo]
) -> Offerable:
    """Return what can be offered; `check_offer` takes exactly what lies within it.

    Args:
        dataset_id: which.
        dataset: its name.
        document: the rule in force.
        attributes: the dataset's, by name.
    """
    purposes, kinds, readable = _allowed(document, attributes)
    return Offerable(
        dataset_id=dataset_id,
        dataset=dataset,
        purposes=tuple(sorted(purposes)),
        kinds=tuple(kind for kind in KINDS if kind in kinds),
        attributes={name: info for name, info in attributes.items() if name in readable},
    )


def check_offer(
    content: ListingContent, document: PolicyDocument, attributes: Mapping[str, AttributeInfo]
) -> None:
    """Refuse a content that offers more than the rule allows, or what the dataset does not declare.

    Args:
        content: of the listing.
        document: the rule in force.
        attributes: the dataset's, by name.

    Raises:
        ListingFormError: the first thing that cannot be offered.
    """
    purposes, kinds, readable = _allowed(document, attributes)
    terms = content.terms
    _within("purposes", terms.purposes, purposes)
    _within("kinds", terms.kinds, kinds)
    _within("attributes", content.attributes, readable)
    for segment in content.segments:
        _within("attributes", frozenset(attributes_of(segment.condition)), content.attributes)
        try:
            canonical_condition(segment.condition, attributes)
        except QuestionError as error:
            raise ListingFormError(
                f"The segment {segment.key} does not fit the dataset: {error.message}", remedy=error.remedy
            ) from None
    for template in content.templates:
        _within("purposes", frozenset({template.question.purpose}), terms.purposes)
        _within("kinds", frozenset({template.question.kind}), terms.kinds)
        _within("attributes", read_by(template.question), content.attributes)
        try:
            canonical_question(template.question, attributes)
        except QuestionError as error:
            raise ListingFormError(
                f"The template {template.key} does not fit the dataset: {error.message}", remedy=error.remedy
            ) from None


def readable_attributes(rule: Attributes, attributes: Mapping[str, AttributeInfo]) -> frozenset[str]:
    """Return the declared attributes that a rule lets into conditions, breakdowns or sums."""
    declared = frozenset(attributes)
    allowed: frozenset[str] = frozenset()
    for names in (rule.filter, rule.breakdown, rule.sum):
        allowed |= declared if names is None else names & declared
    return allowed - rule.blocked


def open_sectors(content: ListingContent, document: PolicyDocument) -> frozenset[str] | None:
    """Return which sectors of buyers the listing and the rule both take; None for every one."""
    rule = combine([document]).get(Sectors)
    own = Sectors(content.terms.sectors or None)
    met = own.meet(rule) if isinstance(rule, Sectors) else own
    if met.allowed is None and not met.blocked:
        return None
    return frozenset(SECTORS if met.allowed is None else met.allowed) - met.blocked


def read_by(question: Question) -> frozenset[str]:
    """Return the attributes that a question reads."""
    filtered = {name for segment in question.segments for name in attributes_of(segment.condition)}
    grouped = {name for group in question.breakdowns for name in group}
    return frozenset(filtered | grouped | set(question.sums))


def _allowed(
    document: PolicyDocument, attributes: Mapping[str, AttributeInfo]
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    rules, nothing = combine([document]), frozenset[str]()
    purposes, kinds, rule = rules.get(Purposes), rules.get(Analyses), rules.get(Attributes)
    return (
        purposes.allowed if isinstance(purposes, Purposes) else nothing,
        kinds.allowed if isinstance(kinds, Analyses) else nothing,
        readable_attributes(rule, attributes) if isinstance(rule, Attributes) else nothing,
    )


def _within(name: str, asked: frozenset[str], allowed: frozenset[str]) -> None:
    beyond = sorted(asked - allowed)
    if beyond:
        raise ListingFormError(
            f"The listing cannot offer these {name}: {', '.join(beyond)[:200]}.",
            remedy=f"Allowed: {', '.join(sorted(allowed))[:400] or 'none'}.",
        )
