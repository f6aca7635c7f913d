"""Tables of the gate: answers that may be given again, and figures that everyone may see."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class StoredAnswer(Base):
    """A released answer, found again by what was asked of which data."""

    __tablename__ = "stored_answers"
    __table_args__ = (Index("ix_stored_answers_lookup", "question_key", "consent_epoch"),)

    analysis_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    question_key: Mapped[str] = mapped_column(String(64))
    consent_epoch: Mapped[int] = mapped_column(BigInteger)
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    mechanism: Mapped[dict[str, Any]]
    figures: Mapped[dict[str, Any]]
    released_at: Mapped[datetime]


class PublicRelease(Base):
    """A size that everyone sees: noised once per version and purpose, charged to every account of the population."""

    __tablename__ = "public_releases"

    version_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(80), primary_key=True)
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    figure: Mapped[dict[str, Any] | None]
    charged_at: Mapped[datetime]
