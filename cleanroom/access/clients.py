"""API clients: registering them, their keys and secrets, and checking what they show."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from cleanroom.access.client_keys import read_key_set
from cleanroom.access.errors import ClientKeyError, ClientRegistrationError, UnknownClientError
from cleanroom.access.models import ClientKeyRow, ClientRow, ClientSecretRow
from cleanroom.access.scopes import require_scopes, scopes_of_kind, scopes_of_role
from cleanroom.access.types import Client, ClientMethod, Credential, NewClient
from cleanroom.accounts.models import OrganisationRow
from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id

MAX_NAME_LENGTH = 200
SECRET_PREFIX = "crs_"  # noqa: S105 - lets scanners of leaked secrets know one
USE_NOTED_EVERY = timedelta(minutes=5)
_SECRET_BYTES = 32
# Made once: every request runs it, and to put a statement together takes longer than to run it.
_IN_FORCE = (
    select(Base.metadata.tables[ClientRow.__tablename__], OrganisationRow.kind)
    .join(OrganisationRow)
    .where(
        ClientRow.id == bindparam("client"),
        ClientRow.revoked_at.is_(None),
        OrganisationRow.offboarded_at.is_(None),
    )
)


class Clients:
    """Programs that call the room, and how they prove who they are."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def register(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        name: str,
        role: str | None = None,
        scopes: Iterable[str] | None = None,
        key_set: Mapping[str, Any] | None = None,
    ) -> NewClient:
        """Register a client: with public keys, or with a secret that the room makes.

        Args:
            tx: the caller's transaction.
            organisation_id: whose client it is.
            name: for people; 1 to 200 characters.
            role: one of the roles of the organisation's kind; either this or scopes.
            scopes: listed one by one.
            key_set: a JWKS of public keys; a secret is made when there is none.

        Returns:
            The client, and its secret, which nobody can read again.

        Raises:
            UnknownOrganisationError: there is no such organisation.
            OrganisationOffboardedError: it has left the room.
            ClientRegistrationError: the name is empty or too long, or role and scopes are both given or both missing.
            UnknownScopeError: the organisation's kind has no such role or scope.
            ClientKeyError: a key cannot be used.
        """
        organisation = self._accounts.require_present(tx, organisation_id)
        text = name.strip()
        if not 0 < len(text) <= MAX_NAME_LENGTH:
            raise ClientRegistrationError(
                f"A client's name has 1 to {MAX_NAME_LENGTH} characters.",
                remedy="Give it a name of that length.",
            )
        if (role is None) == (scopes is None):
            raise ClientRegistrationError("A client has either a role or scopes.", remedy="Give one of them.")
        if role is not None:
            scopes_of_role(organisation.kind, role)
        listed = require_scopes(organisation.kind, scopes) if scopes is not None else frozenset()
        now = self._clock.now()
        method = ClientMethod.CLIENT_SECRET_BASIC if key_set is None else ClientMethod.PRIVATE_KEY_JWT
        row = ClientRow(
            id=new_id("cl", now),
            organisation_id=organisation_id,
            name=text,
            method=method.value,
            role=role,
            scopes=sorted(listed),
            created_at=now,
            revoked_at=None,
            last_used_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "access.client_registered",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"method": row.method, "role": role, "scopes": row.scopes},
        )
        secret = None
        if key_set is None:
            secret = self._add_secret(tx, row, now)
        else:
            self._add_keys(tx, row, key_set, now)
        return NewClient(client_of(row, organisation.kind), secret)

    def rotate(
        self,
        tx: Transaction,
        client_id: str,
        *,
        old_ends_at: datetime,
        key_set: Mapping[str, Any] | None = None,
    ) -> NewClient:
        """Give a client new keys, or a new secret; the ones before it end at an instant.

        Args:
            tx: the caller's transaction.
            client_id: whose.
            old_ends_at: until when the credentials before it still count; now to end them at once.
            key_set: a JWKS of new public keys, for a client that has keys.

        Returns:
            The client, and the new secret if it has secrets.

        Raises:
            UnknownClientError: there is no such client.
            ClientRegistrationError: it was revoked, or it has secrets and keys were given, or the reverse.
            ClientKeyError: a key cannot be used.
        """
        row = self._row(tx, client_id)
        if row.revoked_at is not None:
            raise ClientRegistrationError("The client was revoked.", remedy="Register a new one.")
        if (row.method == ClientMethod.PRIVATE_KEY_JWT) != (key_set is not None):
            raise ClientRegistrationError(
                f"This client proves who it is by {row.method}.",
                remedy="Give new public keys for a client with keys, and none for one with a secret.",
            )
        now = self._clock.now()
        end = max(old_ends_at, now)
        for table in (ClientKeyRow, ClientSecretRow):
            standing = (table.expires_at.is_(None)) | (table.expires_at > end)
            tx.session.execute(
                update(table).where(table.client_id == client_id, standing).values(expires_at=end)
            )
        tx.audit(
            "access.credentials_ending",
            subject_id=client_id,
            organisation_id=row.organisation_id,
            body={"at": rfc3339(end)},
        )
        secret = None
        if key_set is None:
            secret = self._add_secret(tx, row, now)
        else:
            self._add_keys(tx, row, key_set, now)
        return NewClient(self.client(tx, client_id), secret)

    def revoke(self, tx: Transaction, client_id: str) -> Client:
        """End a client and all its tokens now; a second time changes nothing. Raises UnknownClientError."""
        row = self._row(tx, client_id)
        if row.revoked_at is None:
            row.revoked_at = self._clock.now()
            tx.session.flush()
            tx.audit("access.client_revoked", subject_id=row.id, organisation_id=row.organisation_id)
        return self.client(tx, client_id)

    def revoke_all(self, tx: Transaction, organisation_id: str) -> tuple[str, ...]:
        """End every client of an organisation; returns the ids of those that ended now."""
        standing = select(ClientRow.id).where(
            ClientRow.organisation_id == organisation_id, ClientRow.revoked_at.is_(None)
        )
        found = tuple(tx.session.scalars(standing.order_by(ClientRow.id)))
        for client_id in found:
            self.revoke(tx, client_id)
        return found

    def client(self, tx: Transaction, client_id: str) -> Client:
        """Return a client, revoked or not; raises UnknownClientError."""
        found = self._find(tx, client_id)
        if found is None:
            raise _unknown()
        return client_of(*found)

    def in_force(self, tx: Transaction, client_id: str) -> Client | None:
        """Return a client that may call now; None when it is unknown or revoked, or its organisation has left."""
        found = tx.connection.execute(_IN_FORCE, {"client": client_id}).one_or_none()
        return None if found is None else client_of(found, OrganisationKind(found.kind))

    def of(self, tx: Transaction, organisation_id: str | None = None) -> tuple[Client, ...]:
        """List the clients of an organisation, or of all, oldest first, revoked ones too."""
        rows = select(ClientRow, OrganisationRow.kind).join(OrganisationRow).order_by(ClientRow.id)
        if organisation_id is not None:
            rows = rows.where(ClientRow.organisation_id == organisation_id)
        return tuple(client_of(row, OrganisationKind(kind)) for row, kind in tx.session.execute(rows))

    def owned(self, tx: Transaction, client_id: str, *, organisation_id: str) -> Client:
        """Return a client of an organisation; raises UnknownClientError, for another's as for none."""
        found = self._find(tx, client_id)
        if found is None or found[0].organisation_id != organisation_id:
            raise _unknown()
        return client_of(*found)

    def use_is_news(self, client: Client) -> bool:
        """Tell whether it is worth a write that a client proved who it is just now."""
        return client.last_used_at is None or self._clock.now() - client.last_used_at >= USE_NOTED_EVERY

    def note_use(self, tx: Transaction, client_id: str) -> None:
        """Note that a client proved who it is just now; it is no event of the log, which would tell its pace."""
        used = update(ClientRow).where(ClientRow.id == client_id).values(last_used_at=self._clock.now())
        tx.session.execute(used, execution_options={"synchronize_session": False})

    def credentials(self, tx: Transaction, client_id: str) -> tuple[Credential, ...]:
        """List the keys and secrets of a client, those that ended too, oldest first."""
        self._row(tx, client_id)
        keys = tx.session.scalars(select(ClientKeyRow).where(ClientKeyRow.client_id == client_id))
        made = tx.session.scalars(select(ClientSecretRow).where(ClientSecretRow.client_id == client_id))
        found = [Credential(row.id, row.kid, row.added_at, row.expires_at) for row in keys]
        found += [Credential(row.id, None, row.added_at, row.expires_at) for row in made]
        return tuple(sorted(found, key=lambda credential: (credential.added_at, credential.id)))

    def public_keys(self, tx: Transaction, client_id: str) -> dict[str, dict[str, Any]]:
        """Return the public keys that a client's assertions may be signed with now, as JWKs by key id."""
        now = self._clock.now()
        rows = select(ClientKeyRow).where(
            ClientKeyRow.client_id == client_id,
            (ClientKeyRow.expires_at.is_(None)) | (ClientKeyRow.expires_at > now),
        )
        return {row.kid: dict(row.jwk) for row in tx.session.scalars(rows)}

    def secret_fits(self, tx: Transaction, client_id: str, secret: str) -> bool:
        """Tell whether a secret is one that the client may use now."""
        now = self._clock.now()
        rows = select(ClientSecretRow.digest).where(
            ClientSecretRow.client_id == client_id,
            (ClientSecretRow.expires_at.is_(None)) | (ClientSecretRow.expires_at > now),
        )
        digest = secret_digest(secret)
        fitting = [hmac.compare_digest(known, digest) for known in tx.session.scalars(rows)]
        return any(fitting)

    def _add_secret(self, tx: Transaction, row: ClientRow, now: datetime) -> str:
        secret = SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        added = ClientSecretRow(
            id=new_id("cs", now),
            client_id=row.id,
            digest=secret_digest(secret),
            added_at=now,
            expires_at=None,
        )
        tx.session.add(added)
        tx.session.flush()
        tx.audit(
            "access.secret_made",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"secret_id": added.id},
        )
        return secret

    def _add_keys(self, tx: Transaction, row: ClientRow, key_set: Mapping[str, Any], now: datetime) -> None:
        for key in read_key_set(key_set):
            known = select(ClientKeyRow.id).where(
                (ClientKeyRow.thumbprint == key.thumbprint)
                | ((ClientKeyRow.client_id == row.id) & (ClientKeyRow.kid == key.kid))
            )
            if tx.session.scalars(known).first() is not None:
                raise ClientKeyError(
                    "This key, or another of this client with its kid, was registered before.",
                    remedy="Generate a new key.",
                )
            added = ClientKeyRow(
                id=new_id("ck", now),
                client_id=row.id,
                kid=key.kid,
                thumbprint=key.thumbprint,
                jwk=key.jwk,
                added_at=now,
                expires_at=None,
            )
            tx.session.add(added)
            tx.session.flush()
            tx.audit(
                "access.key_added",
                subject_id=row.id,
                organisation_id=row.organisation_id,
                body={"key_id": added.id, "thumbprint": key.thumbprint},
            )

    def _row(self, tx: Transaction, client_id: str) -> ClientRow:
        row = tx.session.get(ClientRow, client_id, with_for_update=True)
        if row is None:
            raise _unknown()
        return row

    def _find(self, tx: Transaction, client_id: str) -> tuple[ClientRow, OrganisationKind] | None:
        one = select(ClientRow, OrganisationRow.kind).join(OrganisationRow).where(ClientRow.id == client_id)
        found = tx.session.execute(one).one_or_none()
        return None if found is None else (found[0], OrganisationKind(found[1]))


def secret_digest(secret: str) -> bytes:
    """Return what is stored of a secret: it has 256 random bits, so a fast hash is as good as a slow one."""
    return hashlib.sha256(b"cleanroom/client-secret/v1\n" + secret.encode()).digest()


def _unknown() -> UnknownClientError:
    return UnknownClientError("There is no client with this id.", remedy="List the clients.")


def client_of(row: ClientRow | Row[Any], kind: OrganisationKind) -> Client:
    """Return a row as a value."""
    scopes = (
        frozenset(row.scopes) & scopes_of_kind(kind) if row.role is None else scopes_of_role(kind, row.role)
    )
    return Client(
        id=row.id,
        organisation_id=row.organisation_id,
        kind=kind,
        name=row.name,
        method=ClientMethod(row.method),
        role=row.role,
        scopes=scopes,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
