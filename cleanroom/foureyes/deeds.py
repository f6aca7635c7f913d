"""The deeds: shredding a workspace, and a policy that permits more than the red team found it to withstand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cleanroom.access.scopes import CLIENTS_WRITE, KEYS_WRITE, POLICIES_WRITE
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.types import DatasetKind
from cleanroom.db.database import Transaction
from cleanroom.foureyes.errors import AskFormError
from cleanroom.foureyes.types import Ask
from cleanroom.marketplace.closing import Closing
from cleanroom.rules.service import Rules
from cleanroom.workspaces.errors import UnknownWorkspaceError
from cleanroom.workspaces.models import WorkspaceRow
from cleanroom.workspaces.service import Workspaces
from policies.codec import policy_from_data, policy_to_data
from policies.diff import preset_above, unsafe_reason, with_unsafe_override

SHRED, UNSAFE_POLICY = "shred_workspace", "unsafe_policy"


@dataclass(frozen=True)
class Shredding:
    """Destroys the keys of a workspace: nothing in it can be read any more, copies included."""

    workspaces: Workspaces
    rules: Rules
    closing: Closing
    name: str = SHRED
    asks: str = KEYS_WRITE
    # One of the two is somebody who administers the organisation.
    confirms: str = CLIENTS_WRITE

    def prepare(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        subject_id: str,
        details: Mapping[str, Any],  # noqa: ARG002 - the protocol's signature
        reason: str,  # noqa: ARG002 - the protocol's signature
    ) -> Mapping[str, Any]:
        """Make sure that there is something to destroy.

        Raises:
            UnknownWorkspaceError: the organisation has no such workspace.
            WorkspaceDestroyedError: it was shredded before.
        """
        if self.workspaces.workspace(tx, subject_id).organisation_id != organisation_id:
            raise UnknownWorkspaceError("There is no workspace with this id.", remedy="List your workspaces.")
        self.workspaces.kek(tx, subject_id)
        return {}

    def execute(self, tx: Transaction, ask: Ask) -> None:
        """Stop its datasets, end what is sold of them, and destroy its keys once the transaction has committed.

        Raises as `prepare`.
        """
        # Held against a rotation that ends at this moment.
        held = select(WorkspaceRow).where(WorkspaceRow.id == ask.subject_id).with_for_update()
        tx.session.execute(held.execution_options(populate_existing=True))
        self.prepare(
            tx,
            organisation_id=ask.organisation_id,
            subject_id=ask.subject_id,
            details=ask.details,
            reason=ask.reason,
        )
        living = select(DatasetRow.id).where(
            DatasetRow.workspace_id == ask.subject_id,
            DatasetRow.kind == DatasetKind.DATASET.value,
            DatasetRow.deleted_at.is_(None),
        )
        datasets = tx.session.scalars(living.order_by(DatasetRow.id)).all()
        # All are held before anything sold of them: whoever buys holds the dataset first.
        for dataset_id in datasets:
            self.rules.stop(tx, dataset_id, organisation_id=ask.organisation_id)
        self.closing.end_datasets(tx, datasets)
        self.workspaces.destroy(tx, ask.subject_id)

    def names(self, tx: Transaction, subject_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the names of workspaces."""
        named = select(WorkspaceRow.id, WorkspaceRow.name).where(WorkspaceRow.id.in_(subject_ids))
        return dict(tx.session.execute(named).all())


@dataclass(frozen=True)
class UnsafePolicy:
    """Puts a policy in force that permits more than every preset, without a verdict that it resists."""

    rules: Rules
    name: str = UNSAFE_POLICY
    asks: str = POLICIES_WRITE
    confirms: str = POLICIES_WRITE

    def prepare(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        subject_id: str,
        details: Mapping[str, Any],
        reason: str,
    ) -> Mapping[str, Any]:
        """Return the document, with the override that names the reason if it has none of its own, and what it follows.

        Raises:
            DatasetNotFoundError, NotYourDatasetError: the dataset is not there, or another's.
            PolicyFormatError: this is no policy.
            UndeclaredAttributeError: it names what the dataset does not declare.
            AskFormError: it takes no second person.
        """
        given = details.get("document")
        document = policy_from_data(given if isinstance(given, dict) else {})
        if preset_above(document) is not None:
            raise AskFormError(
                "This policy permits no more than a preset, so that nobody has to confirm it.",
                remedy="Put it in force.",
            )
        if unsafe_reason(document) is None:
            document = with_unsafe_override(document, reason)
        self.rules.examine(tx, subject_id, document, organisation_id=organisation_id)
        current = self.rules.current(tx, subject_id)
        return {"document": policy_to_data(document), "follows": current.number if current else 0}

    def execute(self, tx: Transaction, ask: Ask) -> None:
        """Put it in force; raises as `Rules.set_policy`, also when another version came after it was asked for."""
        self.rules.set_policy(
            tx,
            ask.subject_id,
            policy_from_data(ask.details["document"]),
            organisation_id=ask.organisation_id,
            # A stricter rule that came meanwhile is not undone by whoever looked at this before it came.
            follows=ask.details.get("follows"),
            confirmed=ask.id,
        )

    def names(self, tx: Transaction, subject_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the names of datasets."""
        named = select(DatasetRow.id, DatasetRow.name).where(DatasetRow.id.in_(subject_ids))
        return dict(tx.session.execute(named).all())
