"""The outbox: letters are entered with what they tell, claimed under a lease, and remembered by what became of them."""

import json
from dataclasses import asdict, dataclass, field
from datetime import timedelta

from sqlalchemy import delete, or_, select, update

from cleanroom.access.models import UserRow
from cleanroom.access.scopes import scopes_of_role
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.mail.models import MailMessageRow
from cleanroom.mail.types import Letter, MailFailure, MailKind, MailState
from cleanroom.mail.wording import letter
from cleanroom.signin.links import Links
from cleanroom.signin.models import CredentialRow
from cleanroom.signin.secret import SignInSecret

LEASE = timedelta(minutes=3)
"""How long a worker may be at one letter; longer than a relay can keep it waiting."""
MAX_ATTEMPTS = 9
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=6)
KEPT = timedelta(days=30)
AT_ONCE = 50
_PENDING = MailState.PENDING.value


@dataclass(frozen=True)
class Claimed:
    """A letter that this worker is to send, and nobody else until its lease ends.

    Attributes:
        id: `ml_...`.
        lease: names this claim.
        to: whom.
        letter: what it says.
    """

    id: str
    lease: str
    to: str = field(repr=False)
    letter: Letter = field(repr=False)


def delay_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts in vain: four times as long each time, up to six hours."""
    factor: int = 4 ** min(attempts - 1, 16)
    return min(LONGEST_DELAY, FIRST_DELAY * factor)


@dataclass(frozen=True)
class MailOutbox:
    """Letters that wait, and what became of others."""

    clock: Clock
    secret: SignInSecret
    links: Links
    public_url: str
    room: str

    def enter(
        self,
        tx: Transaction,
        kind: MailKind,
        plain: Letter | str,
        *,
        user_id: str | None,
        scope: str | None = None,
    ) -> None:
        """Enter a letter.

        Args:
            tx: the transaction of what it tells: both are kept, or neither.
            kind: what it is for.
            plain: the letter; or an address that was typed, of which nobody knows yet whether it is somebody's.
            user_id: to whom.
            scope: that the person's role must still carry when it is sent.
        """
        now = self.clock.now()
        id_ = new_id("ml", now)
        text = json.dumps(asdict(plain) if isinstance(plain, Letter) else plain, ensure_ascii=False)
        tx.session.add(
            MailMessageRow(
                id=id_,
                kind=kind.value,
                user_id=user_id,
                scope=scope,
                sealed=self.secret.seal(tx, text.encode(), owner=id_),
                state=_PENDING,
                created_at=now,
                due_at=now,
                attempts=0,
                failure=None,
                finished_at=None,
                lease=None,
                lease_until=None,
            )
        )
        tx.session.flush()

    def due(self, tx: Transaction) -> tuple[str, ...]:
        """Return the ids of letters to send now, those first that are due longest."""
        now = self.clock.now()
        rows = select(MailMessageRow.id).where(
            MailMessageRow.state == _PENDING,
            MailMessageRow.due_at <= now,
            or_(MailMessageRow.lease_until.is_(None), MailMessageRow.lease_until <= now),
        )
        return tuple(
            tx.session.scalars(rows.order_by(MailMessageRow.due_at, MailMessageRow.id).limit(AT_ONCE))
        )

    def claim(self, tx: Transaction, message_id: str) -> Claimed | None:
        """Take a letter for this worker; the attempt counts from here on.

        Returns:
            None when another worker has it, or when nobody is to get it any more.
        """
        now = self.clock.now()
        lease = new_id("ls", now)
        taken = tx.session.execute(
            update(MailMessageRow)
            .where(
                MailMessageRow.id == message_id,
                MailMessageRow.state == _PENDING,
                or_(MailMessageRow.lease_until.is_(None), MailMessageRow.lease_until <= now),
            )
            .values(lease=lease, lease_until=now + LEASE, attempts=MailMessageRow.attempts + 1)
            .returning(MailMessageRow.id)
        ).first()
        if taken is None:
            return None
        row = tx.session.get_one(MailMessageRow, message_id, populate_existing=True)
        found = self._addressed(tx, row)
        if found is None:
            _finish(row, MailState.DROPPED, self.clock)
            tx.session.flush()
            return None
        return Claimed(row.id, lease, *found)

    def record(self, tx: Transaction, claimed: Claimed, failure: MailFailure | None) -> None:
        """Note what became of an attempt; nothing if its lease has passed to somebody else.

        Args:
            tx: the caller's transaction.
            claimed: the letter.
            failure: None when the relay has taken it.
        """
        row = tx.session.get(MailMessageRow, claimed.id, with_for_update=True, populate_existing=True)
        if row is None or row.lease != claimed.lease:
            return
        row.failure = failure.value if failure is not None else None
        if failure is None:
            _finish(row, MailState.SENT, self.clock)
        elif failure is MailFailure.REFUSED or row.attempts >= MAX_ATTEMPTS:
            _finish(row, MailState.GIVEN_UP, self.clock)
            user = tx.session.get(UserRow, row.user_id) if row.user_id else None
            tx.audit(
                "mail.given_up",
                subject_id=row.id,
                organisation_id=user.organisation_id if user else None,
                body={"kind": row.kind, "failure": failure.value, "user_id": row.user_id},
            )
        else:
            row.lease = row.lease_until = None
            row.due_at = self.clock.now() + delay_after(row.attempts)
        tx.session.flush()

    def sweep(self, tx: Transaction) -> None:
        """Forget letters that are finished for long."""
        tx.session.execute(delete(MailMessageRow).where(MailMessageRow.finished_at < self.clock.now() - KEPT))

    def _addressed(self, tx: Transaction, row: MailMessageRow) -> tuple[str, Letter] | None:
        """Return where a letter goes and what it says; None when nobody is to get it."""
        plain = json.loads(self.secret.unseal(tx, row.sealed or b"", owner=row.id))
        if row.kind == MailKind.FORGOTTEN and row.user_id is None:
            row.user_id = tx.session.scalar(select(UserRow.id).where(UserRow.email == plain))
        user = tx.session.get_one(UserRow, row.user_id) if row.user_id is not None else None
        if user is None or not _may_get(tx, user, row.scope):
            return None
        if row.kind == MailKind.FORGOTTEN:
            made = self._way_in(tx, user)
            return (user.email, made) if made is not None else None
        return user.email, Letter(**{**plain, "paragraphs": tuple(plain["paragraphs"])})

    def _way_in(self, tx: Transaction, user: UserRow) -> Letter | None:
        """Write to somebody who cannot sign in; None for somebody who was invited, and has not accepted."""
        credential = tx.session.get(CredentialRow, user.id)
        if credential is None:
            return None
        if credential.password_hash is None:
            sign_in = f"{self.public_url}/sign-in"
            return letter("no_password", credential.language, link=sign_in, room=self.room)
        # Made for each attempt anew, and good for the last one alone: no link that lets in waits in SQL.
        made = self.links.forgotten(tx, user)
        link = f"{self.public_url}/reset/{made.token}"
        return letter("reset", credential.language, link=link, room=self.room)


def _may_get(tx: Transaction, user: UserRow, scope: str | None) -> bool:
    organisation = tx.session.get_one(OrganisationRow, user.organisation_id)
    if user.disabled_at is not None or organisation.offboarded_at is not None:
        return False
    return scope is None or scope in scopes_of_role(OrganisationKind(organisation.kind), user.role)


def _finish(row: MailMessageRow, state: MailState, clock: Clock) -> None:
    row.state, row.finished_at, row.sealed, row.lease, row.lease_until = (
        state.value,
        clock.now(),
        None,
        None,
        None,
    )
