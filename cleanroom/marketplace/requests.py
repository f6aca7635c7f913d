"""Buyers' requests for listings, and what providers decide about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Impact
from cleanroom.ids import new_id
from cleanroom.marketplace.buyers import Buyers
from cleanroom.marketplace.caps import Caps
from cleanroom.marketplace.catalogue import Catalogue
from cleanroom.marketplace.content import ListingContent
from cleanroom.marketplace.entitlements import Entitlements, plan_of
from cleanroom.marketplace.errors import (
    MandateMissingError,
    RequestFormError,
    RequestStateError,
    UnknownRequestError,
    VerificationError,
)
from cleanroom.marketplace.licensing import terms_of
from cleanroom.marketplace.models import EntitlementRequestRow, ListingRow, ListingVersionRow
from cleanroom.marketplace.plans import PricePlan
from cleanroom.marketplace.refusals import for_the_asker
from cleanroom.marketplace.steps import decide, hold_offer, log_request
from cleanroom.marketplace.types import (
    Ask,
    Asked,
    Entitlement,
    EntitlementRequest,
    RequestState,
)
from cleanroom.marketplace.views import read_content
from cleanroom.rules.service import Rules
from policies.decision import Deny, Gap
from policies.licence import licence_document, under_licence

POLICY = "policy"
"""Who has decided a request that the listing's own terms approve."""

MATCH_TEST, SMALLEST = "match_test", "S"
_NOTE, _REASON = 2_000, 500


@dataclass(frozen=True)
class Requests:
    """The service of requests; whoever approves makes the entitlement in the same transaction."""

    clock: Clock
    accounts: Accounts
    catalogue: Catalogue
    rules: Rules
    grants: Grants
    entitlements: Entitlements
    buyers: Buyers
    caps: Caps

    def ask(
        self,
        tx: Transaction,
        listing_id: str,
        ask: Ask,
        *,
        advertiser_id: str,
        agency_id: str | None = None,
        by: str,
    ) -> Asked:
        """Ask for a listing.

        Where the listing's terms say so, a request for match tests of size S is approved at once; if the budget refuses
        it, it waits for the provider like any other.

        Args:
            tx: the caller's transaction.
            listing_id: a live listing that is offered to these parties.
            ask: what is asked for.
            advertiser_id: for whom.
            agency_id: who acts for it; needs a mandate in force.
            by: the person or client that asks.

        Raises:
            UnknownListingError: no such listing is offered to them.
            OrganisationOffboardedError: one of them has left.
            MandateMissingError, VerificationError, MoneyCapError: the parties may not ask for it.
            RequestFormError: the listing does not offer what is asked for.
        """
        now = self.clock.now()
        parties = self._hold(tx, listing_id, advertiser_id, agency_id)
        for party in parties:
            self.accounts.require_present(tx, party)
        if agency_id is not None and not self.buyers.may_request(
            tx, agency_id=agency_id, advertiser_id=advertiser_id, purposes=ask.purposes
        ):
            raise MandateMissingError(
                "The agency has no mandate of this advertiser in force that lets it ask for this.",
                remedy="Ask the advertiser for one.",
            )
        listing = self.catalogue.listing(tx, listing_id, buyers=parties)
        content = listing.version.content
        plan = _check(content, ask, through_agency=agency_id is not None)
        if content.terms.verified_only and not self.buyers.verified(tx, advertiser_id):
            raise VerificationError(
                "This listing is for verified organisations.", remedy="Ask the operator to verify yours."
            )
        if agency_id is not None:
            self.caps.require_fits(tx, plan, agency_id=agency_id, advertiser_id=advertiser_id)
        row = EntitlementRequestRow(
            id=new_id("erq", now),
            listing_id=listing.id,
            listing_version_id=listing.version.id,
            plan_key=plan.key,
            provider_id=listing.provider_id,
            advertiser_id=advertiser_id,
            agency_id=agency_id,
            purposes=sorted(ask.purposes),
            kinds=sorted(ask.kinds),
            size=ask.size,
            days=ask.days,
            questions=ask.questions,
            note=ask.note.strip(),
            state=RequestState.PENDING.value,
            reason="",
            requested_by=by,
            requested_at=now,
            decided_by=None,
            decided_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        log_request(tx, row, "requested", plan=plan.key, size=ask.size, days=ask.days, by=by)
        at_once = content.terms.match_test_at_once and ask.size == SMALLEST and ask.kinds == {MATCH_TEST}
        if not at_once:
            return Asked(request_of(row))
        made = self._grant(tx, row, by=POLICY)
        if isinstance(made, Entitlement):
            return Asked(request_of(row), made)
        return Asked(request_of(row), refused=for_the_asker(made))

    def approve(
        self, tx: Transaction, request_id: str, *, organisation_id: str, by: str
    ) -> Entitlement | Deny | Gap:
        """Give a buyer what it asked for: the entitlement and its grant, in this transaction, or neither.

        Args:
            tx: the caller's transaction.
            request_id: `erq_...`; one that was approved before gives the entitlement that was made then.
            organisation_id: the provider.
            by: the person or client that decides.

        Returns:
            The entitlement; or why the rule or the budget refuses it, with the nearest grant that would fit. The
            request waits on then.

        Raises:
            UnknownRequestError: the provider has no such request.
            RequestStateError: it was rejected or withdrawn, or the listing's dataset has no rule any more.
            MoneyCapError: the mandate of the agency that asked does not cover the plan any more; the request waits on.
        """
        row = self._decidable(tx, request_id, organisation_id)
        if row.state == RequestState.APPROVED:
            return self.entitlements.of_request(tx, row.id)
        _require_pending(row)
        if row.agency_id is not None:
            # Since it was asked for, others may have been bought, or the mandate changed.
            plan = plan_of(tx, row)
            self.caps.require_fits(tx, plan, agency_id=row.agency_id, advertiser_id=row.advertiser_id)
        return self._grant(tx, row, by=by)

    def reject(
        self, tx: Transaction, request_id: str, *, organisation_id: str, reason: str, by: str
    ) -> EntitlementRequest:
        """Refuse a request, with words for the asker; raises as `approve`, and RequestFormError without words."""
        text = reason.strip()
        if not 0 < len(text) <= _REASON:
            raise RequestFormError(
                f"A rejection has a reason of 1 to {_REASON} characters.",
                remedy="Say what the asker may change.",
            )
        row = self._decidable(tx, request_id, organisation_id)
        _require_pending(row)
        row.reason = text
        decide(tx, row, RequestState.REJECTED, at=self.clock.now(), by=by, reason=text)
        return request_of(row)

    def withdraw(
        self,
        tx: Transaction,
        request_id: str,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        by: str,
    ) -> EntitlementRequest:
        """Take a request back that nobody has decided; by its advertiser, or the agency that asked, for this one."""
        row = tx.session.get(EntitlementRequestRow, request_id, with_for_update=True, populate_existing=True)
        if row is None or organisation_id not in (row.advertiser_id, row.agency_id):
            raise _unknown()
        if advertiser_id not in (None, row.advertiser_id):
            raise _unknown()
        _require_pending(row)
        decide(tx, row, RequestState.WITHDRAWN, at=self.clock.now(), by=by)
        return request_of(row)

    def request(
        self, tx: Transaction, request_id: str, *, organisation_id: str, advertiser_id: str | None = None
    ) -> EntitlementRequest:
        """Return a request that an organisation made, got, or is asked for through, for this advertiser.

        Raises UnknownRequestError.
        """
        row = tx.session.get(EntitlementRequestRow, request_id)
        if row is None or organisation_id not in (row.provider_id, row.advertiser_id, row.agency_id):
            raise _unknown()
        if advertiser_id not in (None, row.advertiser_id):
            raise _unknown()
        return request_of(row)

    def requests(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        advertiser_id: str | None = None,
        state: RequestState | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[EntitlementRequest, ...]:
        """Return the requests that concern an organisation, and this advertiser; the oldest first, after an id."""
        rows = select(EntitlementRequestRow).where(
            (EntitlementRequestRow.provider_id == organisation_id)
            | (EntitlementRequestRow.advertiser_id == organisation_id)
            | (EntitlementRequestRow.agency_id == organisation_id)
        )
        if advertiser_id is not None:
            rows = rows.where(EntitlementRequestRow.advertiser_id == advertiser_id)
        if state is not None:
            rows = rows.where(EntitlementRequestRow.state == state.value)
        if after is not None:
            rows = rows.where(EntitlementRequestRow.id > after)
        ordered = rows.order_by(EntitlementRequestRow.id).limit(limit)
        return tuple(request_of(row) for row in tx.session.scalars(ordered))

    def impact(
        self, tx: Transaction, request_id: str, *, organisation_id: str
    ) -> tuple[Impact, ...] | Deny | Gap:
        """Show a provider what approving a request now would leave in the population's accounts.

        Returns:
            One entry per account; or why the dataset's rule forbids it.

        Raises:
            UnknownRequestError: the provider has no such request.
        """
        row = tx.session.get(EntitlementRequestRow, request_id)
        if row is None or row.provider_id != organisation_id:
            raise _unknown()
        listing, content = self._listing(tx, row)
        policy = self.rules.current(tx, listing.dataset_id)
        now = self.clock.now()
        terms = terms_of(content, request_of(row).ask, valid_from=now, expires_at=_end(row, now))
        documents = [under_licence(policy.document, licence_document(terms))] if policy else []
        return self.grants.impact(
            tx,
            dataset_id=listing.dataset_id,
            advertiser_id=row.advertiser_id,
            agency_id=row.agency_id,
            size=row.size,
            purposes=row.purposes,
            documents=documents,
        )

    def _grant(self, tx: Transaction, row: EntitlementRequestRow, *, by: str) -> Entitlement | Deny | Gap:
        now = self.clock.now()
        listing, content = self._listing(tx, row)
        request = request_of(row)
        terms = terms_of(content, request.ask, valid_from=now, expires_at=_end(row, now))
        made = self.entitlements.issue(tx, request, dataset_id=listing.dataset_id, terms=terms)
        if isinstance(made, Entitlement):
            decide(tx, row, RequestState.APPROVED, at=now, by=by, entitlement=made.id, grant=made.grant_id)
        else:
            refused = (
                [reason.rule for reason in made.reasons] if isinstance(made, Deny) else list(made.missing)
            )
            log_request(tx, row, "refused_by_rule", refused=refused, by=by)
        return made

    def _hold(
        self, tx: Transaction, listing_id: str, advertiser_id: str, agency_id: str | None
    ) -> tuple[str, ...]:
        """Hold the buyers, which are returned, then what is offered: whoever ends one of them does so in this order."""
        parties = tuple(sorted(party for party in (advertiser_id, agency_id) if party is not None))
        for party in parties:
            self.accounts.lock(tx, party)
        hold_offer(tx, listing_id)
        return parties

    def _listing(self, tx: Transaction, row: EntitlementRequestRow) -> tuple[ListingRow, ListingContent]:
        version = tx.session.get_one(ListingVersionRow, row.listing_version_id)
        return tx.session.get_one(ListingRow, row.listing_id), read_content(version)

    def _decidable(self, tx: Transaction, request_id: str, organisation_id: str) -> EntitlementRequestRow:
        row = tx.session.get(EntitlementRequestRow, request_id)
        if row is None or row.provider_id != organisation_id:
            raise _unknown()
        self._hold(tx, row.listing_id, row.advertiser_id, row.agency_id)
        # Whoever decides at the same moment waits here, and then sees what was decided.
        tx.session.refresh(row, with_for_update=True)
        return row


def request_of(row: EntitlementRequestRow) -> EntitlementRequest:
    """Return a row as a value."""
    return EntitlementRequest(
        id=row.id,
        listing_id=row.listing_id,
        listing_version_id=row.listing_version_id,
        provider_id=row.provider_id,
        advertiser_id=row.advertiser_id,
        agency_id=row.agency_id,
        ask=Ask(
            plan_key=row.plan_key,
            purposes=frozenset(row.purposes),
            kinds=frozenset(row.kinds),
            size=row.size,
            days=row.days,
            questions=row.questions,
            note=row.note,
        ),
        state=RequestState(row.state),
        reason=row.reason,
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
    )


def _check(content: ListingContent, ask: Ask, *, through_agency: bool) -> PricePlan:
    """Refuse what a listing does not offer; returns the plan that is asked for."""
    terms = content.terms
    plan = next((plan for plan in content.plans if plan.key == ask.plan_key), None)
    if plan is None:
        raise _not_offered("plan", [plan.key for plan in content.plans])
    for name, asked, offered in (
        ("purposes", ask.purposes, terms.purposes),
        ("kinds", ask.kinds, terms.kinds),
        ("size", {ask.size}, terms.sizes),
    ):
        if not asked or not asked <= offered:
            raise _not_offered(name, sorted(offered))
    if not 1 <= ask.days <= terms.days:
        raise _not_offered("term", [f"1 to {terms.days} days"])
    most = terms.questions
    if ask.questions is not None and (ask.questions < 1 or (most is not None and ask.questions > most)):
        raise _not_offered("number of questions", [f"1 to {most or 'any number'}"])
    if through_agency and not terms.resale:
        raise _not_offered("access through an agency", ["the advertiser itself"])
    if len(ask.note) > _NOTE:
        raise RequestFormError(f"A note has at most {_NOTE} characters.", remedy="Shorten it.")
    return plan


def _not_offered(what: str, offered: Sequence[str]) -> RequestFormError:
    return RequestFormError(
        f"The listing does not offer this {what}.", remedy=f"It offers: {', '.join(offered)[:400]}."
    )


def _require_pending(row: EntitlementRequestRow) -> None:
    if row.state != RequestState.PENDING:
        raise RequestStateError(f"This request is {row.state} already.", remedy="Ask anew.")


def _end(row: EntitlementRequestRow, now: datetime) -> datetime:
    return now + timedelta(days=row.days)


def _unknown() -> UnknownRequestError:
    return UnknownRequestError("There is no request with this id.", remedy="List your requests.")
