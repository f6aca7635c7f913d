"""The policies of all datasets that are about the same people: their accounts are shared."""

from sqlalchemy import func, select

from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.rules.models import PolicyRow
from cleanroom.workspaces.models import WorkspaceRow
from policies.codec import policy_from_data
from policies.model import PolicyDocument


def policies_of_population(
    tx: Transaction, population_id: str, *, but: str = ""
) -> tuple[PolicyDocument, ...]:
    """Return the policy in force of every dataset of a population that has one, but one dataset's when it is named."""
    newest = (
        select(PolicyRow.dataset_id, func.max(PolicyRow.number).label("number"))
        .join(DatasetRow, DatasetRow.id == PolicyRow.dataset_id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(WorkspaceRow.population_id == population_id, PolicyRow.dataset_id != but)
        .group_by(PolicyRow.dataset_id)
        .subquery()
    )
    in_force = (
        select(PolicyRow.document)
        .join(newest, (newest.c.dataset_id == PolicyRow.dataset_id) & (newest.c.number == PolicyRow.number))
        .order_by(PolicyRow.dataset_id)
    )
    return tuple(policy_from_data(document) for document in tx.session.scalars(in_force))
