"""Tables of the alarms slice: how far the log was read, what detectors remember of it, and what they raised."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class AlarmStateRow(Base):
    """One row: how far the log was read."""

    __tablename__ = "alarm_state"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_index: Mapped[int] = mapped_column(BigInteger)


class AlarmWatchRow(Base):
    """What a detector remembers of one party: instants of a burst, or the hours that are usual."""

    __tablename__ = "alarm_watches"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    data: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime] = mapped_column(index=True)


class AlarmRow(Base):
    """A pattern that was seen; while nobody has acknowledged it, the same pattern adds to it."""

    __tablename__ = "alarms"
    __table_args__ = (Index("ix_alarms_listed", "organisation_id", "acknowledged_at", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    # Whose people look at it; none for the room's own, which its operator looks at.
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"))
    party_id: Mapped[str | None] = mapped_column(String(40))
    dataset_id: Mapped[str | None] = mapped_column(String(40))
    raised_at: Mapped[datetime]
    last_at: Mapped[datetime]
    first_index: Mapped[int] = mapped_column(BigInteger)
    last_index: Mapped[int] = mapped_column(BigInteger)
    occurrences: Mapped[int]
    acknowledged_at: Mapped[datetime | None]
    # A user or an API client.
    acknowledged_by: Mapped[str | None] = mapped_column(String(40))
    note: Mapped[str] = mapped_column(String(500))
