"""The table of questions: what became of each, never what was counted."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class AnalysisRow(Base):
    """One question that was asked."""

    __tablename__ = "analyses"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    grant_id: Mapped[str] = mapped_column(String(40), index=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    base_id: Mapped[str] = mapped_column(String(40))
    question: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(12), index=True)
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    asked_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
