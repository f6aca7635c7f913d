"""Tables of the accounts slice."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
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


class MandateRow(Base):
    """An agency's right to act for an advertiser."""

    __tablename__ = "mandates"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    agency_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    advertiser_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class EnrolledKeyRow(Base):
    """A public key that may sign an organisation's upload packages."""

    __tablename__ = "enrolled_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    # Unique for good: a revoked key never comes back, and no two parties sign with the same key.
    public_key: Mapped[bytes] = mapped_column(unique=True)
    enrolled_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
