"""Putting a question that waits for approval before its owner."""

from dataclasses import dataclass, replace

from cleanroom.analyses.facts import Facts
from cleanroom.db.database import Transaction
from cleanroom.rules.approvals import Approvals
from policies.combine import combine
from policies.decision import Deny, Permit
from policies.engine import decide
from policies.question import question_to_dict
from policies.request import ApprovalState, Ruling
from policies.rules import Approval
from policies.templates import approval_key, approval_subject


@dataclass(frozen=True)
class Approving:
    """Enters what the owner has to rule on; what other rules refuse too does not bother the owner."""

    approvals: Approvals

    def put(self, tx: Transaction, facts: Facts, denied: Deny) -> None:
        """Enter a refused question, or its template, in the owner's queue, once per grant.

        Args:
            tx: the transaction of the refusal.
            facts: of the question.
            denied: why it was refused.
        """
        reason = denied.reasons[0]
        if (
            len(denied.reasons) > 1
            or reason.rule != Approval.tag
            or facts.policy is None
            or facts.document is None
        ):
            return
        if reason.asked != ApprovalState.PENDING.value:
            return
        document = facts.document
        rule = combine([document])[Approval]
        assert isinstance(rule, Approval)
        key = approval_key(facts.question, facts.attributes, of=rule.of)
        request = facts.request()
        approved = decide(
            [document],
            replace(request, rulings={**request.rulings, key: Ruling(ApprovalState.APPROVED)}),
        )
        assert isinstance(approved, Permit)
        self.approvals.request(
            tx,
            dataset_id=facts.dataset.id,
            grant_id=facts.grant.id,
            advertiser_id=facts.grant.advertiser_id,
            agency_id=facts.grant.agency_id,
            of=rule.of,
            key=key,
            subject=approval_subject(facts.question, facts.attributes, of=rule.of),
            question=question_to_dict(facts.question),
            policy_id=facts.policy.id,
            rho_micro=approved.rho_micro,
            owner_id=facts.owner_id,
        )
