"""Registering parties, mandates and signing keys."""

from datetime import datetime

from sqlalchemy import bindparam, or_, select

from cleanroom.accounts.errors import (
    EnrolmentError,
    MandateError,
    OrganisationKindError,
    OrganisationNameError,
    UnknownOrganisationError,
    UnknownSectorError,
)
from cleanroom.accounts.models import EnrolledKeyRow, MandateRow, OrganisationRow
from cleanroom.accounts.types import Mandate, Organisation, OrganisationKind
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from policies.sectors import SECTORS

MAX_NAME_LENGTH = 200
_PUBLIC_KEY_BYTES = 32
_ORGANISATIONS = Base.metadata.tables[OrganisationRow.__tablename__].c
# Made once: every question runs it, and to put a statement together takes longer than to run it.
_SECTOR = select(_ORGANISATIONS.sector).where(_ORGANISATIONS.id == bindparam("id"))


class Accounts:
    """The service of the accounts slice."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def create_organisation(
        self,
        tx: Transaction,
        *,
        name: str,
        kind: OrganisationKind | str,
        affiliate_group: str | None = None,
        sector: str | None = None,
    ) -> Organisation:
        """Register a legal party.

        Args:
            tx: the caller's transaction.
            name: 1 to 200 characters.
            kind: provider, advertiser, agency or operator.
            affiliate_group: the common name of parties under one control; their budgets count together.
            sector: what it trades in, one of `SECTORS`; policies may allow or block it.

        Returns:
            The organisation.

        Raises:
            OrganisationNameError: the name is empty or too long.
            OrganisationKindError: the kind is not one of the four.
            UnknownSectorError: the sector is not one of the list.
        """
        _require_sector(sector)
        now = self._clock.now()
        text = name.strip()
        if not 0 < len(text) <= MAX_NAME_LENGTH:
            raise OrganisationNameError(
                f"An organisation's name has 1 to {MAX_NAME_LENGTH} characters.",
                remedy="Give it a name of that length.",
            )
        if kind not in set(OrganisationKind):
            raise OrganisationKindError(
                "The organisation's kind is not known.", remedy=f"Use one of {', '.join(OrganisationKind)}."
            )
        row = OrganisationRow(
            id=new_id("org", now),
            name=text,
            kind=OrganisationKind(kind).value,
            affiliate_group=affiliate_group,
            sector=sector,
            created_at=now,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "accounts.organisation_created",
            subject_id=row.id,
            organisation_id=row.id,
            body={
                "name": row.name,
                "kind": row.kind,
                "affiliate_group": row.affiliate_group,
                "sector": row.sector,
            },
        )
        return _organisation(row)

    def set_sector(self, tx: Transaction, organisation_id: str, sector: str | None) -> Organisation:
        """Declare what an organisation trades in, from now on; None takes the declaration back.

        Raises:
            UnknownOrganisationError: there is no such organisation.
            UnknownSectorError: the sector is not one of the list.
        """
        _require_sector(sector)
        row = _row(tx, organisation_id)
        if row.sector != sector:
            body = {"before": row.sector, "sector": sector}
            row.sector = sector
            tx.session.flush()
            tx.audit(
                "accounts.sector_declared",
                subject_id=row.id,
                organisation_id=row.id,
                body=body,
            )
        return _organisation(row)

    def lock(self, tx: Transaction, organisation_id: str) -> None:
        """Let nobody else act for an organisation until this transaction ends, where that would race."""
        one = select(OrganisationRow.id).where(OrganisationRow.id == organisation_id)
        # Not FOR UPDATE: rows that only refer to the organisation may still be written.
        tx.session.execute(one.with_for_update(key_share=True))

    def organisation(self, tx: Transaction, organisation_id: str) -> Organisation:
        """Return an organisation; raises UnknownOrganisationError."""
        return _organisation(_row(tx, organisation_id))

    def sector(self, tx: Transaction, organisation_id: str) -> str | None:
        """Return what an organisation trades in, if it has declared that; None for one that does not exist too."""
        sector: str | None = tx.session.connection().scalar(_SECTOR, {"id": organisation_id})
        return sector

    def grant_mandate(
        self,
        tx: Transaction,
        *,
        agency_id: str,
        advertiser_id: str,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
    ) -> Mandate:
        """Let an agency act for an advertiser.

        Args:
            tx: the caller's transaction.
            agency_id: an organisation of kind agency.
            advertiser_id: an organisation of kind advertiser.
            valid_from: first instant; now when not given.
            valid_until: the instant it ends at, exclusive; open-ended when not given.

        Returns:
            The mandate.

        Raises:
            OrganisationKindError: the parties are not an agency and an advertiser.
            MandateError: it would end before it starts.
        """
        _require_kind(tx, agency_id, OrganisationKind.AGENCY)
        _require_kind(tx, advertiser_id, OrganisationKind.ADVERTISER)
        now = self._clock.now()
        start = valid_from or now
        if valid_until is not None and valid_until <= start:
            raise MandateError("A mandate ends after it starts.", remedy="Choose a later valid_until.")
        row = MandateRow(
            id=new_id("man", now),
            agency_id=agency_id,
            advertiser_id=advertiser_id,
            valid_from=start,
            valid_until=valid_until,
            revoked_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "accounts.mandate_granted",
            subject_id=row.id,
            organisation_id=advertiser_id,
            body={
                "agency_id": agency_id,
                "advertiser_id": advertiser_id,
                "valid_from": rfc3339(start),
                "valid_until": rfc3339(valid_until) if valid_until else None,
            },
        )
        return _mandate(row)

    def revoke_mandate(self, tx: Transaction, mandate_id: str) -> Mandate:
        """End a mandate now; ending it twice changes nothing. Raises MandateError when there is none."""
        row = tx.session.get(MandateRow, mandate_id)
        if row is None:
            raise MandateError("There is no mandate with this id.", remedy="Look the id up in the audit log.")
        if row.revoked_at is None:
            row.revoked_at = self._clock.now()
            tx.audit(
                "accounts.mandate_revoked",
                subject_id=row.id,
                organisation_id=row.advertiser_id,
                body={"agency_id": row.agency_id, "advertiser_id": row.advertiser_id},
            )
        return _mandate(row)

    def mandate_in_force(self, tx: Transaction, *, agency_id: str, advertiser_id: str, at: datetime) -> bool:
        """Tell whether an agency may act for an advertiser at an instant; from a revocation on it may not."""
        found = select(MandateRow.id).where(
            MandateRow.agency_id == agency_id,
            MandateRow.advertiser_id == advertiser_id,
            MandateRow.valid_from <= at,
            or_(MandateRow.valid_until.is_(None), MandateRow.valid_until > at),
            or_(MandateRow.revoked_at.is_(None), MandateRow.revoked_at > at),
        )
        return tx.session.scalars(found.limit(1)).first() is not None

    def enrol_key(self, tx: Transaction, organisation_id: str, public_key: bytes) -> str:
        """Let a public key sign an organisation's upload packages.

        Args:
            tx: the caller's transaction.
            organisation_id: whose key it is.
            public_key: 32 bytes of a raw Ed25519 public key.

        Returns:
            The key's id, `ek_...`, which manifests name.

        Raises:
            EnrolmentError: the length is wrong, or anyone enrolled the key before, even if revoked since.
        """
        _row(tx, organisation_id)
        if len(public_key) != _PUBLIC_KEY_BYTES:
            raise EnrolmentError(
                f"A raw Ed25519 public key has {_PUBLIC_KEY_BYTES} bytes.", remedy="Enrol the raw public key."
            )
        known = select(EnrolledKeyRow.id).where(EnrolledKeyRow.public_key == public_key)
        if tx.session.scalars(known).first() is not None:
            raise EnrolmentError("This key was enrolled before.", remedy="Generate a new signing key.")
        now = self._clock.now()
        row = EnrolledKeyRow(
            id=new_id("ek", now),
            organisation_id=organisation_id,
            public_key=public_key,
            enrolled_at=now,
            revoked_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "accounts.key_enrolled",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"public_key": public_key.hex()},
        )
        return row.id

    def revoke_key(self, tx: Transaction, key_id: str) -> None:
        """End a key's right to sign; ending it twice changes nothing. Raises EnrolmentError if unknown."""
        row = tx.session.get(EnrolledKeyRow, key_id)
        if row is None:
            raise EnrolmentError(
                "There is no enrolled key with this id.", remedy="Look the id up in the audit log."
            )
        if row.revoked_at is None:
            row.revoked_at = self._clock.now()
            tx.audit("accounts.key_revoked", subject_id=row.id, organisation_id=row.organisation_id)

    def enrolled_keys(self, tx: Transaction, organisation_id: str) -> dict[str, bytes]:
        """Return the raw public keys that may sign an organisation's packages now, by key id."""
        rows = select(EnrolledKeyRow).where(
            EnrolledKeyRow.organisation_id == organisation_id,
            EnrolledKeyRow.revoked_at.is_(None),
        )
        return {row.id: row.public_key for row in tx.session.scalars(rows.order_by(EnrolledKeyRow.id))}


def _row(tx: Transaction, organisation_id: str) -> OrganisationRow:
    row = tx.session.get(OrganisationRow, organisation_id)
    if row is None:
        raise UnknownOrganisationError("There is no organisation with this id.", remedy="Register it first.")
    return row


def _require_sector(sector: str | None) -> None:
    if sector is not None and sector not in SECTORS:
        raise UnknownSectorError("The sector is not known.", remedy=f"Use one of: {', '.join(SECTORS)}.")


def _require_kind(tx: Transaction, organisation_id: str, kind: OrganisationKind) -> None:
    if _row(tx, organisation_id).kind != kind:
        raise OrganisationKindError(
            f"The organisation is not of the kind {kind}.",
            remedy="A mandate joins an agency to an advertiser.",
        )


def _organisation(row: OrganisationRow) -> Organisation:
    return Organisation(
        id=row.id,
        name=row.name,
        kind=OrganisationKind(row.kind),
        affiliate_group=row.affiliate_group,
        created_at=row.created_at,
        sector=row.sector,
    )


def _mandate(row: MandateRow) -> Mandate:
    return Mandate(
        id=row.id,
        agency_id=row.agency_id,
        advertiser_id=row.advertiser_id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        revoked_at=row.revoked_at,
    )
