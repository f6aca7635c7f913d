"""Tables of the notices slice: what can be told, how far each person has read, and how they want to be told."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class NoticeStateRow(Base):
    """One row: how far the log was read."""

    __tablename__ = "notice_state"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_index: Mapped[int] = mapped_column(BigInteger)


class NoticeRow(Base):
    """Something that happened, for those of an organisation whose role opens it, or for one person."""

    __tablename__ = "notices"
    __table_args__ = (Index("ix_notices_listed", "organisation_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    # Grows with the log: of two notices of one instant the later event has the larger one.
    number: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(24))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    scope: Mapped[str | None] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(index=True)
    data: Mapped[dict[str, Any]]
    # Of an event, or of what one notice is enough for: it is never told twice.
    once: Mapped[str] = mapped_column(String(160), unique=True)


class NoticeReadRow(Base):
    """A notice that a person has marked read."""

    __tablename__ = "notice_reads"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    notice_id: Mapped[str] = mapped_column(
        ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class NoticeReaderRow(Base):
    """How far a person has read everything, and what the person has chosen; without a row nothing and the usual."""

    __tablename__ = "notice_readers"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    read_through: Mapped[int] = mapped_column(BigInteger)
    # Types that are not shown, and types that go by mail.
    hidden: Mapped[list[str]]
    mailed: Mapped[list[str]]
