"""Ending everything sold when a party leaves or the data is gone: listings, requests, grants and entitlements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.grants.service import Grants
from cleanroom.grants.types import Grant
from cleanroom.marketplace.entitlements import Entitlements
from cleanroom.marketplace.models import EntitlementRequestRow, ListingRow
from cleanroom.marketplace.steps import decide, log_move
from cleanroom.marketplace.types import ListingState, RequestState

ROOM = "room"
"""Who has ended what nobody has ended by name."""

PARTY_LEFT, DATA_GONE = "A party to it has left the room.", "The data was deleted or destroyed."


@dataclass(frozen=True)
class Closed:
    """What ended, as ids: requests that waited, active grants with their entitlements, listings not yet retired."""

    requests: tuple[str, ...]
    grants: tuple[str, ...]
    entitlements: tuple[str, ...]
    listings: tuple[str, ...]


@dataclass(frozen=True)
class Closing:
    """The service of these ends; what has ended before stays as it is."""

    clock: Clock
    grants: Grants
    entitlements: Entitlements

    def end_party(self, tx: Transaction, organisation_id: str) -> Closed:
        """End what an organisation offers, asks for, has, or acts in as an agency.

        Args:
            tx: the caller's transaction.
            organisation_id: who leaves; as a provider it rejects what waits, as a buyer it withdraws it.
        """
        request = EntitlementRequestRow
        return self._end(
            tx,
            listings=ListingRow.provider_id == organisation_id,
            requests=or_(
                request.provider_id == organisation_id,
                request.advertiser_id == organisation_id,
                request.agency_id == organisation_id,
            ),
            rejects=lambda row: row.provider_id == organisation_id,
            grants=lambda: self.grants.revoke_all(tx, organisation_id),
            reason=PARTY_LEFT,
        )

    def end_datasets(self, tx: Transaction, dataset_ids: Sequence[str]) -> Closed:
        """End what is sold of datasets that nobody can read any more, and all grants on them.

        Args:
            tx: the caller's transaction, which holds the datasets.
            dataset_ids: which; all at once, so that what whoever buys or leaves holds is locked in one order.
        """
        listings = select(ListingRow.id).where(ListingRow.dataset_id.in_(dataset_ids))
        return self._end(
            tx,
            listings=ListingRow.dataset_id.in_(dataset_ids),
            requests=EntitlementRequestRow.listing_id.in_(listings),
            rejects=lambda _: True,
            grants=lambda: tuple(grant for one in dataset_ids for grant in self.grants.revoke_on(tx, one)),
            reason=DATA_GONE,
        )

    def _end(
        self,
        tx: Transaction,
        *,
        listings: ColumnElement[bool],
        requests: ColumnElement[bool],
        rejects: Callable[[EntitlementRequestRow], bool],
        grants: Callable[[], tuple[Grant, ...]],
        reason: str,
    ) -> Closed:
        # Whoever buys holds these in the same order, see `hold_offer`: what has committed is found, the rest waits.
        retired = _retire(tx, listings)
        decided = self._decide(tx, requests, rejects, reason)
        ended = grants()
        return Closed(
            requests=decided,
            grants=tuple(grant.id for grant in ended),
            entitlements=self.entitlements.end_without_grant(tx, reason=reason),
            listings=retired,
        )

    def _decide(
        self,
        tx: Transaction,
        concerned: ColumnElement[bool],
        rejects: Callable[[EntitlementRequestRow], bool],
        reason: str,
    ) -> tuple[str, ...]:
        waiting = (
            select(EntitlementRequestRow)
            .where(EntitlementRequestRow.state == RequestState.PENDING.value, concerned)
            .order_by(EntitlementRequestRow.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        rows, now = tx.session.scalars(waiting).all(), self.clock.now()
        for row in rows:
            if rejects(row):
                row.reason = reason
                decide(tx, row, RequestState.REJECTED, at=now, by=ROOM, reason=reason)
            else:
                decide(tx, row, RequestState.WITHDRAWN, at=now, by=ROOM)
        return tuple(row.id for row in rows)


def _retire(tx: Transaction, concerned: ColumnElement[bool]) -> tuple[str, ...]:
    offered = (
        select(ListingRow)
        .where(ListingRow.state != ListingState.RETIRED.value, concerned)
        .order_by(ListingRow.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = tx.session.scalars(offered).all()
    for row in rows:
        before, row.state = row.state, ListingState.RETIRED.value
        tx.session.flush()
        log_move(tx, row, before, row.state, by=ROOM, operator=False)
    return tuple(row.id for row in rows)
