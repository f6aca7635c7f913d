"""Registering parties, verifying them, letting them go; and the keys that they sign uploads with."""

from datetime import datetime

from sqlalchemy import bindparam, or_, select

from cleanroom.accounts.errors import (
    EnrolmentError,
    OrganisationKindError,
    OrganisationNameError,
    UnknownSectorError,
    UnknownSigningKeyError,
    VerificationError,
)
from cleanroom.accounts.mandates import Mandates
from cleanroom.accounts.models import EnrolledKeyRow, OrganisationRow
from cleanroom.accounts.rows import organisation_of, organisation_row, present_row
from cleanroom.accounts.types import Organisation, OrganisationKind, SigningKey
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from policies.sectors import SECTORS

MAX_NAME_LENGTH = 200
MAX_NOTE_LENGTH = 500
_PUBLIC_KEY_BYTES = 32
_ORGANISATIONS = Base.metadata.tables[OrganisationRow.__tablename__].c
# Made once: every question runs it, and to put a statement together takes longer than to run it.
_SECTOR = select(_ORGANISATIONS.sector).where(_ORGANISATIONS.id == bindparam("id"))


class Accounts(Mandates):
    """The service of the accounts slice."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)

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
        return organisation_of(row)

    def set_sector(self, tx: Transaction, organisation_id: str, sector: str | None) -> Organisation:
        """Declare what an organisation trades in, from now on; None takes the declaration back.

        Raises:
            UnknownOrganisationError: there is no such organisation.
            UnknownSectorError: the sector is not one of the list.
        """
        _require_sector(sector)
        row = organisation_row(tx, organisation_id)
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
        return organisation_of(row)

    def organisation(self, tx: Transaction, organisation_id: str) -> Organisation:
        """Return an organisation; raises UnknownOrganisationError."""
        return organisation_of(organisation_row(tx, organisation_id))

    def sector(self, tx: Transaction, organisation_id: str) -> str | None:
        """Return what an organisation trades in, if it has declared that; None for one that does not exist too."""
        sector: str | None = tx.connection.scalar(_SECTOR, {"id": organisation_id})
        return sector

    def require_present(self, tx: Transaction, organisation_id: str) -> Organisation:
        """Return an organisation that has not left; raises UnknownOrganisationError or OrganisationOffboardedError."""
        return organisation_of(present_row(tx, organisation_id))

    def organisations(self, tx: Transaction) -> tuple[Organisation, ...]:
        """List every organisation, oldest first, those that left too."""
        rows = tx.session.scalars(select(OrganisationRow).order_by(OrganisationRow.id))
        return tuple(organisation_of(row) for row in rows)

    def verify_organisation(self, tx: Transaction, organisation_id: str, *, note: str) -> Organisation:
        """Record that an operator confirmed who an organisation is; again to renew it with another note.

        Args:
            tx: the caller's transaction.
            organisation_id: who.
            note: what the operator looked at, 1 to 500 characters; providers read it, so nothing about a person.

        Raises:
            UnknownOrganisationError: there is no such organisation.
            OrganisationOffboardedError: it has left the room.
            VerificationError: the note is empty or too long.
        """
        text = note.strip()
        if not 0 < len(text) <= MAX_NOTE_LENGTH:
            raise VerificationError(
                f"The note of a verification has 1 to {MAX_NOTE_LENGTH} characters.",
                remedy="Say what was looked at, such as an extract of the register and its date.",
            )
        row = present_row(tx, organisation_id)
        row.verified_at, row.verification_note = self._clock.now(), text
        tx.session.flush()
        tx.audit(
            "accounts.organisation_verified",
            subject_id=row.id,
            organisation_id=row.id,
            body={"note": text},
        )
        return organisation_of(row)

    def offboard(self, tx: Transaction, organisation_id: str) -> Organisation:
        """Let an organisation go: its mandates and signing keys end now, and it gets no new ones.

        Its history stays. A second time changes nothing. Raises UnknownOrganisationError.
        """
        self.lock(tx, organisation_id)
        row = organisation_row(tx, organisation_id)
        if row.offboarded_at is None:
            for mandate in self.mandates(tx, organisation_id):
                self.revoke_mandate(tx, mandate.id)
            for key_id in self.enrolled_keys(tx, organisation_id):
                self.revoke_key(tx, key_id)
            row.offboarded_at = self._clock.now()
            tx.session.flush()
            tx.audit("accounts.organisation_offboarded", subject_id=row.id, organisation_id=row.id)
        return organisation_of(row)

    def enrol_key(
        self,
        tx: Transaction,
        organisation_id: str,
        public_key: bytes,
        *,
        user_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Let a public key sign an organisation's upload packages.

        Args:
            tx: the caller's transaction.
            organisation_id: whose key it is.
            public_key: 32 bytes of a raw Ed25519 public key.
            user_id: in whose browser the key was made; it ends with this person's access.
            expires_at: when it ends by itself; never when not given.

        Returns:
            The key's id, `ek_...`, which manifests name.

        Raises:
            OrganisationOffboardedError: the organisation has left the room.
            EnrolmentError: the length is wrong, or anyone enrolled the key before, even if revoked since.
        """
        present_row(tx, organisation_id)
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
            user_id=user_id,
            expires_at=expires_at,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "accounts.key_enrolled",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"public_key": public_key.hex()}
            | ({"user_id": user_id} if user_id is not None else {})
            | ({"expires_at": rfc3339(expires_at)} if expires_at is not None else {}),
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

    def revoke_keys_of(self, tx: Transaction, user_id: str) -> None:
        """End the keys that were made in a person's browser."""
        rows = select(EnrolledKeyRow.id).where(
            EnrolledKeyRow.user_id == user_id, EnrolledKeyRow.revoked_at.is_(None)
        )
        for key_id in tx.session.scalars(rows.order_by(EnrolledKeyRow.id)).all():
            self.revoke_key(tx, key_id)

    def signing_key(self, tx: Transaction, key_id: str, *, organisation_id: str) -> SigningKey:
        """Return an organisation's key; raises UnknownSigningKeyError, also for another organisation's."""
        row = tx.session.get(EnrolledKeyRow, key_id)
        if row is None or row.organisation_id != organisation_id:
            raise UnknownSigningKeyError("There is no signing key with this id.", remedy="List the keys.")
        return _signing_key(row)

    def signing_keys(
        self, tx: Transaction, organisation_id: str, *, after: str = "", limit: int
    ) -> tuple[SigningKey, ...]:
        """List an organisation's keys by id, those that were revoked too.

        Args:
            tx: any transaction.
            organisation_id: whose.
            after: the id that the first one comes after.
            limit: how many at most.
        """
        rows = select(EnrolledKeyRow).where(
            EnrolledKeyRow.organisation_id == organisation_id, EnrolledKeyRow.id > after
        )
        found = tx.session.scalars(rows.order_by(EnrolledKeyRow.id).limit(limit))
        return tuple(_signing_key(row) for row in found)

    def enrolled_keys(self, tx: Transaction, organisation_id: str) -> dict[str, bytes]:
        """Return the raw public keys that may sign an organisation's packages now, by key id."""
        rows = select(EnrolledKeyRow).where(
            EnrolledKeyRow.organisation_id == organisation_id,
            EnrolledKeyRow.revoked_at.is_(None),
            or_(EnrolledKeyRow.expires_at.is_(None), EnrolledKeyRow.expires_at > self._clock.now()),
        )
        return {row.id: row.public_key for row in tx.session.scalars(rows.order_by(EnrolledKeyRow.id))}


def _require_sector(sector: str | None) -> None:
    if sector is not None and sector not in SECTORS:
        raise UnknownSectorError("The sector is not known.", remedy=f"Use one of: {', '.join(SECTORS)}.")


def _signing_key(row: EnrolledKeyRow) -> SigningKey:
    return SigningKey(
        id=row.id,
        organisation_id=row.organisation_id,
        public_key=row.public_key,
        enrolled_at=row.enrolled_at,
        revoked_at=row.revoked_at,
        user_id=row.user_id,
        expires_at=row.expires_at,
    )
