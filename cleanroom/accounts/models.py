"""Tables of the accounts slice."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class OrganisationRow(Base):
    """A legal party."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    affiliate_group: Mapped[str | None] = mapped_column(String(200), index=True)
    sector: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    verification_note: Mapped[str | None] = mapped_column(String(500))
    offboarded_at: Mapped[datetime | None]


class MandateRow(Base):
    """An agency's right to act for an advertiser."""

    __tablename__ = "mandates"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    agency_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    advertiser_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # NULL for every purpose.
    purposes: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    may_upload: Mapped[bool] = mapped_column(default=True)
    may_request: Mapped[bool] = mapped_column(default=True)
    may_ask: Mapped[bool] = mapped_column(default=True)
    cap_minor: Mapped[int | None] = mapped_column(BigInteger)
    cap_currency: Mapped[str | None] = mapped_column(String(3))


class EnrolledKeyRow(Base):
    """A public key that may sign an organisation's upload packages."""

    __tablename__ = "enrolled_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    # Unique for good: a revoked key never comes back, and no two parties sign with the same key.
    public_key: Mapped[bytes] = mapped_column(unique=True)
    enrolled_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    # A key that a person's browser made, for one package: it ends by itself, and with the person's access.
    user_id: Mapped[str | None] = mapped_column(String(40), index=True)
    expires_at: Mapped[datetime | None]
