"""The queue of questions that wait for an owner, and the owner's rulings.

A ruling is bound to the grant (hence to one dataset, one advertiser, perhaps one agency, and a term), to the purpose,
and to the exact question or its template. It is not bound to a version of the policy: it says "this buyer may ask
this", and the policy says within which limits, which every question meets anew. An owner who changes the policy would
otherwise have to approve everything again, and would soon approve unread. An owner who has second thoughts rejects what
was approved.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.rules.errors import ApprovalReasonError, UnknownApprovalError
from cleanroom.rules.models import ApprovalRow
from cleanroom.rules.ownership import require_owner
from cleanroom.rules.types import Approval
from policies.request import ApprovalState, Ruling

MAX_REASON_CHARACTERS = 500


class Approvals:
    """The service of approvals."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def request(
        self,
        tx: Transaction,
        *,
        dataset_id: str,
        grant_id: str,
        advertiser_id: str,
        agency_id: str | None,
        of: str,
        key: str,
        subject: Mapping[str, Any],
        question: Mapping[str, Any],
        policy_id: str,
        rho_micro: int,
        owner_id: str,
    ) -> None:
        """Put a question or a template before its owner; one that is there already stays as it is.

        Args:
            tx: the caller's transaction.
            dataset_id: what is asked.
            grant_id: what would pay.
            advertiser_id: of the grant.
            agency_id: of the grant.
            of: `question` or `template`.
            key: names the subject.
            subject: what is ruled on.
            question: as asked.
            policy_id: the rule in force.
            rho_micro: what the question costs.
            owner_id: who rules, for the audit log.
        """
        now = self._clock.now()
        values = {
            "id": new_id("apr", now),
            "dataset_id": dataset_id,
            "grant_id": grant_id,
            "advertiser_id": advertiser_id,
            "agency_id": agency_id,
            "of": of,
            "key": key,
            "subject": dict(subject),
            "question": dict(question),
            "policy_id": policy_id,
            "rho_micro": rho_micro,
            "state": ApprovalState.PENDING.value,
            "reason": "",
            "requested_at": now,
            "decided_at": None,
            "decided_by": None,
        }
        postgres = tx.connection.dialect.name == "postgresql"
        entered = (postgresql.insert if postgres else sqlite.insert)(ApprovalRow).values(values)
        new = tx.session.scalar(entered.on_conflict_do_nothing().returning(ApprovalRow.id))
        if new is None:
            return
        tx.audit(
            "rules.approval_requested",
            subject_id=new,
            organisation_id=owner_id,
            body={
                "dataset_id": dataset_id,
                "grant_id": grant_id,
                "advertiser_id": advertiser_id,
                "agency_id": agency_id,
                "policy_id": policy_id,
                "key": key,
                "subject": dict(subject),
                "rho_micro": rho_micro,
            },
        )

    def queue(
        self, tx: Transaction, dataset_id: str, *, organisation_id: str, state: ApprovalState | None = None
    ) -> tuple[Approval, ...]:
        """Return a dataset's requests, the oldest first; those in one state when it is given.

        Raises:
            DatasetNotFoundError, NotYourDatasetError: the organisation owns no such dataset.
        """
        require_owner(tx, dataset_id, organisation_id)
        rows = select(ApprovalRow).where(ApprovalRow.dataset_id == dataset_id)
        if state is not None:
            rows = rows.where(ApprovalRow.state == state.value)
        oldest_first = rows.order_by(ApprovalRow.requested_at, ApprovalRow.id)
        return tuple(approval_of(row) for row in tx.session.scalars(oldest_first))

    def approval(self, tx: Transaction, approval_id: str, *, organisation_id: str) -> Approval:
        """Return a request; raises UnknownApprovalError, and NotYourDatasetError about another's dataset."""
        row = tx.session.get(ApprovalRow, approval_id)
        if row is None:
            raise _unknown()
        require_owner(tx, row.dataset_id, organisation_id)
        return approval_of(row)

    def approve(
        self,
        tx: Transaction,
        approval_id: str,
        *,
        organisation_id: str,
        reason: str = "",
        by: str | None = None,
    ) -> Approval:
        """Let a question or a template pass from now on; raises as `reject`, but needs no reason."""
        return self._rule(tx, approval_id, ApprovalState.APPROVED, (organisation_id, by), reason.strip())

    def reject(
        self, tx: Transaction, approval_id: str, *, organisation_id: str, reason: str, by: str | None = None
    ) -> Approval:
        """Refuse a question or a template from now on, also one that was approved before.

        Args:
            tx: the caller's transaction.
            approval_id: `apr_...`.
            organisation_id: the dataset's owner.
            reason: shown to the asker; 1 to 500 characters.
            by: which person of the owner.

        Raises:
            UnknownApprovalError: there is no such request.
            NotYourDatasetError: it is about another organisation's dataset.
            ApprovalReasonError: the reason is missing or too long.
        """
        if not reason.strip():
            raise ApprovalReasonError("A rejection has a reason.", remedy="Say what the asker may change.")
        return self._rule(tx, approval_id, ApprovalState.REJECTED, (organisation_id, by), reason.strip())

    def rulings(self, tx: Transaction, grant_id: str) -> dict[str, Ruling]:
        """Return what has been asked and ruled for a grant, by key."""
        columns = (ApprovalRow.key, ApprovalRow.state, ApprovalRow.reason)
        rows = tx.session.execute(select(*columns).where(ApprovalRow.grant_id == grant_id))
        return {key: Ruling(ApprovalState(state), reason) for key, state, reason in rows}

    def _rule(
        self,
        tx: Transaction,
        approval_id: str,
        state: ApprovalState,
        owner: tuple[str, str | None],
        reason: str,
    ) -> Approval:
        organisation_id, by = owner
        if len(reason) > MAX_REASON_CHARACTERS:
            raise ApprovalReasonError(
                f"A reason has at most {MAX_REASON_CHARACTERS} characters.", remedy="Shorten it."
            )
        row = tx.session.get(ApprovalRow, approval_id, with_for_update=True)
        if row is None:
            raise _unknown()
        require_owner(tx, row.dataset_id, organisation_id)
        if (row.state, row.reason) == (state.value, reason):
            return approval_of(row)
        before, row.state, row.reason, row.decided_at = row.state, state.value, reason, self._clock.now()
        row.decided_by = by
        tx.session.flush()
        tx.audit(
            f"rules.approval_{state.value}",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={
                "dataset_id": row.dataset_id,
                "grant_id": row.grant_id,
                "key": row.key,
                "before": before,
                "reason": reason,
                "by": by,
            },
        )
        return approval_of(row)


def _unknown() -> UnknownApprovalError:
    return UnknownApprovalError(
        "There is no request for approval with this id.", remedy="List the dataset's queue."
    )


def approval_of(row: ApprovalRow) -> Approval:
    """Return a row as a value."""
    return Approval(
        id=row.id,
        dataset_id=row.dataset_id,
        grant_id=row.grant_id,
        advertiser_id=row.advertiser_id,
        agency_id=row.agency_id,
        of=row.of,
        key=row.key,
        subject=row.subject,
        question=row.question,
        policy_id=row.policy_id,
        rho_micro=row.rho_micro,
        state=ApprovalState(row.state),
        reason=row.reason,
        requested_at=row.requested_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )
