"""Changes of consents as they come in, and what is answered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from cleanroom.consent.changes import ChangeState
from cleanroom.consent.terms import Terms

ALL_PURPOSES = "*"


@dataclass(frozen=True)
class Change:
    """What becomes of some people's consents, named by one identifier each.

    Attributes:
        key: the match key and hash profile, such as `email/room`; `person_id/sha256` names by person_id.
        digests: n x 32 bytes.
        state: of the consents from now on.
        purpose: one of the schema's purposes; or `*` for all, unless it is a grant.
        at: when it happened, of a grant when it was collected; now, when not given, and never later than now.
        until: the last day on which a grant holds; without an end, when not given.
        terms: of each record: none, one for all, or one for each digest.
    """

    key: str
    digests: bytes
    state: ChangeState
    purpose: str = ALL_PURPOSES
    at: datetime | None = None
    until: date | None = None
    terms: Sequence[Terms] = field(default=())


@dataclass(frozen=True)
class Withdrawal:
    """People who take their consent back, named by one identifier each.

    Attributes:
        key: the match key and hash profile, such as `email/room`.
        digests: n x 32 bytes.
        purpose: one of the schema's purposes, or `*` for all.
    """

    key: str
    digests: bytes
    purpose: str = ALL_PURPOSES


@dataclass(frozen=True)
class ChangeOutcome:
    """The answer to a batch; it never tells who was found.

    Attributes:
        applied: keys in which the dataset can find people.
        not_applied: keys that the dataset lacks; those people have to be named in another one.
        submitted: identifiers taken.
        epoch: the dataset's consent epoch now.
    """

    applied: tuple[str, ...]
    not_applied: tuple[str, ...]
    submitted: int
    epoch: int
