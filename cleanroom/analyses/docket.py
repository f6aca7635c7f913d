"""An owner's docket: questions that wait for a ruling, or have got one; in pages, sorted and filtered in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from cleanroom.accounts.models import OrganisationRow
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.grants.models import GrantRow
from cleanroom.grants.types import GrantStatus
from cleanroom.rules.approvals import approval_of
from cleanroom.rules.models import ApprovalRow
from cleanroom.rules.types import Approval
from cleanroom.workspaces.models import WorkspaceRow
from policies.request import ApprovalState

_BUYER, _AGENCY = aliased(OrganisationRow), aliased(OrganisationRow)
_SORTS: Mapping[str, Any] = MappingProxyType(
    {
        # Ids carry the time.
        "asked": ApprovalRow.id,
        "buyer": func.lower(_BUYER.name),
        "dataset": func.lower(DatasetRow.name),
        "state": ApprovalRow.state,
        "cost": ApprovalRow.rho_micro,
    }
)
SORTS = tuple(_SORTS)


@dataclass(frozen=True)
class DocketEntry:
    """A question, or a template of questions, with what stands beside it.

    Attributes:
        approval: as it stands.
        dataset: name of the dataset.
        buyer: name of the advertiser.
        verified: whether an operator has confirmed who the advertiser is.
        agency: name of the agency; None without one.
        granted_micro: what the grant was given.
        left_micro: what it can still spend; 0 when it has ended.
    """

    approval: Approval
    dataset: str
    buyer: str
    verified: bool
    agency: str | None
    granted_micro: int
    left_micro: int

    @property
    def left_after_micro(self) -> int:
        """What the question would leave of the grant; below 0 when it cannot be paid any more."""
        return self.left_micro - self.approval.rho_micro


def docket(
    tx: Transaction,
    owner_id: str,
    *,
    state: ApprovalState | None = None,
    buyer: str = "",
    dataset_id: str = "",
    sort: str = "asked",
    descending: bool = False,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[DocketEntry, ...], int]:
    """Return a page of what an organisation rules on.

    Args:
        tx: any transaction.
        owner_id: of the datasets.
        state: only those in one state.
        buyer: only those whose advertiser's name holds this text, whatever its case.
        dataset_id: only those about one dataset.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.

    Returns:
        The page, and how many there are in all.
    """
    wanted = [WorkspaceRow.organisation_id == owner_id, DatasetRow.deleted_at.is_(None)]
    if state is not None:
        wanted.append(ApprovalRow.state == state.value)
    if dataset_id:
        wanted.append(ApprovalRow.dataset_id == dataset_id)
    if buyer:
        wanted.append(_BUYER.name.icontains(buyer, autoescape=True))
    chosen = (
        select(ApprovalRow.id)
        .join(DatasetRow, DatasetRow.id == ApprovalRow.dataset_id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .join(_BUYER, _BUYER.id == ApprovalRow.advertiser_id)
        .where(*wanted)
    )
    total = tx.session.scalar(select(func.count()).select_from(chosen.subquery()))
    order = _SORTS.get(sort, _SORTS["asked"])
    ordered = (order.desc() if descending else order, ApprovalRow.id)
    page = chosen.order_by(*ordered).offset(offset).limit(limit).subquery()
    rows = _beside().join(page, page.c.id == ApprovalRow.id).order_by(*ordered)
    return tuple(_entry(*row) for row in tx.session.execute(rows)), int(total or 0)


def docket_entry(tx: Transaction, approval: Approval) -> DocketEntry:
    """Return a request for approval that a service gave with what stands beside it."""
    row = tx.session.execute(_beside().where(ApprovalRow.id == approval.id)).one()
    return _entry(*row)


def _beside() -> Any:
    return (
        select(ApprovalRow, DatasetRow.name, _BUYER, _AGENCY.name, GrantRow)
        .join(DatasetRow, DatasetRow.id == ApprovalRow.dataset_id)
        .join(_BUYER, _BUYER.id == ApprovalRow.advertiser_id)
        .join(GrantRow, GrantRow.id == ApprovalRow.grant_id)
        .outerjoin(_AGENCY, _AGENCY.id == ApprovalRow.agency_id)
    )


def _entry(
    row: ApprovalRow, dataset: str, buyer: OrganisationRow, agency: str | None, grant: GrantRow
) -> DocketEntry:
    active = grant.status == GrantStatus.ACTIVE.value
    return DocketEntry(
        approval=approval_of(row),
        dataset=dataset,
        buyer=buyer.name,
        verified=buyer.verified_at is not None,
        agency=agency,
        granted_micro=grant.rho_micro,
        left_micro=grant.rho_micro - grant.spent_micro if active else 0,
    )
