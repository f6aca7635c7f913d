"""Which answers were computed over some versions, from the log."""

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from cleanroom.analyses.models import AnalysisRow
from cleanroom.audit.models import AuditEvent
from cleanroom.client.receipts import RELEASED
from cleanroom.db.database import Transaction
from cleanroom.subjects.types import UsedIn

MOST_RELEASES = 1_000


def uses_of(tx: Transaction, dataset_id: str, version_ids: Collection[str]) -> tuple[tuple[UsedIn, ...], int]:
    """Return the answers over some versions of a dataset.

    Args:
        tx: any transaction.
        dataset_id: of which dataset.
        version_ids: of its versions.

    Returns:
        The newest first, at most `MOST_RELEASES`; and how many there are.
    """
    if not version_ids:
        return (), 0
    events = (
        select(AuditEvent.record)
        .join(AnalysisRow, AnalysisRow.id == AuditEvent.subject_id)
        .where(AnalysisRow.dataset_id == dataset_id, AuditEvent.kind == RELEASED)
        .order_by(AuditEvent.index.desc())
        .execution_options(yield_per=500)
    )
    found, in_all = [], 0
    for record in tx.session.scalars(events):
        event = json.loads(record)
        body = event["body"]
        if body["dataset_version_id"] not in version_ids:
            continue
        in_all += 1
        if in_all <= MOST_RELEASES:
            found.append(
                UsedIn(
                    analysis_id=event["subject"],
                    released_at=datetime.fromisoformat(body["released_at"]),
                    version_id=body["dataset_version_id"],
                    purpose=body["purpose"],
                    epoch=body["consent_epoch"],
                )
            )
    return tuple(found), in_all
