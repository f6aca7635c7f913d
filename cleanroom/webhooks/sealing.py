"""Secrets of webhooks: made here, shown once, kept under a key of the key provider and never in clear in SQL."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.audit.log import AuditLog
from cleanroom.client.webhooks import write_secret
from cleanroom.db.database import Transaction
from cleanroom.ids import uuid_of
from cleanroom.webhooks.models import WebhookEndpointRow, WebhookStateRow
from cleanroom.wrapping import make_kek, retire_kek
from crypto.keys import KeyProvider

SECRET_BYTES = 32
STATE = 1
_SHARED = {"read": True}
_LABEL_OF_KEK = "webhooks"
_LABEL = b"cleanroom/webhook-secret/v1\n"


@dataclass(frozen=True)
class Sealing:
    """Makes and opens secrets; one key-encryption key of the room wraps them all."""

    keys: KeyProvider
    log: AuditLog

    def begin(self, tx: Transaction) -> WebhookStateRow:
        """Return the slice's one row; the first caller makes it, with its key, and has the log read from here on.

        Args:
            tx: the caller's transaction; if it is rolled back, a new key is destroyed.
        """
        row = self.hold(tx)
        if row is not None:
            return row
        kek_id = make_kek(tx, self.keys, _LABEL_OF_KEK)
        postgres = tx.connection.dialect.name == "postgresql"
        first = (postgresql.insert if postgres else sqlite.insert)(WebhookStateRow)
        values = first.values(id=STATE, next_index=self.log.size(tx), kek_id=kek_id)
        tx.session.execute(values.on_conflict_do_nothing())
        row = tx.session.get_one(WebhookStateRow, STATE, populate_existing=True)
        if row.kek_id != kek_id:
            # Somebody else was first.
            self.keys.destroy(kek_id)
        return row

    def hold(self, tx: Transaction) -> WebhookStateRow | None:
        """Keep the key in use until the transaction ends: a rotation waits; None when there is none yet.

        Endpoints are read after it, so that what they hold stands under this key.
        """
        return tx.session.get(WebhookStateRow, STATE, with_for_update=_SHARED, populate_existing=True)

    def fresh(self, tx: Transaction, endpoint_id: str, version: int) -> tuple[str, bytes]:
        """Make a secret.

        Returns:
            As its owner is shown it, and as it is stored.
        """
        key = secrets.token_bytes(SECRET_BYTES)
        kek_id = self.begin(tx).kek_id
        return write_secret(key), self.keys.wrap(kek_id, key, context=_context(endpoint_id, version))

    def kek_id(self, tx: Transaction) -> str | None:
        """Return the key-encryption key in use; None when the room has no webhooks yet."""
        row = tx.session.get(WebhookStateRow, STATE)
        return None if row is None else row.kek_id

    def rotate(self, tx: Transaction, now: datetime) -> str | None:
        """Wrap every secret under a new key-encryption key; the old one is destroyed after the commit.

        Secrets stay: what receivers check signatures with does not change.

        Args:
            tx: the caller's transaction.
            now: the instant.

        Returns:
            The new key's id; None when the room has no webhooks yet.
        """
        state = tx.session.get(WebhookStateRow, STATE, with_for_update=True, populate_existing=True)
        if state is None:
            return None
        old, new = state.kek_id, make_kek(tx, self.keys, _LABEL_OF_KEK)
        rows = select(WebhookEndpointRow).order_by(WebhookEndpointRow.id).with_for_update()
        moved = 0
        for row in tx.session.scalars(rows.execution_options(populate_existing=True)):
            context = _context(row.id, row.secret_version)
            row.secret = self.keys.rewrap(old, new, row.secret, context=context)
            if row.old_secret is not None:
                before = _context(row.id, row.secret_version - 1)
                row.old_secret = self.keys.rewrap(old, new, row.old_secret, context=before)
            moved += 1
        state.kek_id = new
        tx.session.flush()
        retire_kek(tx, self.keys, old, now=now)
        tx.audit("webhooks.kek_rotated", subject_id=new, body={"old_kek_id": old, "endpoints": moved})
        return new

    def open(self, tx: Transaction, row: WebhookEndpointRow, now: datetime) -> list[bytes]:
        """Unwrap the keys that sign for an endpoint now, the newest first; raises CryptoError."""
        kek_id = tx.session.get_one(WebhookStateRow, STATE).kek_id
        wrapped = [(row.secret_version, row.secret)]
        if row.old_secret is not None and row.old_secret_until is not None and now < row.old_secret_until:
            wrapped.append((row.secret_version - 1, row.old_secret))
        return [
            self.keys.unwrap(kek_id, secret, context=_context(row.id, version)) for version, secret in wrapped
        ]


def _context(endpoint_id: str, version: int) -> bytes:
    return _LABEL + uuid_of(endpoint_id).bytes + version.to_bytes(4, "big")
