"""The licence as policy: terms that both sides agreed on, compiled into rules that join the owner's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from policies.condition import Condition
from policies.model import PolicyDocument
from policies.rules import (
    Analyses,
    Attributes,
    Direct,
    Purposes,
    Quota,
    ReadyMade,
    Rule,
    Sectors,
    Validity,
)


@dataclass(frozen=True)
class LicenceTerms:
    """What a buyer may do with what it bought; everything that can be executed, and nothing else.

    Attributes:
        purposes: for which the data may be used.
        kinds: of analysis.
        attributes: that may be read; None for all that the owner's rule allows.
        segments: the only conditions that may be asked for; None when the whole dataset was bought.
        sectors: which the buyer must have declared one of; None for any.
        resale: whether figures may be passed on to an agency: False lets only the advertiser itself ask.
        questions: fresh questions in all; None for as many as the budget pays for.
        valid_from: first instant.
        expires_at: the instant it ends at, exclusive.
    """

    purposes: frozenset[str]
    kinds: frozenset[str]
    attributes: frozenset[str] | None
    segments: tuple[Condition, ...] | None
    sectors: frozenset[str] | None
    resale: bool
    questions: int | None
    valid_from: datetime
    expires_at: datetime


def licence_document(terms: LicenceTerms) -> PolicyDocument:
    """Compile terms into rules. Alone they decide nothing: a licence only narrows what an owner permits."""
    rules: list[Rule] = [
        Purposes(terms.purposes),
        Analyses(terms.kinds),
        Validity(terms.valid_from, terms.expires_at),
    ]
    if terms.attributes is not None:
        rules.append(Attributes(terms.attributes, terms.attributes, frozenset(), terms.attributes))
    if terms.segments is not None:
        rules.append(ReadyMade(frozenset(terms.segments)))
    if terms.sectors is not None:
        rules.append(Sectors(terms.sectors))
    if not terms.resale:
        rules.append(Direct())
    if terms.questions is not None:
        rules.append(Quota(terms.questions))
    return PolicyDocument("licence", tuple(rules))


def under_licence(document: PolicyDocument, licence: PolicyDocument | None) -> PolicyDocument:
    """Return the owner's document with the licence's rules joined to it: the strictest of each wins."""
    if licence is None:
        return document
    return PolicyDocument(document.name, (*document.rules, *licence.rules), document.v)


def all_under_licence(
    documents: Sequence[PolicyDocument], licence: PolicyDocument | None
) -> list[PolicyDocument]:
    """Return every owner's document under one licence."""
    return [under_licence(document, licence) for document in documents]
