"""Names for the ids that events hold: of organisations, and of what and who is one's own organisation's."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from cleanroom.access.models import ClientRow, UserRow
from cleanroom.accounts.models import OrganisationRow
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.workspaces.models import WorkspaceRow

_OWNER_OF_DATASET = (
    select(WorkspaceRow.organisation_id).where(WorkspaceRow.id == DatasetRow.workspace_id).scalar_subquery()
)


def names_of(tx: Transaction, ids: Iterable[str], *, organisation_id: str | None) -> dict[str, str]:
    """Return what people call things, by id, five statements at most; ids that have no name are missing.

    Args:
        tx: any transaction.
        ids: of anything.
        organisation_id: whose people, programs, datasets and workspaces are named: what others call theirs, a buyer
            knows from no page; None for everybody's, which is the operator's to see.
    """
    wanted = {one for one in ids if "_" in one}
    found: dict[str, str] = {}
    for prefix, id_, name, owner in (
        ("org_", OrganisationRow.id, OrganisationRow.name, None),
        ("ds_", DatasetRow.id, DatasetRow.name, _OWNER_OF_DATASET),
        ("ws_", WorkspaceRow.id, WorkspaceRow.name, WorkspaceRow.organisation_id),
        ("us_", UserRow.id, UserRow.email, UserRow.organisation_id),
        ("cl_", ClientRow.id, ClientRow.name, ClientRow.organisation_id),
    ):
        some = sorted(one for one in wanted if one.startswith(prefix))
        condition = None if organisation_id is None or owner is None else owner == organisation_id
        found |= _named(tx, id_, name, some, condition)
    return found


def _named(
    tx: Transaction,
    id_: InstrumentedAttribute[str],
    name: InstrumentedAttribute[str],
    ids: list[str],
    condition: ColumnElement[bool] | None,
) -> dict[str, str]:
    if not ids:
        return {}
    rows = select(id_, name).where(id_.in_(ids))
    if condition is not None:
        rows = rows.where(condition)
    return dict(tx.session.execute(rows).all())
