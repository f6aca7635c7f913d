"""Organisations between SQL and their values."""

from cleanroom.accounts.errors import OrganisationOffboardedError, UnknownOrganisationError
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import Organisation, OrganisationKind
from cleanroom.db.database import Transaction


def organisation_row(tx: Transaction, organisation_id: str) -> OrganisationRow:
    """Return an organisation's row; raises UnknownOrganisationError."""
    row = tx.session.get(OrganisationRow, organisation_id)
    if row is None:
        raise UnknownOrganisationError("There is no organisation with this id.", remedy="Register it first.")
    return row


def present_row(tx: Transaction, organisation_id: str) -> OrganisationRow:
    """Return the row of an organisation that has not left the room; raises OrganisationOffboardedError."""
    row = organisation_row(tx, organisation_id)
    if row.offboarded_at is not None:
        raise OrganisationOffboardedError(
            "The organisation has left the room.", remedy="Register it anew if it comes back."
        )
    return row


def organisation_of(row: OrganisationRow) -> Organisation:
    """Return what a row says."""
    return Organisation(
        id=row.id,
        name=row.name,
        kind=OrganisationKind(row.kind),
        affiliate_group=row.affiliate_group,
        created_at=row.created_at,
        sector=row.sector,
        verified_at=row.verified_at,
        verification_note=row.verification_note,
        offboarded_at=row.offboarded_at,
    )
