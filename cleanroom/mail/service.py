"""The letters of a room: what people are written, and when."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from cleanroom.access.types import User
from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.mail.outbox import MailOutbox
from cleanroom.mail.sending import MailSending
from cleanroom.mail.types import Letter, MailKind
from cleanroom.mail.wording import letter
from cleanroom.settings.mail import MailSettings
from cleanroom.signin.links import Links
from cleanroom.signin.models import CredentialRow
from cleanroom.signin.secret import SignInSecret
from cleanroom.signin.throttle import Throttle

_MAX_TYPED = 254


@dataclass(frozen=True)
class Mail:
    """The service of the mail slice.

    Attributes:
        db, accounts, throttle, public_url: of the room.
        outbox: what waits.
        sending: sends it.
    """

    db: Database
    accounts: Accounts
    throttle: Throttle
    public_url: str
    outbox: MailOutbox
    sending: MailSending

    @property
    def set_up(self) -> bool:
        """Whether the room sends mail at all."""
        return self.sending.settings is not None

    def invitation(self, tx: Transaction, user: User, invitation: str, *, language: str) -> bool:
        """Write an invitation to the person it is for; returns whether the room sends mail.

        Args:
            tx: the transaction that makes the invitation.
            user: who is invited.
            invitation: its secret.
            language: of whoever invites.
        """
        return self._link(tx, MailKind.INVITATION, user, f"/invitation/{invitation}", language)

    def reset(self, tx: Transaction, user: User, token: str, *, language: str) -> bool:
        """Write a link for a new password to the person it is for; returns whether the room sends mail.

        Args:
            tx: the transaction that makes the link.
            user: whose password.
            token: the link's secret.
            language: of whoever made it, for a person who has chosen none.
        """
        return self._link(tx, MailKind.RESET, user, f"/reset/{token}", language)

    def notice(self, tx: Transaction, user_id: str, made: Letter, *, scope: str | None) -> None:
        """Write to somebody about something that has happened; nothing when the room sends no mail.

        Args:
            tx: the transaction that makes the notice.
            user_id: to whom.
            made: the letter.
            scope: that the person's role must still carry when it is sent.
        """
        if self.set_up:
            self.outbox.enter(tx, MailKind.NOTICE, made, user_id=user_id, scope=scope)

    def forgotten(self, email: str, *, address: str) -> None:
        """Write a link for a new password to an address, if it is somebody's who may sign in.

        Whether it is, the worker finds out: whoever asks learns nothing, not even from the time it takes. Too many
        for one address, or from one, are overlooked.

        Args:
            email: as typed.
            address: where the request came from.
        """
        typed = email.strip().lower()
        if not self.set_up or not 0 < len(typed) <= _MAX_TYPED:
            return
        with self.db.transaction() as tx:
            counted = (("address", address), ("forgotten", typed))
            if any(self.throttle.blocked(tx, kind, who) for kind, who in counted):
                return
            for kind, who in counted:
                self.throttle.take(tx, kind, who)
            self.outbox.enter(tx, MailKind.FORGOTTEN, typed, user_id=None)

    def _link(self, tx: Transaction, kind: MailKind, user: User, path: str, language: str) -> bool:
        if not self.set_up:
            return False
        credential = tx.session.get(CredentialRow, user.id)
        chosen = credential.language if credential is not None else None
        made = letter(
            kind.value,
            chosen or language,
            link=self.public_url + path,
            organisation=self.accounts.organisation(tx, user.organisation_id).name,
            room=self.outbox.room,
        )
        self.outbox.enter(tx, kind, made, user_id=user.id)
        return True


def make_mail(
    db: Database,
    clock: Clock,
    accounts: Accounts,
    secret: SignInSecret,
    throttle: Throttle,
    links: Links,
    *,
    settings: MailSettings | None,
    public_url: str,
) -> Mail:
    """Put the service together.

    Args:
        db, clock, accounts: of the room.
        secret, throttle, links: of its sign-ins.
        settings: of the relay; None when the room sends no mail.
        public_url: of the room.
    """
    room = urlsplit(public_url).hostname or public_url
    outbox = MailOutbox(clock, secret, links, public_url, room)
    return Mail(db, accounts, throttle, public_url, outbox, MailSending(db, clock, outbox, settings))
