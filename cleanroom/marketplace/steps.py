"""What listings and requests go through, whoever makes them: their rows and what the log says."""

from datetime import datetime

from sqlalchemy import select

from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.marketplace.models import EntitlementRequestRow, ListingRow
from cleanroom.marketplace.types import RequestState


def hold_offer(tx: Transaction, listing_id: str) -> None:
    """Let nobody end a listing or its dataset until this transaction does; for whoever asks for it or gives it.

    Dataset, listing, request, the budget's accounts: whoever ends what is sold locks them in this order too.
    """
    offered = select(ListingRow.dataset_id).where(ListingRow.id == listing_id).scalar_subquery()
    for held in (
        select(DatasetRow.id).where(DatasetRow.id == offered),
        select(ListingRow.id).where(ListingRow.id == listing_id),
    ):
        tx.session.execute(held.with_for_update(read=True, key_share=True))


def decide(
    tx: Transaction,
    row: EntitlementRequestRow,
    state: RequestState,
    *,
    at: datetime,
    by: str,
    **facts: object,
) -> None:
    """Write what became of a request.

    Args:
        tx: the caller's transaction, which holds the row.
        row: pending.
        state: from now on.
        at: the instant.
        by: the person or client that decides, or what does so by itself.
        **facts: for the log.
    """
    row.state, row.decided_by, row.decided_at = state.value, by, at
    tx.session.flush()
    log_request(tx, row, state.value, by=by, **facts)


def log_request(tx: Transaction, row: EntitlementRequestRow, what: str, **facts: object) -> None:
    """Log what happened to a request, for whom it was made."""
    body = {
        "listing_id": row.listing_id,
        "listing_version_id": row.listing_version_id,
        "provider_id": row.provider_id,
        "advertiser_id": row.advertiser_id,
        "agency_id": row.agency_id,
        "purposes": row.purposes,
        **facts,
    }
    tx.audit(f"marketplace.request_{what}", subject_id=row.id, organisation_id=row.advertiser_id, body=body)


def log_move(tx: Transaction, row: ListingRow, before: str, to: str, *, by: str, operator: bool) -> None:
    """Log that a listing, or its newest wording, went from one state to another."""
    tx.audit(
        "marketplace.listing_moved",
        subject_id=row.id,
        organisation_id=row.provider_id,
        body={
            "from": before,
            "to": to,
            "version_id": row.newest_version_id,
            "by": by,
            "operator": operator,
        },
    )
