"""Users: a record, a role and an invitation; how a person then signs in is not decided here."""

import hashlib
import re
import secrets
from datetime import timedelta

from sqlalchemy import select

from cleanroom.access.errors import InvitationError, LastOwnerError, UnknownUserError, UserError
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
LEADING = frozenset({"owner", "operator"})
"""Roles that administer users: an organisation keeps one person in them."""


class Users:
    """People who sign in for an organisation."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def invite(
        self, tx: Transaction, *, organisation_id: str, email: str, role: str, by: str | None = None
    ) -> NewUser:
        """Make a user's record.

        Args:
            tx: the caller's transaction.
            organisation_id: for whom the person works.
            email: unlike every other user's, whatever the case of its letters.
            role: one of the roles of the organisation's kind.
            by: the user who invites; None for the operator on the server's own machine, and for the room itself.

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
            invitation_digest=_digest(invitation),
            invitation_expires_at=expires_at,
            invited_by=by,
            created_at=now,
            disabled_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "access.user_invited",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"role": role, "by": by},
        )
        return NewUser(_user(row), invitation, expires_at)

    def invite_again(self, tx: Transaction, user_id: str, *, by: str | None = None) -> NewUser:
        """Make a new invitation for somebody who has not accepted the one before, which ends now.

        Args:
            tx: the caller's transaction.
            user_id: for whom.
            by: as for `invite`.

        Raises:
            UnknownUserError: there is no such user, or it was disabled.
            InvitationError: the user has accepted already.
        """
        row = _standing(tx, user_id)
        if row.invitation_digest is None:
            raise InvitationError(
                "The person has accepted the invitation already.",
                remedy="Give out a link for a new password instead.",
            )
        invitation = "inv_" + secrets.token_urlsafe(_INVITATION_BYTES)
        row.invitation_digest, row.invited_by = _digest(invitation), by
        row.invitation_expires_at = expires_at = self._clock.now() + timedelta(days=INVITATION_DAYS)
        tx.session.flush()
        tx.audit(
            "access.user_invited_again",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"by": by},
        )
        return NewUser(_user(row), invitation, expires_at)

    def invited(self, tx: Transaction, invitation: str) -> User:
        """Return whom an invitation is for.

        Raises:
            InvitationError: it was accepted, has expired, was replaced, or never was; or the organisation has left.
        """
        row = tx.session.scalar(
            select(UserRow).where(UserRow.invitation_digest == _digest(invitation)).with_for_update()
        )
        expires_at = row.invitation_expires_at if row is not None else None
        if row is None or expires_at is None or self._clock.now() >= expires_at:
            raise InvitationError(
                "This invitation does not count any more: it was accepted, has expired, or was replaced.",
                remedy="Ask whoever invited you for a new one.",
            )
        self._accounts.require_present(tx, row.organisation_id)
        return _user(row)

    def accept(self, tx: Transaction, invitation: str) -> User:
        """Use an invitation up; raises as `invited`."""
        user = self.invited(tx, invitation)
        row = tx.session.get_one(UserRow, user.id)
        row.invitation_digest = row.invitation_expires_at = None
        tx.session.flush()
        tx.audit("access.invitation_accepted", subject_id=row.id, organisation_id=row.organisation_id)
        return user

    def user(self, tx: Transaction, user_id: str, *, organisation_id: str | None = None) -> User:
        """Return a user, of this organisation if one is named.

        Raises:
            UnknownUserError: there is none; one of another organisation is answered the same.
        """
        row = tx.session.get(UserRow, user_id)
        if row is None or organisation_id not in (None, row.organisation_id):
            raise _unknown()
        return _user(row)

    def change_role(self, tx: Transaction, user_id: str, role: str, *, by: str | None = None) -> User:
        """Give a user another role, which counts from the next request on; the same one again changes nothing.

        Args:
            tx: the caller's transaction.
            user_id: whose.
            role: one of the roles of the organisation's kind.
            by: as for `invite`.

        Raises:
            UnknownUserError: there is no such user, or it was disabled.
            UnknownScopeError: the organisation's kind has no such role.
            LastOwnerError: nobody would be left who administers the organisation's users.
        """
        if role not in LEADING:
            self._hold_organisation(tx, user_id)
        row = _standing(tx, user_id)
        scopes_of_role(self._accounts.organisation(tx, row.organisation_id).kind, role)
        if row.role == role:
            return _user(row)
        if role not in LEADING:
            self._require_another_leader(tx, row)
        before, row.role = row.role, role
        tx.session.flush()
        tx.audit(
            "access.role_changed",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"from": before, "to": role, "by": by},
        )
        return _user(row)

    def retire(self, tx: Transaction, user_id: str, *, by: str | None = None) -> User:
        """End a user's access as `disable` does, unless nobody would be left to administer users.

        Args:
            tx: the caller's transaction.
            user_id: whose.
            by: as for `invite`.

        Raises:
            UnknownUserError: there is no such user.
            LastOwnerError: this is the last one who administers the organisation's users.
        """
        self._hold_organisation(tx, user_id)
        row = tx.session.get(UserRow, user_id)
        if row is not None and row.disabled_at is None:
            self._require_another_leader(tx, row)
        return self.disable(tx, user_id, by=by)

    def disable(self, tx: Transaction, user_id: str, *, by: str | None = None) -> User:
        """End a user's access and invitation now; a second time changes nothing. Raises UnknownUserError."""
        row = tx.session.get(UserRow, user_id)
        if row is None:
            raise _unknown()
        if row.disabled_at is None:
            row.disabled_at = self._clock.now()
            row.invitation_digest = row.invitation_expires_at = None
            tx.session.flush()
            self._accounts.revoke_keys_of(tx, user_id)
            tx.audit(
                "access.user_disabled",
                subject_id=row.id,
                organisation_id=row.organisation_id,
                body={"by": by},
            )
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

    def _hold_organisation(self, tx: Transaction, user_id: str) -> None:
        """Let two who take each other's role away at once take turns; before the user, as when all of them leave."""
        whose = tx.session.scalar(select(UserRow.organisation_id).where(UserRow.id == user_id))
        if whose is not None:
            self._accounts.lock(tx, whose)

    def _require_another_leader(self, tx: Transaction, row: UserRow) -> None:
        if row.role not in LEADING:
            return
        others = select(UserRow.id).where(
            UserRow.organisation_id == row.organisation_id,
            UserRow.id != row.id,
            UserRow.role.in_(LEADING),
            UserRow.disabled_at.is_(None),
            UserRow.invitation_digest.is_(None),
        )
        if tx.session.scalars(others.limit(1)).first() is None:
            raise LastOwnerError(
                "Nobody would be left to administer the organisation's users.",
                remedy="Make somebody else an owner first, who has accepted the invitation.",
            )


def _standing(tx: Transaction, user_id: str) -> UserRow:
    row = tx.session.get(UserRow, user_id, with_for_update=True, populate_existing=True)
    if row is None or row.disabled_at is not None:
        raise _unknown()
    return row


def _unknown() -> UnknownUserError:
    return UnknownUserError("There is no user with this id.", remedy="List the users.")


def _digest(invitation: str) -> bytes:
    # 256 random bits: a fast hash is as good as a slow one.
    return hashlib.sha256(b"cleanroom/invitation/v1\n" + invitation.encode()).digest()


def _user(row: UserRow) -> User:
    return User(
        id=row.id,
        organisation_id=row.organisation_id,
        email=row.email,
        role=row.role,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
