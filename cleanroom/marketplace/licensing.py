"""What a listing and a request together let a buyer do: the terms of its licence."""

from datetime import datetime

from cleanroom.marketplace.content import ListingContent
from cleanroom.marketplace.types import Ask
from policies.licence import LicenceTerms


def terms_of(
    content: ListingContent, ask: Ask, *, valid_from: datetime, expires_at: datetime
) -> LicenceTerms:
    """Return the terms that both sides agree on; they compile into rules that every question meets.

    Args:
        content: of the listing's version that was asked for.
        ask: within it.
        valid_from: first instant.
        expires_at: the instant the term ends at, exclusive.
    """
    offered = content.terms
    limits = [limit for limit in (offered.questions, ask.questions) if limit is not None]
    return LicenceTerms(
        purposes=ask.purposes,
        kinds=ask.kinds,
        attributes=content.attributes,
        segments=tuple(segment.condition for segment in content.segments) if offered.segments_only else None,
        sectors=offered.sectors or None,
        resale=offered.resale,
        questions=min(limits) if limits else None,
        valid_from=valid_from,
        expires_at=expires_at,
    )
