"""Tables of the access slice."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class ClientRow(Base):
    """A program that calls the room for an organisation."""

    __tablename__ = "api_clients"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    method: Mapped[str] = mapped_column(String(30))
    role: Mapped[str | None] = mapped_column(String(30))
    # What was listed; a role is looked up whenever it counts.
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class ClientKeyRow(Base):
    """A public key that a client signs its assertions with."""

    __tablename__ = "client_keys"
    __table_args__ = (UniqueConstraint("client_id", "kid"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.id"), index=True)
    kid: Mapped[str] = mapped_column(String(200))
    # RFC 7638. Unique for good: a key that ended never comes back, and no two clients sign with the same key.
    thumbprint: Mapped[str] = mapped_column(String(43), unique=True)
    jwk: Mapped[dict[str, Any]]
    added_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class ClientSecretRow(Base):
    """The hash of a secret that the room made for a client."""

    __tablename__ = "client_secrets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.id"), index=True)
    digest: Mapped[bytes]
    added_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class UsedAssertionRow(Base):
    """An assertion that a client has used up; kept for as long as it could be shown again."""

    __tablename__ = "used_assertions"

    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.id"), primary_key=True)
    # SHA-256 of the `jti`, which the client chooses: of any length, and perhaps telling.
    jti_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RevokedTokenRow(Base):
    """An access token that ended before its time; kept until then."""

    __tablename__ = "revoked_tokens"

    token_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyRow(Base):
    """What a client's request was answered with, so that asking again does nothing twice."""

    __tablename__ = "idempotency_records"

    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class UserRow(Base):
    """A person who signs in for an organisation."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    role: Mapped[str] = mapped_column(String(30))
    invitation_digest: Mapped[bytes | None]
    invitation_expires_at: Mapped[datetime | None]
    # Who handed out the invitation; None for the operator on the server's own machine.
    invited_by: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
