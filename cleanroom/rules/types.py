"""Policy versions as values."""

from dataclasses import dataclass
from datetime import datetime

from policies.model import PolicyDocument


@dataclass(frozen=True)
class PolicyVersion:
    """One version of the analysis rule of a dataset; never changed, only followed by another.

    Attributes:
        id: `pol_...`.
        dataset_id: whose rule it is.
        number: 1 for the first.
        document: the rules.
        sha256: hex digest of the document's canonical JSON.
        created_at: from when it is in force.
    """

    id: str
    dataset_id: str
    number: int
    document: PolicyDocument
    sha256: str
    created_at: datetime
