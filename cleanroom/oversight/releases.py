"""What left the room about an organisation's data: which question, for whom, under which rule; never its figures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cleanroom.analyses.deciding import ANSWERED_AGAIN
from cleanroom.analyses.errors import UnknownAnalysisError
from cleanroom.analyses.noticing import Noticed, Wanted, answered
from cleanroom.audit.errors import UnknownEventError
from cleanroom.audit.reader import AuditReader
from cleanroom.client.receipts import RELEASED
from cleanroom.db.database import Transaction
from cleanroom.rules.errors import UnknownPolicyError
from cleanroom.rules.service import Rules
from cleanroom.rules.types import PolicyVersion

ASKED = "analyses.asked"


@dataclass(frozen=True)
class Released:
    """An answer that left the room, as the owner of the data may know it.

    Attributes:
        noticed: who asked what kind of question when.
        question: the question's tree; None when its event is not the owner's to see.
        asked_index: of the owner's own event about it; None for an answer that was given again from the store.
        release_index: of the event that released it, which its receipt proves.
        version_id: of the dataset; None when it is not said.
        policy: the version of the rule under which it was permitted; None when that is gone.
        policy_sha256: its digest, as the receipt has it.
        licence_sha256: of the licence's terms; None without any.
        epoch: the dataset's consent epoch that it was counted under.
        base_persons: how large the buyer's base was, as a power of ten; empty when it is not said.
    """

    noticed: Noticed
    question: Mapping[str, Any] | None
    asked_index: int | None
    release_index: int
    version_id: str | None
    policy: PolicyVersion | None
    policy_sha256: str | None
    licence_sha256: str | None
    epoch: int | None
    base_persons: str


def released(tx: Transaction, rules: Rules, organisation_id: str, analysis_id: str) -> Released:
    """Return an answer about an organisation's data with the rule that permitted it.

    Args:
        tx: any transaction.
        rules: the service.
        organisation_id: the owner.
        analysis_id: of the question.

    Raises:
        UnknownAnalysisError: no such question about the organisation's data was answered.
    """
    found, _ = answered(tx, organisation_id, Wanted(analysis_id=analysis_id), limit=1)
    if not found:
        raise UnknownAnalysisError("There is no answer with this id.", remedy="List what was answered.")
    log = AuditReader()
    asked_index, asked = _event(tx, log, analysis_id, ASKED)
    index, event = _event(tx, log, analysis_id, RELEASED)
    if event is None:
        # Given again from the store: what it says was released then.
        _, again = _event(tx, log, analysis_id, ANSWERED_AGAIN)
        index, event = _event(tx, log, str((again or {}).get("answer_of", "")), RELEASED)
    if event is None or index is None:
        raise UnknownAnalysisError("There is no answer with this id.", remedy="List what was answered.")
    asked = asked or {}
    return Released(
        noticed=found[0],
        question=asked.get("question"),
        asked_index=asked_index,
        release_index=index,
        version_id=event.get("dataset_version_id"),
        policy=_policy(tx, rules, event.get("policy_id")),
        policy_sha256=event.get("policy_sha256"),
        licence_sha256=event.get("licence_sha256"),
        epoch=event.get("consent_epoch"),
        base_persons=str(asked.get("base_persons", "")),
    )


def _policy(tx: Transaction, rules: Rules, policy_id: str | None) -> PolicyVersion | None:
    try:
        return None if policy_id is None else rules.policy(tx, policy_id)
    except UnknownPolicyError:
        return None


def _event(
    tx: Transaction, log: AuditReader, analysis_id: str, kind: str
) -> tuple[int | None, Mapping[str, Any] | None]:
    try:
        index = log.find(tx, subject_id=analysis_id, kinds=(kind,))
    except UnknownEventError:
        return None, None
    return index, json.loads(log.record(tx, index))["body"]
