"""The table of questions: what became of each, never what was counted."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class AnalysisRow(Base):
    """One question that was asked."""

    __tablename__ = "analyses"
    # How often a party asks, and what it asked last, is looked up before every question.
    __table_args__ = (Index("ix_analyses_party", "dataset_id", "advertiser_id", "asked_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    grant_id: Mapped[str] = mapped_column(String(40), index=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    base_id: Mapped[str] = mapped_column(String(40))
    base_version_id: Mapped[str] = mapped_column(String(40))
    advertiser_id: Mapped[str] = mapped_column(String(40))
    agency_id: Mapped[str | None] = mapped_column(String(40))
    question: Mapped[dict[str, Any]]
    # The pieces of a question that was permitted, for the difference alarm; empty for others.
    outline: Mapped[list[str]]
    status: Mapped[str] = mapped_column(String(12), index=True)
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    asked_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
