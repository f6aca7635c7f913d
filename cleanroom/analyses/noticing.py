"""What an owner of data may notice of questions about it: who asked what kind of question when, and no figure."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.workspaces.models import WorkspaceRow

_ANSWERED = (Outcome.RELEASED.value, Outcome.STORED.value)


@dataclass(frozen=True)
class Noticed:
    """A question that was answered.

    Attributes:
        analysis_id: `an_...`.
        dataset_id: about which dataset.
        dataset: its name.
        buyer: name of the advertiser.
        kind: of the question.
        purpose: that was named.
        asked_at: when. What it came to, whether cells were withheld and what it cost would each tell of a count.
    """

    analysis_id: str
    dataset_id: str
    dataset: str
    buyer: str
    kind: str
    purpose: str
    asked_at: datetime


def answered_lately(tx: Transaction, organisation_id: str, *, limit: int = 10) -> tuple[Noticed, ...]:
    """Return the questions about an organisation's datasets that were answered last, the newest first.

    Args:
        tx: any transaction.
        organisation_id: the owner.
        limit: how many at most.
    """
    rows = (
        select(AnalysisRow, DatasetRow.name, OrganisationRow.name)
        .join(DatasetRow, DatasetRow.id == AnalysisRow.dataset_id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .join(OrganisationRow, OrganisationRow.id == AnalysisRow.advertiser_id)
        .where(WorkspaceRow.organisation_id == organisation_id, AnalysisRow.status.in_(_ANSWERED))
        .order_by(AnalysisRow.id.desc())
        .limit(limit)
    )
    return tuple(
        Noticed(
            analysis_id=row.id,
            dataset_id=row.dataset_id,
            dataset=dataset,
            buyer=buyer,
            kind=str(row.question.get("kind", "")),
            purpose=str(row.question.get("purpose", "")),
            asked_at=row.asked_at,
        )
        for row, dataset, buyer in tx.session.execute(rows)
    )
