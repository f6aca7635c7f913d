"""Tables of the consent slice: epochs and counts; who withdrew is in sealed files only."""

from datetime import datetime

from sqlalchemy import BigInteger, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class ConsentEpochRow(Base):
    """One accepted batch of changes, or one day on which consents may have expired."""

    __tablename__ = "consent_epochs"
    __table_args__ = (UniqueConstraint("dataset_id", "epoch"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime]
    submitted: Mapped[int] = mapped_column(Integer)
    token_key_version: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[str | None] = mapped_column(String(32))
    ciphertext_sha256: Mapped[str | None] = mapped_column(String(64))
    object_key: Mapped[str | None] = mapped_column(String(160), unique=True)
