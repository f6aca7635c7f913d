"""One-time links: to set a new password, and to begin in a room that nobody can sign in to."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from cleanroom.access.errors import UnknownUserError
from cleanroom.access.models import UserRow
from cleanroom.access.users import Users
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.signin.errors import LinkError
from cleanroom.signin.models import CredentialRow, LinkRow
from cleanroom.signin.types import Invited, LinkKind, NewLink

RESET_TERM = timedelta(hours=24)
FIRST_RUN_TERM = timedelta(hours=24)
_TOKEN_BYTES = 32
_RESETS = (LinkKind.RESET, LinkKind.FORGOTTEN)
_LABEL = b"cleanroom/one-time-link/v1\n"


@dataclass(frozen=True)
class Links:
    """Makes links and uses them up; of one kind there is one for a person at a time."""

    users: Users
    accounts: Accounts
    clock: Clock

    def reset(
        self, tx: Transaction, user_id: str, *, by: str | None = None, drop_second_factor: bool = False
    ) -> NewLink:
        """Make a link with which a person sets a new password; the old one stays good until then.

        Args:
            tx: the caller's transaction.
            user_id: for whom; the link is handed over in person, or on another way that is known to be theirs.
            by: the user who makes it; None for the operator on the server's own machine.
            drop_second_factor: whether the second factor ends with it, for a person who lost theirs.

        Raises:
            UnknownUserError: there is no such user who can sign in.
        """
        user = self.users.user(tx, user_id)
        if user.disabled_at is not None or tx.session.get(CredentialRow, user_id) is None:
            raise UnknownUserError(
                "There is no user with this id who can sign in.",
                remedy="Invite the person, or invite them again.",
            )
        made = self._make(
            tx, LinkKind.RESET, user_id, RESET_TERM, drop_second_factor=drop_second_factor, by=by
        )
        _say_made(tx, user_id, user.organisation_id, by=by, drop_second_factor=drop_second_factor)
        return made

    def forgotten(self, tx: Transaction, user: UserRow) -> NewLink:
        """Make a link for a letter that anybody can have sent: one that was handed over stays good beside it."""
        made = self._make(tx, LinkKind.FORGOTTEN, user.id, RESET_TERM)
        _say_made(tx, user.id, user.organisation_id)
        return made

    def first_run(self, tx: Transaction) -> NewLink:
        """Make the link that lets its bearer make the first organisation and its owner; one made before ends."""
        made = self._make(tx, LinkKind.FIRST_RUN, None, FIRST_RUN_TERM)
        tx.audit("signin.first_run_link_made", subject_id="first_run")
        return made

    def whose(self, tx: Transaction, token: str) -> Invited:
        """Tell whom a reset is for; raises LinkError."""
        row = self.find(tx, LinkKind.RESET, token)
        user = self.users.user(tx, str(row.user_id))
        return Invited(user, self.accounts.require_present(tx, user.organisation_id).name)

    def find(self, tx: Transaction, kind: LinkKind, token: str) -> LinkRow:
        """Return a link that still counts, for a reset one of either kind; raises LinkError."""
        row = tx.session.get(LinkRow, _digest(token), with_for_update=True)
        if (
            row is None
            or row.kind not in (_RESETS if kind in _RESETS else (kind,))
            or self.clock.now() >= row.expires_at
        ):
            raise dead_link()
        if row.user_id is not None and tx.session.get_one(UserRow, row.user_id).disabled_at is not None:
            raise dead_link()
        return row

    def use_up(self, tx: Transaction, kind: LinkKind, token: str) -> LinkRow:
        """Use a link up; of several who try at once, with this link or another of its person, one succeeds.

        Raises:
            LinkError: it does not count, or somebody else was first.
        """
        _hold(tx, select(LinkRow.user_id).where(LinkRow.digest == _digest(token)).scalar_subquery())
        row = self.find(tx, kind, token)
        tx.session.delete(row)
        tx.session.flush()
        return row

    def end_all(self, tx: Transaction, user_id: str) -> None:
        """End all links of a person: whoever has set a password needs none, and may not have asked for them."""
        for row in _hold(tx, user_id):
            tx.session.delete(row)
        tx.session.flush()

    def sweep(self, tx: Transaction) -> None:
        """Forget links that have expired."""
        tx.session.execute(delete(LinkRow).where(LinkRow.expires_at <= self.clock.now()))

    def _make(
        self,
        tx: Transaction,
        kind: LinkKind,
        user_id: str | None,
        term: timedelta,
        *,
        drop_second_factor: bool = False,
        by: str | None = None,
    ) -> NewLink:
        before = select(LinkRow).where(LinkRow.kind == kind.value, LinkRow.user_id == user_id)
        for row in tx.session.scalars(before).all():
            tx.session.delete(row)
        token, expires_at = secrets.token_urlsafe(_TOKEN_BYTES), self.clock.now() + term
        tx.session.add(
            LinkRow(
                digest=_digest(token),
                kind=kind.value,
                user_id=user_id,
                drop_second_factor=drop_second_factor,
                made_by=by,
                expires_at=expires_at,
            )
        )
        tx.session.flush()
        return NewLink(token, expires_at)


def _hold(tx: Transaction, user_id: Any) -> Sequence[LinkRow]:
    """Lock a person's links in one order, so that two who use two of them do not wait for each other."""
    held = select(LinkRow).where(LinkRow.user_id == user_id).order_by(LinkRow.digest).with_for_update()
    return tx.session.scalars(held).all()


def _say_made(
    tx: Transaction,
    user_id: str,
    organisation_id: str,
    *,
    by: str | None = None,
    drop_second_factor: bool = False,
) -> None:
    tx.audit(
        "signin.reset_link_made",
        subject_id=user_id,
        organisation_id=organisation_id,
        body={"by": by, "drop_second_factor": drop_second_factor},
    )


def dead_link() -> LinkError:
    """Return the one answer to every link that does not count."""
    return LinkError(
        "This link does not count any more: it was used, has expired, or was replaced.",
        remedy="Ask whoever gave it to you for a new one.",
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(_LABEL + token.encode()).digest()
