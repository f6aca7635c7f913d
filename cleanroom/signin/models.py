"""Tables of the signin slice: digests, sealed secrets and instants; nothing that lets its reader in."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, UniqueConstraint
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
    # argon2id in its own encoding, which names its parameters; None for who comes by an identity provider alone.
    password_hash: Mapped[str | None] = mapped_column(String(200))
    password_set_at: Mapped[datetime | None]
    # Whose link let the person in last, and when: the password they chose later proves no more than that link.
    linked_by: Mapped[str | None] = mapped_column(String(40))
    linked_at: Mapped[datetime | None]
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
    made_by: Mapped[str | None] = mapped_column(String(40))
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SessionRow(Base):
    """One place where a person is signed in."""

    __tablename__ = "web_sessions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    stage: Mapped[str] = mapped_column(String(16))
    agent: Mapped[str] = mapped_column(String(80))
    # Whether an identity provider has seen a second factor, so that the room asks for none of its own.
    vouched: Mapped[bool]
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


class IdentityRow(Base):
    """Who somebody of an identity provider is here; the provider's name for the person stands under a keyed digest."""

    __tablename__ = "external_identities"
    __table_args__ = (UniqueConstraint("user_id", "provider"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    provider: Mapped[str] = mapped_column(String(30))
    bound_at: Mapped[datetime]


class SsoAttemptRow(Base):
    """Somebody on the way to an identity provider and back; whoever comes back first uses it up."""

    __tablename__ = "sso_attempts"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    browser: Mapped[bytes] = mapped_column(LargeBinary(32))
    provider: Mapped[str] = mapped_column(String(30))
    # Nonce, PKCE's verifier, and what the person wanted.
    sealed: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class KnownDeviceRow(Base):
    """A browser that somebody was signed in with before, under a keyed digest."""

    __tablename__ = "known_devices"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


class SignInPolicyRow(Base):
    """What an organisation asks of its people's sign-ins; without a row nothing beyond what the room asks."""

    __tablename__ = "signin_policies"

    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    second_factor: Mapped[bool]
    set_at: Mapped[datetime]
