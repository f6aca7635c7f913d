"""The table of questions: what became of each, never what was counted."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class AnalysisRow(Base):
    """One question that was asked."""

    __tablename__ = "analyses"
    __table_args__ = (
        # How often a party asks, and what it asked last, is looked up before every question.
        Index("ix_analyses_party", "dataset_id", "advertiser_id", "asked_at"),
        # What a party has asked is listed in pages.
        Index("ix_analyses_asker", "advertiser_id", "id"),
        # What an owner is shown of questions about its datasets is counted and paged by this alone.
        Index("ix_analyses_noticed", "dataset_id", "status", "asked_at", "id"),
        # What an owner notices: the newest of each of its datasets.
        Index("ix_analyses_newest", "dataset_id", "id"),
    )

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
    # Whether any worker may complete it; otherwise the process that asked does, and nobody after it.
    queued: Mapped[bool] = mapped_column(server_default=false())
    # Of a queued one: what the decision settled, see `cleanroom.analyses.resuming`.
    ticket: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    attempts: Mapped[int] = mapped_column(server_default="0")
    # An answer is shown at multiples of it after the instant of asking; 0 for at once.
    tick_ms: Mapped[int] = mapped_column(server_default="0")
    cancel_asked_at: Mapped[datetime | None]
