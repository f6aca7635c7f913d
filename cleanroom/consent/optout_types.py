"""Opt-outs as they come in, and what is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crypto.limits import DIGEST_BYTES


class OptOutKind(StrEnum):
    """What people want."""

    WITHDRAWAL = "withdrawal"
    SUPPRESSION = "suppression"
    RESTRICTION = "restriction"


class OptOutAction(StrEnum):
    """Whether people go on a list or leave it."""

    ADD = "add"
    LIFT = "lift"


class OptOutReason(StrEnum):
    """Why, as far as the log may know it."""

    REQUEST = "request"
    OBJECTION = "objection"
    COMPLAINT = "complaint"
    AUTHORITY = "authority"
    CONTRACT = "contract"
    MISTAKE = "mistake"
    ENDED = "ended"


@dataclass(frozen=True)
class Named:
    """People named by one identifier each.

    Attributes:
        identifier: what kind it is, such as `email`.
        profile: how it was hashed, such as `uid2`.
        digests: n x 32 bytes.
    """

    identifier: str
    profile: str
    digests: bytes

    @property
    def name(self) -> str:
        """How answers call this kind of identifier: `email/uid2`."""
        return f"{self.identifier}/{self.profile}"

    @property
    def count(self) -> int:
        """How many people are named."""
        return len(self.digests) // DIGEST_BYTES


@dataclass(frozen=True)
class OptOut:
    """A batch that is to be taken.

    Attributes:
        kind: what people want.
        action: on a list, or off it.
        named: who.
        reason: why.
        reference: of the case in the owner's own books; empty when there is none.
        dataset_id: one dataset alone; None for all that the organisation has and will have.
        purpose: of a withdrawal; `*` for all.
    """

    kind: OptOutKind
    action: OptOutAction
    named: tuple[Named, ...]
    reason: OptOutReason
    reference: str = ""
    dataset_id: str | None = None
    purpose: str = "*"


@dataclass(frozen=True)
class DatasetOutcome:
    """What one dataset did with a batch; it never tells who was found.

    Attributes:
        epoch: the consent epoch that it began; None when the dataset has none of the keys.
        applied: names of keys in which the dataset can find people.
        not_applied: names of keys that it lacks: by these nobody is kept out of it.
    """

    epoch: int | None
    applied: tuple[str, ...]
    not_applied: tuple[str, ...]


@dataclass(frozen=True)
class OptOutOutcome:
    """The answer to a batch.

    Attributes:
        id: `oo_...`.
        kind: what people wanted.
        action: on a list, or off it.
        dataset_id: the dataset that it was for alone; None for all.
        reason: why.
        reference: of the case.
        submitted: identifiers taken.
        accepted_at: from then on no analysis counts them.
        datasets: by dataset, also those that came later.
    """

    id: str
    kind: OptOutKind
    action: OptOutAction
    dataset_id: str | None
    reason: OptOutReason
    reference: str
    submitted: int
    accepted_at: datetime
    datasets: Mapping[str, DatasetOutcome]
