"""What an owner of data may notice of questions about it: who asked what kind of question when, and no figure."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select, union_all

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


@dataclass(frozen=True)
class Wanted:
    """Which questions to look at; everything named must hold.

    Attributes:
        buyer: the advertiser's name holds this text, whatever its case.
        dataset: the dataset's name holds this text.
        kind: of the question.
        start: asked at this instant or later.
        end: asked before this instant.
        analysis_id: this very question.
    """

    buyer: str = ""
    dataset: str = ""
    kind: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    analysis_id: str | None = None


def answered_lately(tx: Transaction, organisation_id: str, *, limit: int = 10) -> tuple[Noticed, ...]:
    """Return the questions about an organisation's datasets that were answered last, the newest first.

    Args:
        tx: any transaction.
        organisation_id: the owner.
        limit: how many at most.
    """
    # The newest of each dataset by an index, and then of the few datasets that have the newest of all: whatever is
    # stored of others, and however much.
    latest = (
        select(AnalysisRow.id)
        .where(AnalysisRow.dataset_id == DatasetRow.id, AnalysisRow.status.in_(_ANSWERED))
        .order_by(AnalysisRow.id.desc())
        .limit(1)
        .correlate(DatasetRow)
        .scalar_subquery()
    )
    last = (
        select(DatasetRow.id, latest.label("latest"))
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(WorkspaceRow.organisation_id == organisation_id)
        .subquery()
    )
    busiest = select(last.c.id).where(last.c.latest.is_not(None)).order_by(last.c.latest.desc()).limit(limit)
    of_each = [
        select(
            select(AnalysisRow.id)
            .where(AnalysisRow.dataset_id == dataset_id, AnalysisRow.status.in_(_ANSWERED))
            .order_by(AnalysisRow.id.desc())
            .limit(limit)
            .subquery()
            .c.id
        )
        for dataset_id in tx.session.scalars(busiest)
    ]
    if not of_each:
        return ()
    newest = select(AnalysisRow.id).where(AnalysisRow.id.in_(union_all(*of_each)))
    return _noticed(tx, newest, limit=limit)


def answered(
    tx: Transaction, organisation_id: str, wanted: Wanted, *, offset: int = 0, limit: int = 20
) -> tuple[tuple[Noticed, ...], int]:
    """Return a page of the questions about an organisation's datasets that were answered, the newest first.

    Args:
        tx: any transaction.
        organisation_id: the owner.
        wanted: which of them.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    found = _own(select(AnalysisRow.id), organisation_id, dataset=wanted.dataset)
    if wanted.buyer:
        named = select(OrganisationRow.id).where(
            OrganisationRow.name.icontains(wanted.buyer, autoescape=True)
        )
        found = found.where(AnalysisRow.advertiser_id.in_(named))
    if wanted.kind is not None:
        found = found.where(AnalysisRow.question["kind"].as_string() == wanted.kind)
    if wanted.start is not None:
        found = found.where(AnalysisRow.asked_at >= wanted.start)
    if wanted.end is not None:
        found = found.where(AnalysisRow.asked_at < wanted.end)
    if wanted.analysis_id is not None:
        found = found.where(AnalysisRow.id == wanted.analysis_id)
    total = tx.session.scalar(select(func.count()).select_from(found.subquery()))
    return _noticed(tx, found, offset=offset, limit=limit), int(total or 0)


def _own(rows: Select[str], organisation_id: str, *, dataset: str = "") -> Select[str]:
    named: list[ColumnElement[bool]] = [WorkspaceRow.organisation_id == organisation_id]
    if dataset:
        named.append(DatasetRow.name.icontains(dataset, autoescape=True))
    datasets = (
        select(DatasetRow.id).join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id).where(*named)
    )
    return rows.where(AnalysisRow.dataset_id.in_(datasets), AnalysisRow.status.in_(_ANSWERED))


def _noticed(tx: Transaction, found: Select[str], *, offset: int = 0, limit: int) -> tuple[Noticed, ...]:
    # Ids are sorted first, out of an index; what stands beside them is read for one page alone.
    newest = (AnalysisRow.asked_at.desc(), AnalysisRow.id.desc())
    page = found.order_by(*newest).offset(offset).limit(limit).subquery()
    rows = (
        select(AnalysisRow, DatasetRow.name, OrganisationRow.name)
        .join(page, page.c.id == AnalysisRow.id)
        .join(DatasetRow, DatasetRow.id == AnalysisRow.dataset_id)
        .join(OrganisationRow, OrganisationRow.id == AnalysisRow.advertiser_id)
        .order_by(*newest)
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
