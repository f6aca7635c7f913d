"""The table of the foureyes slice."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class FourEyesAskRow(Base):
    """A deed that one person asks for and another one decides."""

    __tablename__ = "four_eyes_asks"
    __table_args__ = (
        Index("ix_four_eyes_asks_listed", "organisation_id", "id"),
        Index("ix_four_eyes_asks_state", "state", "lapses_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    deed: Mapped[str] = mapped_column(String(30))
    subject_id: Mapped[str] = mapped_column(String(40))
    details: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(String(500))
    asked_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    asked_at: Mapped[datetime]
    lapses_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))
    ended_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(String(500))
