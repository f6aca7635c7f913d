"""Users: a record and an invitation; how a person then signs in is not decided here."""

import hashlib
import re
import secrets
from datetime import timedelta

from sqlalchemy import select

from cleanroom.access.errors import UnknownUserError, UserError
from cleanroom.access.models import UserRow
from cleanroom.access.scopes import scopes_of_role
from cleanroom.access.types import NewUser, User
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id

INVITATION_DAYS = 7
MAX_EMAIL_LENGTH = 254
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_INVITATION_BYTES = 32


class Users:
    """People who sign in for an organisation."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def invite(self, tx: Transaction, *, organisation_id: str, email: str, role: str) -> NewUser:
        """Make a user's record.

        Args:
            tx: the caller's transaction.
            organisation_id: for whom the person works.
            email: unlike every other user's, whatever the case of its letters.
            role: one of the roles of the organisation's kind.

        Returns:
            The user, and an invitation that nobody can read again; it ends after 7 days.

        Raises:
            UnknownOrganisationError: there is no such organisation.
            OrganisationOffboardedError: it has left the room.
            UnknownScopeError: the organisation's kind has no such role.
            UserError: the address is not one, or is taken.
        """
        organisation = self._accounts.require_present(tx, organisation_id)
        scopes_of_role(organisation.kind, role)
        address = email.strip().lower()
        if len(address) > MAX_EMAIL_LENGTH or not _EMAIL.match(address):
            raise UserError(
                f"This is not an e-mail address of at most {MAX_EMAIL_LENGTH} characters.",
                remedy="Check its spelling.",
            )
        if tx.session.scalars(select(UserRow.id).where(UserRow.email == address)).first() is not None:
            raise UserError("A user has this e-mail address already.", remedy="Use another address.")
        now = self._clock.now()
        invitation = "inv_" + secrets.token_urlsafe(_INVITATION_BYTES)
        expires_at = now + timedelta(days=INVITATION_DAYS)
        row = UserRow(
            id=new_id("us", now),
            organisation_id=organisation_id,
            email=address,
            role=role,
            # 256 random bits: a fast hash is as good as a slow one.
            invitation_digest=hashlib.sha256(b"cleanroom/invitation/v1\n" + invitation.encode()).digest(),
            invitation_expires_at=expires_at,
            created_at=now,
            disabled_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "access.user_invited", subject_id=row.id, organisation_id=organisation_id, body={"role": role}
        )
        return NewUser(_user(row), invitation, expires_at)

    def disable(self, tx: Transaction, user_id: str) -> User:
        """End a user's access and invitation now; a second time changes nothing. Raises UnknownUserError."""
        row = tx.session.get(UserRow, user_id)
        if row is None:
            raise UnknownUserError("There is no user with this id.", remedy="List the users.")
        if row.disabled_at is None:
            row.disabled_at = self._clock.now()
            row.invitation_digest = row.invitation_expires_at = None
            tx.session.flush()
            tx.audit("access.user_disabled", subject_id=row.id, organisation_id=row.organisation_id)
        return _user(row)

    def disable_all(self, tx: Transaction, organisation_id: str) -> tuple[str, ...]:
        """End the access of every user of an organisation; returns the ids of those that ended now."""
        standing = select(UserRow.id).where(
            UserRow.organisation_id == organisation_id, UserRow.disabled_at.is_(None)
        )
        found = tuple(tx.session.scalars(standing.order_by(UserRow.id)))
        for user_id in found:
            self.disable(tx, user_id)
        return found

    def of(self, tx: Transaction, organisation_id: str | None = None) -> tuple[User, ...]:
        """List the users of an organisation, or of all, oldest first, disabled ones too."""
        rows = select(UserRow).order_by(UserRow.id)
        if organisation_id is not None:
            rows = rows.where(UserRow.organisation_id == organisation_id)
        return tuple(_user(row) for row in tx.session.scalars(rows))


def _user(row: UserRow) -> User:
    return User(
        id=row.id,
        organisation_id=row.organisation_id,
        email=row.email,
        role=row.role,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
