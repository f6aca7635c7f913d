"""Policy versions, verdicts and approvals as values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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
        set_by: the person or the program that put it in force; None when that was not noted.
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
    set_by: str | None = None


@dataclass(frozen=True)
class Examined:
    """Whether a document could be put in force as it is.

    Attributes:
        sha256: hex digest of the document, see `policy_sha256`.
        preset: the strictest preset that permits no less; None when the document permits more than any.
        unsafe: the owner's reason for publishing it although it was not found to resist; None without one.
        verdict: that the room has recorded of it; None without one.
    """

    sha256: str
    preset: str | None
    unsafe: str | None
    verdict: RedTeamVerdict | None

    @property
    def publishable(self) -> bool:
        """Whether nothing stands in the way; of an override, once a second person has confirmed it."""
        return self.unsafe is not None or self.safe

    @property
    def safe(self) -> bool:
        """Whether one person alone may put it in force."""
        return self.preset is not None or (self.verdict is not None and self.verdict.resists)


@dataclass(frozen=True)
class Switch:
    """The kill switch of a dataset.

    Attributes:
        stopped: whether no question is answered.
        changed_at: since when; None when it was never touched.
        changed_by: who touched it last; None when that was not noted.
    """

    stopped: bool
    changed_at: datetime | None = None
    changed_by: str | None = None


class TrialState(StrEnum):
    """How far the red team is with a document."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Attacked:
    """How far one attack came.

    Attributes:
        name: the attack's.
        metric: `advantage`, 0 for a coin, or `accuracy`, 0.5 for a coin.
        value: how far it came.
        interval95: both ends of its 95% confidence interval.
        limit: what the document promises that no such attack exceeds.
        verdict: `resists` or `falls`.
    """

    name: str
    metric: str
    value: float
    interval95: tuple[float, float]
    limit: float
    verdict: str


@dataclass(frozen=True)
class Trial:
    """A document that the red team was let loose on.

    Attributes:
        id: `try_...`.
        dataset_id: for which dataset it is meant.
        document: what is attacked.
        sha256: hex digest of the document, see `policy_sha256`.
        state: waiting, running, done or failed.
        asked_by: who asked for it; None when that was not noted.
        asked_at: when.
        percent: of the attacks that is done.
        ended_at: when it was done or given up.
        failure: a code; None unless it was given up.
        verdict: what it found; None until it is done.
        attacks: one by one; empty until it is done.
    """

    id: str
    dataset_id: str
    document: PolicyDocument
    sha256: str
    state: TrialState
    asked_by: str | None
    asked_at: datetime
    percent: int
    ended_at: datetime | None
    failure: str | None
    verdict: RedTeamVerdict | None
    attacks: tuple[Attacked, ...]


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
        decided_by: which person; None when that was not noted.
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
    decided_by: str | None = None
