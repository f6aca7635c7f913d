"""Whether a listing can be offered: it promises nothing that the dataset's analysis rule would refuse."""

from collections.abc import Mapping

from cleanroom.marketplace.content import ListingContent
from cleanroom.marketplace.errors import ListingFormError
from policies.attributes import AttributeInfo
from policies.canonical import canonical_condition
from policies.canonical_question import canonical_question
from policies.combine import combine
from policies.condition import attributes_of
from policies.errors import QuestionError
from policies.model import PolicyDocument
from policies.question import Question
from policies.rules import Analyses, Attributes, Purposes, Sectors
from policies.sectors import SECTORS


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
    rules = combine([document])
    purposes, kinds, rule = rules.get(Purposes), rules.get(Analyses), rules.get(Attributes)
    terms = content.terms
    _within("purposes", terms.purposes, purposes.allowed if isinstance(purposes, Purposes) else frozenset())
    _within("kinds", terms.kinds, kinds.allowed if isinstance(kinds, Analyses) else frozenset())
    readable = readable_attributes(rule, attributes) if isinstance(rule, Attributes) else frozenset()
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


def _within(name: str, asked: frozenset[str], allowed: frozenset[str]) -> None:
    beyond = sorted(asked - allowed)
    if beyond:
        raise ListingFormError(
            f"The listing cannot offer these {name}: {', '.join(beyond)[:200]}.",
            remedy=f"Allowed: {', '.join(sorted(allowed))[:400] or 'none'}.",
        )
