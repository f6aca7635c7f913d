"""Writing listings and taking them through draft, review, live, paused and retired."""

import json

from sqlalchemy import Select, delete, select

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.marketplace.content import ListingContent, content_to_data
from cleanroom.marketplace.errors import ListingFormError, ListingStateError
from cleanroom.marketplace.models import ListingFacetRow, ListingRow, ListingVersionRow
from cleanroom.marketplace.offerable import Offerable, check_offer, offerable, open_sectors
from cleanroom.marketplace.steps import log_move
from cleanroom.marketplace.types import Barrier, Listing, ListingState, Review, Way
from cleanroom.marketplace.views import EVERYONE, listing_of, listings_of, read_content, unknown_listing
from cleanroom.matching.views import info_of
from cleanroom.rules.ownership import require_owner
from cleanroom.rules.service import Rules
from cleanroom.rules.types import PolicyVersion
from policies.attributes import AttributeInfo

_DRAFT, _REVIEW, _LIVE, _PAUSED, _RETIRED = (
    ListingState.DRAFT,
    ListingState.REVIEW,
    ListingState.LIVE,
    ListingState.PAUSED,
    ListingState.RETIRED,
)
_WITH_NEWEST = select(ListingRow, ListingVersionRow).join(
    ListingVersionRow, ListingVersionRow.id == ListingRow.newest_version_id
)


class Listings:
    """The service of listings, for those who write and review them."""

    def __init__(
        self,
        *,
        clock: Clock,
        accounts: Accounts,
        datasets: Datasets,
        rules: Rules,
        log: AuditLog,
        review: Review,
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._datasets = datasets
        self._rules = rules
        self._log = log
        self._review = review

    def create(
        self, tx: Transaction, *, organisation_id: str, dataset_id: str, content: ListingContent, by: str
    ) -> Listing:
        """Write a listing; it stays a draft until it is sent to review.

        Args:
            tx: the caller's transaction.
            organisation_id: the dataset's owner.
            dataset_id: what is offered.
            content: what the listing says.
            by: the person or client that writes; the log and the review name it.

        Raises:
            DatasetNotFoundError, NotYourDatasetError: the organisation owns no such dataset.
            WorkspaceDestroyedError: nobody can read it any more.
            ListingFormError: the content offers what the dataset's rule does not allow, or there is no rule.
        """
        require_owner(tx, dataset_id, organisation_id)
        if self._datasets.readable(tx, dataset_id).kind is not DatasetKind.DATASET:
            raise ListingFormError("A base is not offered to anybody.", remedy="Name a dataset.")
        now = self._clock.now()
        version_id = new_id("lv", now)
        row = ListingRow(
            id=new_id("lst", now),
            provider_id=organisation_id,
            dataset_id=dataset_id,
            state=_DRAFT.value,
            newest_version_id=version_id,
            live_version_id=None,
            search_text="",
            created_at=now,
        )
        tx.session.add(row)
        tx.session.flush()
        self._write(tx, row, version_id, 1, content, by)
        return self._listing(tx, row)

    def revise(
        self, tx: Transaction, listing_id: str, *, organisation_id: str, content: ListingContent, by: str
    ) -> Listing:
        """Write the next version of a listing; buyers see the live one until the new one goes live.

        Raises:
            UnknownListingError: the organisation has no such listing.
            ListingStateError: it is retired.
            ListingFormError: as for `create`.
        """
        row = self._own(tx, listing_id, organisation_id)
        if row.state == _RETIRED:
            raise ListingStateError("A retired listing stays as it is.", remedy="Write a new listing.")
        newest = tx.session.get_one(ListingVersionRow, row.newest_version_id)
        if newest.state in (_DRAFT, _REVIEW):
            newest.state = ListingState.SUPERSEDED.value
        if row.state == _REVIEW:
            row.state = _DRAFT.value
        version_id = new_id("lv", self._clock.now())
        row.newest_version_id = version_id
        self._write(tx, row, version_id, newest.number + 1, content, by)
        return self._listing(tx, row)

    def move(
        self,
        tx: Transaction,
        listing_id: str,
        to: ListingState | str,
        *,
        organisation_id: str,
        by: str,
        version_id: str | None = None,
    ) -> Listing:
        """Take a listing to another state.

        draft -> review -> live -> paused -> live, and anything -> retired, for good; review -> draft sends a wording
        back. A new wording of a live or paused listing goes through review in the same way, while the listing keeps
        its state. Who lets a wording go live is the room's setting, see `Review`.

        Args:
            tx: the caller's transaction.
            listing_id: which.
            to: draft, review, live, paused or retired.
            organisation_id: the listing's owner; the operator may let it go live and send it back.
            by: the person or client that acts.
            version_id: the newest version that whoever acts has seen; None when it does not matter.

        Raises:
            UnknownListingError: the organisation has no such listing.
            ListingStateError: it cannot go there from where it is, needs another person, or has a newer version.
            ListingFormError: the dataset's rule has changed since the wording was written.
            DatasetNotFoundError, WorkspaceDestroyedError: nobody can read the dataset any more.
        """
        operator = self._accounts.organisation(tx, organisation_id).kind is OrganisationKind.OPERATOR
        row = _locked(tx, listing_id) if operator else self._own(tx, listing_id, organisation_id)
        newest = tx.session.get_one(ListingVersionRow, row.newest_version_id)
        if operator and not (newest.state == _REVIEW and to in (_LIVE, _DRAFT)):
            raise ListingStateError(
                "The operator only lets a wording in review go live, or sends it back.",
                remedy="Ask its provider.",
            )
        if version_id not in (None, newest.id):
            raise ListingStateError(
                "The listing has a newer version than the one that was looked at.", remedy="Look at it."
            )
        before = row.state
        if to == _RETIRED and row.state != _RETIRED:
            row.state = _RETIRED.value
        elif to == _PAUSED and row.state == _LIVE:
            row.state = _PAUSED.value
        elif to == _REVIEW and newest.state == _DRAFT and row.state != _RETIRED:
            self._send(row, newest, _REVIEW)
        elif to == _DRAFT and newest.state == _REVIEW and row.state != _RETIRED:
            self._send(row, newest, _DRAFT)
        elif to == _LIVE and newest.state == _REVIEW and row.state != _RETIRED:
            self._go_live(tx, row, newest, operator=operator, by=by)
        elif to == _LIVE and row.state == _PAUSED:
            row.state = _LIVE.value
        else:
            raise ListingStateError(
                f"A listing in the state {row.state} cannot become {str(to)[:20]}.",
                remedy="The way is draft, review, live, paused, live, retired.",
            )
        tx.session.flush()
        log_move(tx, row, before, str(to), by=by, operator=operator)
        return self._listing(tx, row)

    def offerable(self, tx: Transaction, dataset_id: str, *, organisation_id: str) -> Offerable:
        """Return what a listing of a dataset can offer; raises as `create` does when there can be none."""
        require_owner(tx, dataset_id, organisation_id)
        dataset = self._datasets.readable(tx, dataset_id)
        policy = self._policy(tx, dataset_id)
        return offerable(dataset_id, dataset.name, policy.document, self._attributes(tx, dataset_id))

    def ways(self, listing: Listing, *, operator: bool, by: str) -> tuple[Way, ...]:
        """Return where a listing may go from where it is, for somebody who looks at it; `move` decides once more.

        Args:
            listing: with its newest version.
            operator: whether the operator looks.
            by: the person or client.
        """
        newest, state = listing.version, listing.state
        if state is _RETIRED:
            return ()
        found = []
        if newest.state is _DRAFT and not operator:
            found.append(Way(_REVIEW))
        if newest.state is _REVIEW:
            barrier = None
            if self._review is Review.OPERATOR and not operator:
                barrier = Barrier.OPERATOR
            elif self._review is Review.SECOND and by == newest.written_by:
                barrier = Barrier.SECOND
            found += [Way(_LIVE, barrier), Way(_DRAFT)]
        elif state is _PAUSED and not operator:
            found.append(Way(_LIVE))
        if operator:
            return tuple(found)
        if state is _LIVE:
            found.append(Way(_PAUSED))
        return (*found, Way(_RETIRED))

    def own(
        self, tx: Transaction, *, organisation_id: str, after: str | None = None, limit: int = 50
    ) -> tuple[Listing, ...]:
        """Return a provider's listings with their newest versions, the oldest first, after a listing's id."""
        rows = _WITH_NEWEST.where(ListingRow.provider_id == organisation_id)
        if after is not None:
            rows = rows.where(ListingRow.id > after)
        return self._page(tx, rows.order_by(ListingRow.id).limit(limit))

    def in_review(self, tx: Transaction, *, after: str | None = None, limit: int = 50) -> tuple[Listing, ...]:
        """Return what waits for review in the whole room, for the operator, after a listing's id."""
        rows = _WITH_NEWEST.where(
            ListingVersionRow.state == _REVIEW.value, ListingRow.state != _RETIRED.value
        )
        if after is not None:
            rows = rows.where(ListingRow.id > after)
        return self._page(tx, rows.order_by(ListingRow.id).limit(limit))

    def waiting(self, tx: Transaction, listing_id: str) -> Listing:
        """Return a listing whose newest version waits for review, for the operator; else raises UnknownListingError."""
        row = tx.session.get(ListingRow, listing_id)
        found = None if row is None or row.state == _RETIRED else self._listing(tx, row)
        if found is None or found.version.state is not _REVIEW:
            raise unknown_listing()
        return found

    def listing(self, tx: Transaction, listing_id: str, *, organisation_id: str) -> Listing:
        """Return a provider's listing with its newest version; raises UnknownListingError."""
        row = tx.session.get(ListingRow, listing_id)
        if row is None or row.provider_id != organisation_id:
            raise unknown_listing()
        return self._listing(tx, row)

    def _page(self, tx: Transaction, rows: Select[ListingRow, ListingVersionRow]) -> tuple[Listing, ...]:
        return listings_of(tx, [(row, version) for row, version in tx.session.execute(rows)])

    def _listing(self, tx: Transaction, row: ListingRow) -> Listing:
        return listing_of(tx, row, tx.session.get_one(ListingVersionRow, row.newest_version_id))

    def _own(self, tx: Transaction, listing_id: str, organisation_id: str) -> ListingRow:
        row = _locked(tx, listing_id)
        if row.provider_id != organisation_id:
            raise unknown_listing()
        return row

    def _send(self, row: ListingRow, version: ListingVersionRow, to: ListingState) -> None:
        version.state = to.value
        if row.live_version_id is None:
            row.state = to.value

    def _write(
        self,
        tx: Transaction,
        row: ListingRow,
        version_id: str,
        number: int,
        content: ListingContent,
        by: str,
    ) -> None:
        policy = self._policy(tx, row.dataset_id)
        self._check(tx, row.dataset_id, content, policy)
        data = content_to_data(content)
        tx.session.add(
            ListingVersionRow(
                id=version_id,
                listing_id=row.id,
                number=number,
                state=_DRAFT.value,
                content=data,
                policy_id=policy.id,
                policy_sha256=policy.sha256,
                grade=self._grade(tx, policy),
                written_by=by,
                reviewed_by=None,
                created_at=self._clock.now(),
            )
        )
        tx.session.flush()
        tx.audit(
            "marketplace.listing_written",
            subject_id=row.id,
            organisation_id=row.provider_id,
            body={
                "version_id": version_id,
                "number": number,
                "dataset_id": row.dataset_id,
                "policy_id": policy.id,
                "content": data,
                "by": by,
            },
        )

    def _go_live(
        self, tx: Transaction, row: ListingRow, version: ListingVersionRow, *, operator: bool, by: str
    ) -> None:
        if self._review is Review.OPERATOR and not operator:
            raise ListingStateError(
                "In this room the operator lets listings go live.", remedy="Wait for the operator."
            )
        if self._review is Review.SECOND and by == version.written_by:
            raise ListingStateError(
                "Whoever wrote a wording does not let it go live.",
                remedy="Ask a second person of your organisation, or the operator.",
            )
        # It may have gone while the listing was written.
        self._datasets.readable(tx, row.dataset_id)
        policy = self._policy(tx, row.dataset_id)
        content = read_content(version)
        if policy.id != version.policy_id:
            raise ListingFormError(
                "The dataset's rule has changed since this wording was written.",
                remedy="Write a new version; it refers to the rule in force.",
            )
        self._check(tx, row.dataset_id, content, policy)
        if row.live_version_id is not None:
            live = tx.session.get_one(ListingVersionRow, row.live_version_id)
            live.state = ListingState.SUPERSEDED.value
        version.state, version.reviewed_by = _LIVE.value, by
        if row.state != _PAUSED:
            row.state = _LIVE.value
        row.live_version_id = version.id
        row.search_text = "\n".join(
            (content.title.ru, content.title.en, content.text.ru, content.text.en)
        ).casefold()
        tx.session.execute(delete(ListingFacetRow).where(ListingFacetRow.listing_id == row.id))
        tx.session.add_all(
            ListingFacetRow(kind=kind, value=value, listing_id=row.id)
            for kind, values in _facets(content, policy).items()
            for value in sorted(values)
        )

    def _check(
        self, tx: Transaction, dataset_id: str, content: ListingContent, policy: PolicyVersion
    ) -> None:
        check_offer(content, policy.document, self._attributes(tx, dataset_id))

    def _attributes(self, tx: Transaction, dataset_id: str) -> dict[str, AttributeInfo]:
        schema = self._datasets.dataset(tx, dataset_id).schema
        return {attribute.name: info_of(attribute) for attribute in schema.attributes}

    def _policy(self, tx: Transaction, dataset_id: str) -> PolicyVersion:
        policy = self._rules.current(tx, dataset_id)
        if policy is None:
            raise ListingFormError(
                "The dataset has no analysis rule, so nothing of it can be asked.", remedy="Set one first."
            )
        return policy

    def _grade(self, tx: Transaction, policy: PolicyVersion) -> str | None:
        """Return the grade of the report that a rule was published with, from the log's record of it."""
        if policy.report_sha256 is None:
            return None
        index = self._log.find(tx, subject_id=policy.id, kinds=("rules.policy_set",))
        verdict = json.loads(self._log.record(tx, index))["body"]["redteam"]
        return str(verdict["grade"])


def _facets(content: ListingContent, policy: PolicyVersion) -> dict[str, frozenset[str]]:
    sectors = open_sectors(content, policy.document)
    open_to_all = any(not plan.offered_to for plan in content.plans)
    named = frozenset(party for plan in content.plans for party in plan.offered_to)
    return {
        "attribute": content.attributes,
        "purpose": content.terms.purposes,
        "sector": frozenset({EVERYONE}) if sectors is None else sectors,
        "buyer": frozenset({EVERYONE}) if open_to_all else named,
    }


def _locked(tx: Transaction, listing_id: str) -> ListingRow:
    row = tx.session.get(ListingRow, listing_id, with_for_update=True)
    if row is None:
        raise unknown_listing()
    return row
