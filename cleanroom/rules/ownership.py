"""Whose dataset it is: only its owner sets its rule, stops it and rules on questions."""

from sqlalchemy import select

from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.rules.errors import NotYourDatasetError
from cleanroom.workspaces.models import WorkspaceRow


def require_owner(tx: Transaction, dataset_id: str, organisation_id: str) -> None:
    """Refuse whoever does not own a dataset.

    Raises:
        DatasetNotFoundError: there is no such dataset.
        NotYourDatasetError: it is another organisation's.
    """
    owners = (
        select(WorkspaceRow.organisation_id)
        .join(DatasetRow, DatasetRow.workspace_id == WorkspaceRow.id)
        .where(DatasetRow.id == dataset_id, DatasetRow.deleted_at.is_(None))
    )
    owner = tx.session.scalar(owners)
    if owner is None:
        raise DatasetNotFoundError("There is no dataset with this id.", remedy="Register it first.")
    if owner != organisation_id:
        raise NotYourDatasetError(
            "Only the dataset's owner may do this.", remedy="Ask the owner, or name one of your own datasets."
        )
