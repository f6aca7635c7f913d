"""The deed of exporting everybody's events as a bundle of evidence: it takes two people of the operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cleanroom.access.scopes import EVENTS_READ, OPERATE
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.evidence.errors import SecondPersonError
from cleanroom.evidence.service import Bundles
from cleanroom.evidence.types import Bundle, Wanted, wanted_from_data
from cleanroom.foureyes.errors import AskFormError
from cleanroom.foureyes.types import Ask
from cleanroom.workspaces.models import WorkspaceRow

EVIDENCE_EXPORT = "evidence_export"
EVERYBODY = "everybody"
"""The subject of a bundle that shows the events of all organisations."""


def ask_alone(
    tx: Transaction, accounts: Accounts, bundles: Bundles, wanted: Wanted, *, organisation_id: str, by: str
) -> Bundle:
    """Ask for a bundle of one's own events, which takes no second person.

    Args:
        tx: the caller's transaction.
        accounts: knows the organisations.
        bundles: makes it.
        wanted: which events.
        organisation_id: who asks.
        by: id of the user who asks.

    Raises:
        SecondPersonError: it would show events of others.
        DatasetNotFoundError: the organisation has no such dataset or base, and is not the operator.
        BundlesWaitError: too many wait.
    """
    asker = accounts.organisation(tx, organisation_id)
    if wanted.organisation_id != organisation_id:
        raise SecondPersonError(
            "A bundle with events of others takes a second person.",
            remedy="Ask for it under Two people, or narrow it to your organisation.",
        )
    if wanted.dataset_id is not None and asker.kind is not OrganisationKind.OPERATOR:
        _require_own(tx, wanted.dataset_id, organisation_id)
    return bundles.ask(tx, wanted, organisation_id=organisation_id, by=by)


def _require_own(tx: Transaction, dataset_id: str, organisation_id: str) -> None:
    # Deleted ones too: what became of them is in the log.
    own = (
        select(DatasetRow.id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(DatasetRow.id == dataset_id, WorkspaceRow.organisation_id == organisation_id)
    )
    if tx.session.scalar(own) is None:
        raise DatasetNotFoundError("There is no dataset with this id.", remedy="Choose one of yours.")


@dataclass(frozen=True)
class EvidenceExport:
    """Has a bundle made that shows events of another organisation, or of all; the operator's alone."""

    accounts: Accounts
    bundles: Bundles
    name: str = EVIDENCE_EXPORT
    asks: str = OPERATE
    # So the operator's own compliance officer can be the second one.
    confirms: str = EVENTS_READ

    def prepare(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        subject_id: str,
        details: Mapping[str, Any],
        reason: str,  # noqa: ARG002 - the protocol's signature
    ) -> Mapping[str, Any]:
        """Return what is wanted, as it is kept.

        Raises:
            AskFormError: the organisation is not the operator, or the subject is not whose events are wanted.
            UnknownOrganisationError: there is no such organisation.
            BundleFormError: a bundle is not narrowed like this.
        """
        wanted = wanted_from_data(details.get("wanted") or {})
        if self.accounts.organisation(tx, organisation_id).kind is not OrganisationKind.OPERATOR:
            raise AskFormError(
                "Events of others are the operator's alone to export.",
                remedy="Ask for a bundle of your own events, which takes nobody else.",
            )
        if subject_id != (wanted.organisation_id or EVERYBODY):
            raise AskFormError(
                "The bundle is not of whom it says.", remedy="Name the organisation, or everybody."
            )
        if wanted.organisation_id is not None:
            self.accounts.organisation(tx, wanted.organisation_id)
        return {"wanted": wanted.as_data()}

    def execute(self, tx: Transaction, ask: Ask) -> None:
        """Have it made by a worker; raises BundlesWaitError when too many wait."""
        self.bundles.ask(
            tx,
            wanted_from_data(ask.details["wanted"]),
            organisation_id=ask.organisation_id,
            by=ask.asked_by,
            confirmed=ask.id,
        )

    def names(self, tx: Transaction, subject_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the names of organisations."""
        named = select(OrganisationRow.id, OrganisationRow.name).where(OrganisationRow.id.in_(subject_ids))
        return dict(tx.session.execute(named).all())
