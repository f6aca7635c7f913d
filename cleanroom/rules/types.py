"""Policy versions, verdicts and approvals as values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cleanroom.canonical import canonical_json
from policies.codec import policy_to_data
from policies.model import PolicyDocument
from policies.request import ApprovalState


def policy_sha256(document: PolicyDocument) -> str:
    """Return the hex digest that names a document's content: SHA-256 over its canonical JSON."""
    return hashlib.sha256(canonical_json(policy_to_data(document))).hexdigest()


@dataclass(frozen=True)
class RedTeamVerdict:
    """What the red team found of one document, as a value.

    Attributes:
        resists: no attack went further than the policy promises.
        grade: the report's overall grade.
        policy_sha256: which document was attacked, see `policy_sha256`.
        report_sha256: hex digest of the report.
    """

    resists: bool
    grade: str
    policy_sha256: str
    report_sha256: str


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
        preset: the strictest preset that permits no less; None when the document permits more than any.
        report_sha256: of the red team's report that it was published with; None without one.
        unsafe: the owner's reason for publishing it although it was not found to resist; None for any other.
    """

    id: str
    dataset_id: str
    number: int
    document: PolicyDocument
    sha256: str
    created_at: datetime
    preset: str | None
    report_sha256: str | None
    unsafe: str | None


@dataclass(frozen=True)
class Approval:
    """A question, or a template of questions, on which an owner rules.

    Attributes:
        id: `apr_...`.
        dataset_id: whose owner rules.
        grant_id: for whom, within which term: a ruling holds for this grant alone.
        advertiser_id: of the grant.
        agency_id: of the grant.
        of: `question` or `template`.
        key: names the subject, see `policies.templates`.
        subject: what is ruled on, as plain data.
        question: as it was asked first.
        policy_id: the rule that asked for approval first.
        rho_micro: what the question costs.
        state: pending, approved or rejected.
        reason: the owner's words.
        requested_at: when it was first asked.
        decided_at: when the owner last ruled; None while it is pending.
    """

    id: str
    dataset_id: str
    grant_id: str
    advertiser_id: str
    agency_id: str | None
    of: str
    key: str
    subject: Mapping[str, Any]
    question: Mapping[str, Any]
    policy_id: str
    rho_micro: int
    state: ApprovalState
    reason: str
    requested_at: datetime
    decided_at: datetime | None
