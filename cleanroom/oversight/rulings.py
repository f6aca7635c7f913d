"""Every version of every rule of an organisation: which dataset, since when, by whom; in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select

from cleanroom.access.models import ClientRow, UserRow
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.rules.models import PolicyRow
from cleanroom.workspaces.models import WorkspaceRow

_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        # Ids carry the time.
        "since": PolicyRow.id,
        "dataset": func.lower(DatasetRow.name),
        "number": PolicyRow.number,
    }
)
SORTS = tuple(_SORTS)


@dataclass(frozen=True)
class Ruling:
    """A version of a rule.

    Attributes:
        policy_id: `pol_...`.
        dataset_id: whose rule it is.
        dataset: name of the dataset.
        number: 1 for the first.
        name: of the document.
        since: from when it was in force.
        by: e-mail address or name of who put it in force; None when that was not noted.
        sha256: hex digest of the document's canonical JSON.
        newest: whether no other followed it.
    """

    policy_id: str
    dataset_id: str
    dataset: str
    number: int
    name: str
    since: datetime
    by: str | None
    sha256: str
    newest: bool


def rulings(
    tx: Transaction,
    organisation_id: str,
    *,
    dataset: str = "",
    sort: str = "since",
    descending: bool = True,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[Ruling, ...], int]:
    """Return a page of an organisation's versions of rules, and how many there are in all.

    Args:
        tx: any transaction.
        organisation_id: the owner.
        dataset: only those of datasets whose name holds this text, whatever its case.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.
    """
    mine = [WorkspaceRow.organisation_id == organisation_id]
    if dataset:
        mine.append(DatasetRow.name.icontains(dataset, autoescape=True))
    chosen = (
        select(PolicyRow.id)
        .join(DatasetRow, DatasetRow.id == PolicyRow.dataset_id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(*mine)
    )
    total = int(tx.session.scalar(select(func.count()).select_from(chosen.subquery())) or 0)
    order = _SORTS.get(sort, PolicyRow.id)
    ordered = (order.desc() if descending else order, PolicyRow.id.desc())
    page = chosen.order_by(*ordered).offset(offset).limit(limit).subquery()
    newest = (
        select(PolicyRow.dataset_id, func.max(PolicyRow.number).label("number"))
        .group_by(PolicyRow.dataset_id)
        .subquery()
    )
    rows = (
        select(
            PolicyRow,
            DatasetRow.name,
            func.coalesce(UserRow.email, ClientRow.name, PolicyRow.set_by),
            newest.c.number,
        )
        .join(page, page.c.id == PolicyRow.id)
        .join(DatasetRow, DatasetRow.id == PolicyRow.dataset_id)
        .join(newest, newest.c.dataset_id == PolicyRow.dataset_id)
        .outerjoin(UserRow, UserRow.id == PolicyRow.set_by)
        .outerjoin(ClientRow, ClientRow.id == PolicyRow.set_by)
        .order_by(*ordered)
    )
    return tuple(
        Ruling(
            policy_id=row.id,
            dataset_id=row.dataset_id,
            dataset=name,
            number=row.number,
            name=str(row.document.get("name", "")),
            since=row.created_at,
            by=by,
            sha256=row.sha256,
            newest=row.number == last,
        )
        for row, name, by, last in tx.session.execute(rows)
    ), total
