"""Tables of the consent slice: epochs and counts; who agreed or withdrew is in sealed files only."""

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.datasets.types import Role
from cleanroom.db.base import Base


class ConsentCheckRow(Base):
    """A dataset whose consents its owner has to confirm before anybody is counted, or had to."""

    __tablename__ = "consent_checks"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    since: Mapped[datetime]
    set_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class ConsentEpochRow(Base):
    """One accepted batch of changes, or one day on which consents may have expired.

    Its segment is named here. What is written beside it, the records' terms and the overlay of a version, is in
    `consent_files`.
    """

    __tablename__ = "consent_epochs"
    __table_args__ = (UniqueConstraint("dataset_id", "epoch"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime]
    submitted: Mapped[int] = mapped_column(Integer)
    token_key_version: Mapped[int] = mapped_column(Integer)
    role: Mapped[int] = mapped_column(Integer, server_default=text(str(int(Role.WITHDRAWALS))))
    file_id: Mapped[str | None] = mapped_column(String(32))
    ciphertext_sha256: Mapped[str | None] = mapped_column(String(64))
    object_key: Mapped[str | None] = mapped_column(String(160), unique=True)
    has_ends: Mapped[bool] = mapped_column(Boolean, server_default=false())
    overlay_version_id: Mapped[str | None] = mapped_column(String(40))
    overlay_is_full: Mapped[bool] = mapped_column(Boolean, server_default=false())


class ConsentFileRow(Base):
    """A sealed file beside an epoch's segment: the records' terms, or the overlay of one purpose."""

    __tablename__ = "consent_files"
    __table_args__ = (UniqueConstraint("epoch_id", "role", "column"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    epoch_id: Mapped[str] = mapped_column(ForeignKey("consent_epochs.id"))
    role: Mapped[int] = mapped_column(Integer)
    column: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[str] = mapped_column(String(32))
    bytes: Mapped[int] = mapped_column(BigInteger)
    ciphertext_sha256: Mapped[str] = mapped_column(String(64))
    object_key: Mapped[str] = mapped_column(String(160), unique=True)


class PurposeRow(Base):
    """A purpose of processing that an organisation has registered; it does not change."""

    __tablename__ = "consent_purposes"
    __table_args__ = (UniqueConstraint("organisation_id", "code"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    code: Mapped[str] = mapped_column(String(64))
    title_en: Mapped[str] = mapped_column(String(200))
    title_ru: Mapped[str] = mapped_column(String(200))
    legal_basis: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    tcf_purposes: Mapped[list[int]] = mapped_column(JSON)
    created_at: Mapped[datetime]


class NoticeVersionRow(Base):
    """One version of what people are shown when they are asked; it does not change."""

    __tablename__ = "consent_notices"
    __table_args__ = (UniqueConstraint("organisation_id", "code", "version"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    code: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    text_en: Mapped[str] = mapped_column(Text)
    text_ru: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    purposes: Mapped[list[str]] = mapped_column(JSON)
    separate_document: Mapped[bool] = mapped_column(Boolean)
    valid_from: Mapped[datetime]
    created_at: Mapped[datetime]


class ConfirmationRow(Base):
    """A token that confirmed a request for consent: its hash, so that it does so once, and nothing about anybody."""

    __tablename__ = "consent_confirmations"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
