"""An organisation's workspace: made when it first has something to put into it."""

from cleanroom.accounts.service import Accounts
from cleanroom.db.database import Transaction
from cleanroom.workspaces.errors import UnknownWorkspaceError
from cleanroom.workspaces.service import Workspaces
from cleanroom.workspaces.types import Workspace


def workspace_for(
    tx: Transaction,
    *,
    accounts: Accounts,
    workspaces: Workspaces,
    organisation_id: str,
    workspace_id: str | None = None,
) -> Workspace:
    """Return the workspace that an organisation's table goes into.

    Args:
        tx: the caller's transaction.
        accounts: knows the organisation.
        workspaces: makes one, with its keys, if there is none yet.
        organisation_id: whose.
        workspace_id: one of several; the first one when not given.

    Raises:
        UnknownWorkspaceError: the organisation has no workspace with this id.
    """
    # Two first uses at once make one workspace.
    accounts.lock(tx, organisation_id)
    own = workspaces.living_of(tx, organisation_id)
    if workspace_id is not None:
        own = tuple(workspace for workspace in own if workspace.id == workspace_id)
        if not own:
            raise UnknownWorkspaceError("There is no workspace with this id.", remedy="Name one of its own.")
    if own:
        return own[0]
    name = accounts.organisation(tx, organisation_id).name
    return workspaces.create_workspace(tx, organisation_id=organisation_id, name=name)
