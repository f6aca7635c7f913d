"""Tables of the signin slice: digests, sealed secrets and instants; nothing that lets its reader in."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class SignInSecretRow(Base):
    """The room's secret for sign-ins, wrapped: one row."""

    __tablename__ = "signin_secrets"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kek_id: Mapped[str] = mapped_column(String(80))
    wrapped: Mapped[bytes]


class CredentialRow(Base):
    """How one person proves who it is."""

    __tablename__ = "credentials"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    # argon2id in its own encoding, which names its parameters.
    password_hash: Mapped[str] = mapped_column(String(200))
    password_set_at: Mapped[datetime]
    # Sealed for this user; it counts once it is confirmed.
    totp_sealed: Mapped[bytes | None]
    totp_confirmed_at: Mapped[datetime | None]
    # The newest time step whose code was used: none is taken twice.
    totp_last_step: Mapped[int] = mapped_column(BigInteger)
    language: Mapped[str | None] = mapped_column(String(5))


class RecoveryCodeRow(Base):
    """A code that stands in for a second factor, once."""

    __tablename__ = "recovery_codes"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    used_at: Mapped[datetime | None]


class LinkRow(Base):
    """A one-time link."""

    __tablename__ = "one_time_links"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    # None for the first run, which makes the first user.
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    drop_second_factor: Mapped[bool]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SessionRow(Base):
    """One place where a person is signed in."""

    __tablename__ = "web_sessions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    stage: Mapped[str] = mapped_column(String(16))
    agent: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ThrottleRow(Base):
    """How often somebody failed lately, under a keyed digest of who or where from."""

    __tablename__ = "signin_throttles"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    failures: Mapped[int]
    blocked_until: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
