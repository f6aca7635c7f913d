"""Letting an organisation go: everything by which it could act ends in one transaction; its history stays."""

from dataclasses import dataclass

from cleanroom.access.service import Access
from cleanroom.db.database import Transaction
from cleanroom.marketplace.closing import Closing
from cleanroom.webhooks.endpoints import Endpoints
from cleanroom.workspaces.service import Workspaces


@dataclass(frozen=True)
class Departure:
    """What ended when an organisation left, and what is left to do.

    Attributes:
        clients: ids of API clients that stood.
        users: ids of users that stood.
        webhooks: ids of webhooks, and of those at which agencies listened for it.
        grants: ids of grants that were active: held, acted on as an agency, or given over its own people.
        entitlements: ids of those that came with these grants.
        requests: ids of those that waited: to it, for it, or through it.
        listings: ids of its own that were not retired.
        workspaces_destroyed: ids of workspaces whose keys were destroyed.
        workspaces_kept: ids of those that can still be read, until somebody decides.
    """

    clients: tuple[str, ...]
    users: tuple[str, ...]
    webhooks: tuple[str, ...]
    grants: tuple[str, ...]
    entitlements: tuple[str, ...]
    requests: tuple[str, ...]
    listings: tuple[str, ...]
    workspaces_destroyed: tuple[str, ...]
    workspaces_kept: tuple[str, ...]


class Offboarding:
    """Ends what several slices keep for an organisation."""

    def __init__(self, access: Access, closing: Closing, workspaces: Workspaces, webhooks: Endpoints) -> None:
        self._access = access
        self._closing = closing
        self._workspaces = workspaces
        self._webhooks = webhooks

    def leave(self, tx: Transaction, organisation_id: str, *, destroy_workspaces: bool = False) -> Departure:
        """Let an organisation go; again to destroy workspaces that were kept.

        Args:
            tx: the caller's transaction.
            organisation_id: who leaves.
            destroy_workspaces: whether its data becomes unreadable for good, which nobody can take back.

        Raises:
            UnknownOrganisationError: there is no such organisation.
        """
        ended = self._access.offboard(tx, organisation_id)
        closed = self._closing.end_party(tx, organisation_id)
        living = tuple(workspace.id for workspace in self._workspaces.living_of(tx, organisation_id))
        destroyed = living if destroy_workspaces else ()
        for workspace_id in destroyed:
            self._workspaces.destroy(tx, workspace_id)
        return Departure(
            clients=ended.clients,
            users=ended.users,
            webhooks=self._webhooks.end_all(tx, organisation_id),
            grants=closed.grants,
            entitlements=closed.entitlements,
            requests=closed.requests,
            listings=closed.listings,
            workspaces_destroyed=destroyed,
            workspaces_kept=() if destroy_workspaces else living,
        )
