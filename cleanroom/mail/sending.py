"""Sending over SMTP: one connection for what is due, each letter claimed just before and recorded just after."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cleanroom.clock import Clock
from cleanroom.db.database import Database
from cleanroom.mail.outbox import Claimed, MailOutbox
from cleanroom.mail.types import MailFailure
from cleanroom.mail.writing import AddressRefused, message, travelling
from cleanroom.settings.mail import MailSettings

SECONDS = 20.0
"""For each answer of a relay."""
_PERMANENT = range(500, 600)


@dataclass(frozen=True)
class MailSending:
    """Sends what is due; a worker's thread runs it, and no transaction is open while it waits for a relay."""

    db: Database
    clock: Clock
    outbox: MailOutbox
    settings: MailSettings | None

    def send_due(self) -> bool:
        """Send some letters that are due; returns whether one was sent."""
        if self.settings is None:
            return False
        with self.db.reading() as tx:
            due = self.outbox.due(tx)
        if not due:
            return False
        sent = False
        with _connection(self.settings) as relay:
            for message_id in due:
                with self.db.transaction() as tx:
                    claimed = self.outbox.claim(tx, message_id)
                if claimed is None:
                    continue
                failure = (
                    relay if isinstance(relay, MailFailure) else self._send(self.settings, relay, claimed)
                )
                with self.db.transaction() as tx:
                    self.outbox.record(tx, claimed, failure)
                sent = sent or failure is None
                if failure is MailFailure.UNREACHABLE and not isinstance(relay, MailFailure):
                    # The connection is gone: the others are sent over the next one.
                    break
        return sent

    def _send(self, settings: MailSettings, relay: smtplib.SMTP, claimed: Claimed) -> MailFailure | None:
        try:
            to = travelling(claimed.to)
            made = message(
                claimed.letter,
                id_=claimed.id,
                to=to,
                sender=settings.sender,
                room=self.outbox.room,
                at=self.clock.now(),
            )
            relay.send_message(made, settings.sender, [to])
        except (AddressRefused, smtplib.SMTPNotSupportedError, UnicodeEncodeError):
            return MailFailure.REFUSED
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return MailFailure.REFUSED if all(code in _PERMANENT for code in codes) else MailFailure.LATER
        except smtplib.SMTPResponseException as error:
            return MailFailure.REFUSED if error.smtp_code in _PERMANENT else MailFailure.LATER
        except (smtplib.SMTPException, OSError):
            return MailFailure.UNREACHABLE
        return None


@contextmanager
def _connection(settings: MailSettings) -> Iterator[smtplib.SMTP | MailFailure]:
    """Open a connection to the relay; yields why not when there is none."""
    relay: smtplib.SMTP | None = None
    try:
        found: smtplib.SMTP | MailFailure
        try:
            found = relay = _open(settings)
        except smtplib.SMTPAuthenticationError:
            found = MailFailure.LOGIN
        except (ssl.SSLError, smtplib.SMTPNotSupportedError):
            found = MailFailure.TLS
        except (smtplib.SMTPException, OSError):
            found = MailFailure.UNREACHABLE
        yield found
    finally:
        if relay is not None:
            with suppress(smtplib.SMTPException, OSError):
                relay.quit()
            relay.close()


def _open(settings: MailSettings) -> smtplib.SMTP:
    # The authorities of the machine (SSL_CERT_FILE included), and the relay's own name.
    trusted = ssl.create_default_context()
    if settings.security == "tls":
        relay: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=trusted)
    else:
        relay = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
    try:
        if settings.security == "starttls":
            # A relay that does not offer it is left alone: nothing is said in the open.
            relay.starttls(context=trusted)
        if settings.user is not None and settings.password is not None:
            relay.login(settings.user, settings.password)
    except BaseException:
        relay.close()
        raise
    return relay
