"""The room's secret for sign-ins: it seals second factors and keys digests, and lies in SQL under a key of its own."""

import os
import secrets
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.db.database import Transaction
from cleanroom.signin.errors import SignInSecretError
from cleanroom.signin.models import SignInSecretRow
from cleanroom.wrapping import make_kek, retire_kek
from crypto.keys import KeyProvider

_ID = 1
_LABEL = "sign-ins"
_CONTEXT = b"cleanroom/signin-secret/v1\n"
_MADE = ("signin", "secret made")
_SHARED = {"read": True}
_NONCE_BYTES, _SECRET_BYTES = 12, 32


class SignInSecret:
    """Seals and digests what belongs to sign-ins; made by the first writing transaction that needs it.

    The wrapped secret is copied with the database, its key with the keys: neither helps without the other.
    """

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys
        self._derived: dict[bytes, bytes] = {}

    def _make(self, tx: Transaction) -> None:
        kek_id = make_kek(tx, self._keys, _LABEL)
        wrapped = self._keys.wrap(kek_id, secrets.token_bytes(_SECRET_BYTES), context=_CONTEXT)
        dialect = sqlite if tx.connection.dialect.name == "sqlite" else postgresql
        adding = dialect.insert(SignInSecretRow).values(id=_ID, kek_id=kek_id, wrapped=wrapped)
        made = tx.session.execute(adding.on_conflict_do_nothing().returning(SignInSecretRow.id)).first()
        if made is None:
            # Another process made it first.
            self._keys.destroy(kek_id)
            return
        tx.held[_MADE] = True
        tx.audit("signin.secret_made", subject_id=kek_id)

    def kek_id(self, tx: Transaction) -> str | None:
        """Return the key-encryption key in use; None when the room has no such secret yet."""
        row = tx.session.get(SignInSecretRow, _ID)
        return None if row is None else row.kek_id

    def rotate(self, tx: Transaction, now: datetime) -> str | None:
        """Wrap the secret under a new key-encryption key; the old one is destroyed after the commit.

        The secret stays, and with it all that it seals and digests.

        Args:
            tx: the caller's transaction.
            now: the instant.

        Returns:
            The new key's id; None when the room has no such secret yet.
        """
        row = tx.session.get(SignInSecretRow, _ID, with_for_update=True, populate_existing=True)
        if row is None:
            return None
        old, new = row.kek_id, make_kek(tx, self._keys, _LABEL)
        row.wrapped, row.kek_id = self._keys.rewrap(old, new, row.wrapped, context=_CONTEXT), new
        tx.session.flush()
        retire_kek(tx, self._keys, old, now=now)
        tx.audit("signin.kek_rotated", subject_id=new, body={"old_kek_id": old})
        return new

    def seal(self, tx: Transaction, plain: bytes, *, owner: str) -> bytes:
        """Encrypt a person's secret with AES-256-GCM, bound to the person.

        Args:
            tx: any transaction.
            plain: what to encrypt.
            owner: the user's id; it must be given again to open it.

        Returns:
            `plain` plus 28 bytes.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._key(tx, b"seal")).encrypt(nonce, plain, owner.encode())

    def unseal(self, tx: Transaction, sealed: bytes, *, owner: str) -> bytes:
        """Decrypt what `seal` made; raises SignInSecretError when it is damaged or another room's."""
        try:
            return AESGCM(self._key(tx, b"seal")).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode()
            )
        except InvalidTag:
            raise SignInSecretError(
                "A second factor cannot be opened.", remedy="Restore database and keys of one backup."
            ) from None

    def digest(self, tx: Transaction, kind: str, text: str) -> bytes:
        """Return 32 bytes that stand for a text; without the room's key nobody can try texts out.

        Args:
            tx: any transaction.
            kind: what the text is, so that equal texts of different kinds differ.
            text: an address, a code.
        """
        mac = HMAC(self._key(tx, b"digest"), SHA256())
        mac.update(kind.encode() + b"\n" + text.encode())
        return mac.finalize()

    def _key(self, tx: Transaction, use: bytes) -> bytes:
        # No lock around SQL: whoever holds the database's would wait for it.
        if use in self._derived:
            return self._derived[use]
        if tx.session.get(SignInSecretRow, _ID) is None:
            self._make(tx)
        # A rotation waits until it was opened, and its key is not destroyed in between.
        row = tx.session.get_one(SignInSecretRow, _ID, with_for_update=_SHARED, populate_existing=True)
        secret = self._keys.unwrap(row.kek_id, row.wrapped, context=_CONTEXT)
        derived = HKDF(SHA256(), _SECRET_BYTES, salt=None, info=_CONTEXT + use).derive(secret)
        # What this very transaction made may be rolled back.
        if _MADE not in tx.held:
            self._derived[use] = derived
        return derived
