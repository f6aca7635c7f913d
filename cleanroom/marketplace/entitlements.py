"""Entitlements: made with their grants, ended by their term or by the provider; history, and never deleted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Transaction
from cleanroom.grants.models import GrantRow
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Grant, GrantStatus
from cleanroom.ids import new_id
from cleanroom.marketplace.errors import RequestFormError, UnknownEntitlementError
from cleanroom.marketplace.models import EntitlementRequestRow, EntitlementRow
from cleanroom.marketplace.plans import PricePlan, plan_to_data
from cleanroom.marketplace.types import Entitlement, EntitlementRequest, EntitlementState, replace_parties
from cleanroom.marketplace.views import content_of
from cleanroom.rules.service import Rules
from policies.decision import Deny, Gap
from policies.licence import LicenceTerms, licence_document

_REASON = 500
_NOTHING_LEFT = "Its data is gone, or a party to it has left the room."


@dataclass(frozen=True)
class Entitlements:
    """The service of entitlements."""

    clock: Clock
    rules: Rules
    grants: Grants
    fee_bp: int

    def issue(
        self, tx: Transaction, request: EntitlementRequest, *, dataset_id: str, terms: LicenceTerms
    ) -> Entitlement | Deny | Gap:
        """Make the entitlement that a request asks for, and its grant under the licence; or neither.

        Args:
            tx: the caller's transaction, which holds the request.
            request: pending.
            dataset_id: of its listing.
            terms: that both sides agree on.
        """
        policy = self.rules.current(tx, dataset_id)
        grant = self.grants.issue_grant(
            tx,
            dataset_id=dataset_id,
            advertiser_id=request.advertiser_id,
            agency_id=request.agency_id,
            size=request.ask.size,
            purposes=sorted(terms.purposes),
            valid_from=terms.valid_from,
            expires_at=terms.expires_at,
            documents=[policy.document] if policy else [],
            licence=licence_document(terms),
        )
        if not isinstance(grant, Grant):
            return grant
        row = EntitlementRow(
            id=new_id("ent", self.clock.now()),
            request_id=request.id,
            grant_id=grant.id,
            listing_id=request.listing_id,
            listing_version_id=request.listing_version_id,
            plan_key=request.ask.plan_key,
            dataset_id=dataset_id,
            provider_id=request.provider_id,
            advertiser_id=request.advertiser_id,
            agency_id=request.agency_id,
            fee_bp=self.fee_bp,
            valid_from=grant.valid_from,
            expires_at=grant.expires_at,
            state=EntitlementState.ACTIVE.value,
            ended_at=None,
            end_reason="",
        )
        tx.session.add(row)
        tx.session.flush()
        made = entitlement_of(tx, row)
        _log(
            tx,
            row,
            "made",
            grant_id=grant.id,
            listing_version_id=row.listing_version_id,
            plan=plan_to_data(made.plan),
            fee_bp=row.fee_bp,
            valid_from=rfc3339(row.valid_from),
            expires_at=rfc3339(row.expires_at),
        )
        return made

    def revoke(
        self, tx: Transaction, entitlement_id: str, *, organisation_id: str, reason: str
    ) -> Entitlement:
        """End an entitlement now: the very next question is refused, and unspent budget returns.

        Args:
            tx: the caller's transaction.
            entitlement_id: one that has ended stays as it is.
            organisation_id: the provider.
            reason: shown to the buyer; 1 to 500 characters.

        Raises:
            UnknownEntitlementError: the provider has given no such entitlement.
            RequestFormError: there is no reason, or it is too long.
        """
        text = reason.strip()
        if not 0 < len(text) <= _REASON:
            raise RequestFormError(
                f"A revocation has a reason of 1 to {_REASON} characters.", remedy="Say why, for the buyer."
            )
        row = tx.session.get(EntitlementRow, entitlement_id)
        if row is None or row.provider_id != organisation_id:
            raise _unknown()
        # The budget's accounts are locked before the entitlement, as when terms end: no deadlock.
        self.grants.revoke(tx, row.grant_id)
        tx.session.refresh(row, with_for_update={"key_share": True})
        if row.state == EntitlementState.ACTIVE:
            self._revoke(tx, row, text)
        return entitlement_of(tx, row)

    def end_without_grant(self, tx: Transaction, *, reason: str = _NOTHING_LEFT) -> tuple[str, ...]:
        """End every entitlement whose grant was revoked otherwise: nobody owes a tariff for what cannot be asked.

        That is when its dataset was deleted, its workspace shredded, or a party to it has left the room.

        Args:
            tx: the caller's transaction, which holds the budget's accounts if it has revoked the grants.
            reason: shown to the buyer.

        Returns:
            The ids of the entitlements that ended.
        """
        lost = (
            select(EntitlementRow)
            .join(GrantRow, GrantRow.id == EntitlementRow.grant_id)
            .where(
                EntitlementRow.state == EntitlementState.ACTIVE.value,
                GrantRow.status == GrantStatus.REVOKED.value,
            )
            .order_by(EntitlementRow.id)
            # Not FOR UPDATE: usage that only refers to them may still be recorded.
            .with_for_update(of=EntitlementRow, key_share=True)
            .execution_options(populate_existing=True)
        )
        ended = tx.session.scalars(lost).all()
        for row in ended:
            self._revoke(tx, row, reason)
        return tuple(row.id for row in ended)

    def expire(self, tx: Transaction) -> tuple[str, ...]:
        """End every entitlement and grant whose term is over, and return the unspent budget of the grants.

        Entitlements whose grant is gone end too.

        Returns:
            The ids of the entitlements that ended.
        """
        self.grants.expire(tx)
        due = (
            select(EntitlementRow)
            .where(
                EntitlementRow.state == EntitlementState.ACTIVE.value,
                EntitlementRow.expires_at <= self.clock.now(),
            )
            .order_by(EntitlementRow.id)
            .with_for_update(key_share=True)
        )
        ended = list(tx.session.scalars(due))
        for row in ended:
            row.state, row.ended_at = EntitlementState.EXPIRED.value, row.expires_at
            _log(tx, row, "expired", grant_id=row.grant_id)
        tx.session.flush()
        return (*(row.id for row in ended), *self.end_without_grant(tx))

    def entitlement(
        self, tx: Transaction, entitlement_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> Entitlement:
        """Return an entitlement that an organisation gave or has.

        Args:
            tx: any transaction.
            entitlement_id: `ent_...`.
            organisation_id: whose.
            advertiser_id: only if it is for this one: an agency looks at one of its clients.

        Raises:
            UnknownEntitlementError: the organisation has no such entitlement.
        """
        row = tx.session.get(EntitlementRow, entitlement_id)
        if row is None or organisation_id not in (row.provider_id, row.advertiser_id, row.agency_id):
            raise _unknown()
        if advertiser_id not in (None, row.advertiser_id):
            raise _unknown()
        return entitlement_of(tx, row)

    def entitlements(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[Entitlement, ...]:
        """Return the entitlements that an organisation gave or has, the oldest first, after an entitlement's id.

        With `advertiser_id` those of this advertiser alone: an agency looks for one client at a time.
        """
        rows = select(EntitlementRow).where(
            or_(
                EntitlementRow.provider_id == organisation_id,
                EntitlementRow.advertiser_id == organisation_id,
                EntitlementRow.agency_id == organisation_id,
            )
        )
        if advertiser_id is not None:
            rows = rows.where(EntitlementRow.advertiser_id == advertiser_id)
        if after is not None:
            rows = rows.where(EntitlementRow.id > after)
        ordered = rows.order_by(EntitlementRow.id).limit(limit)
        return tuple(entitlement_of(tx, row) for row in tx.session.scalars(ordered))

    def of_grants(self, tx: Transaction, grant_ids: Iterable[str]) -> dict[str, str]:
        """Return the ids of the entitlements that grants came with, by the grant's; others are missing."""
        rows = select(EntitlementRow.grant_id, EntitlementRow.id).where(
            EntitlementRow.grant_id.in_(set(grant_ids))
        )
        return {row.grant_id: row.id for row in tx.session.execute(rows)}

    def of_request(self, tx: Transaction, request_id: str) -> Entitlement:
        """Return the entitlement that answers a request; raises UnknownEntitlementError."""
        row = tx.session.scalar(select(EntitlementRow).where(EntitlementRow.request_id == request_id))
        if row is None:
            raise _unknown()
        return entitlement_of(tx, row)

    def _revoke(self, tx: Transaction, row: EntitlementRow, reason: str) -> None:
        row.state, row.end_reason = EntitlementState.REVOKED.value, reason
        row.ended_at = min(self.clock.now(), row.expires_at)
        tx.session.flush()
        _log(tx, row, "revoked", grant_id=row.grant_id, reason=reason)


def entitlement_of(tx: Transaction, row: EntitlementRow) -> Entitlement:
    """Return a row as a value."""
    return Entitlement(
        id=row.id,
        request_id=row.request_id,
        grant_id=row.grant_id,
        listing_id=row.listing_id,
        listing_version_id=row.listing_version_id,
        plan=plan_of(tx, row),
        dataset_id=row.dataset_id,
        provider_id=row.provider_id,
        advertiser_id=row.advertiser_id,
        agency_id=row.agency_id,
        fee_bp=row.fee_bp,
        valid_from=row.valid_from,
        expires_at=row.expires_at,
        state=EntitlementState(row.state),
        ended_at=row.ended_at,
        end_reason=row.end_reason,
    )


def plan_of(tx: Transaction, row: EntitlementRow | EntitlementRequestRow) -> PricePlan:
    """Return the tariff of an entitlement or a request, in its own wording, without whom a private offer names."""
    content = content_of(tx, row.listing_version_id)
    # Quotes and the log show it to the buyer, who is not to know the others.
    return replace_parties(next(plan for plan in content.plans if plan.key == row.plan_key))


def _log(tx: Transaction, row: EntitlementRow, what: str, **facts: Any) -> None:
    body = {"provider_id": row.provider_id, "agency_id": row.agency_id, "dataset_id": row.dataset_id, **facts}
    tx.audit(
        f"marketplace.entitlement_{what}", subject_id=row.id, organisation_id=row.advertiser_id, body=body
    )


def _unknown() -> UnknownEntitlementError:
    return UnknownEntitlementError("There is no entitlement with this id.", remedy="List your entitlements.")
