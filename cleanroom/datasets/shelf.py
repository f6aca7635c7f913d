"""An owner's datasets in pages, sorted and filtered where the rows are, each with its newest version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.datasets.rows import version_of
from cleanroom.datasets.types import DatasetKind, DatasetVersion, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.workspaces.models import WorkspaceRow

_CURRENT, _NEWEST = aliased(DatasetVersionRow), aliased(DatasetVersionRow)
_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        "name": func.lower(DatasetRow.name),
        "published": func.coalesce(_CURRENT.published_at, DatasetRow.created_at),
        "persons": func.coalesce(_CURRENT.persons, 0),
        "created": DatasetRow.id,
    }
)
SORTS = tuple(_SORTS)
WAITING = (VersionStatus.AWAITING_JUNK, VersionStatus.LOADED, VersionStatus.FAILED)
"""Newest versions that somebody has to look at."""


@dataclass(frozen=True)
class Shelved:
    """A dataset at a glance.

    Attributes:
        id: `ds_...`.
        name: as its owner called it.
        created_at: when it was registered.
        current: the published version; None before the first.
        newest: the version loaded last, whatever became of it; None before the first.
    """

    id: str
    name: str
    created_at: datetime
    current: DatasetVersion | None
    newest: DatasetVersion | None


def shelf(
    tx: Transaction,
    organisation_id: str,
    *,
    name: str = "",
    waiting: bool = False,
    sort: str = "name",
    descending: bool = False,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[Shelved, ...], int]:
    """Return a page of an organisation's datasets, without those that were deleted.

    Args:
        tx: any transaction.
        organisation_id: whose.
        name: only those whose name holds this text, whatever its case.
        waiting: only those whose newest version somebody has to look at.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    newest = (
        select(func.max(DatasetVersionRow.number))
        .where(DatasetVersionRow.dataset_id == DatasetRow.id)
        .correlate(DatasetRow)
        .scalar_subquery()
    )
    wanted = [
        WorkspaceRow.organisation_id == organisation_id,
        DatasetRow.kind == DatasetKind.DATASET.value,
        DatasetRow.deleted_at.is_(None),
    ]
    if name:
        wanted.append(DatasetRow.name.icontains(name, autoescape=True))
    if waiting:
        wanted.append(_NEWEST.status.in_([status.value for status in WAITING]))
    plain = (DatasetRow.id, DatasetRow.name, DatasetRow.created_at)
    rows = (
        select(*plain, _CURRENT, _NEWEST)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .outerjoin(_CURRENT, _CURRENT.id == DatasetRow.current_version_id)
        .outerjoin(_NEWEST, (_NEWEST.dataset_id == DatasetRow.id) & (_NEWEST.number == newest))
        .where(*wanted)
    )
    total = tx.session.scalar(
        select(func.count()).select_from(rows.with_only_columns(DatasetRow.id).subquery())
    )
    order = _SORTS.get(sort, _SORTS["name"])
    page = rows.order_by(order.desc() if descending else order, DatasetRow.id).offset(offset).limit(limit)
    rows_found: Sequence[tuple[str, str, datetime, Any, Any]] = tx.session.execute(page).all()
    found = tuple(
        Shelved(
            dataset_id,
            title,
            created_at,
            current=version_of(current) if current is not None else None,
            newest=version_of(last) if last is not None else None,
        )
        for dataset_id, title, created_at, current, last in rows_found
    )
    return found, int(total or 0)
