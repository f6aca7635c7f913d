"""Tables of what the log shows to the outside: published heads, what witnesses said to them, and its own checks."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base

_BIG = BigInteger().with_variant(Integer, "sqlite")


class AuditPublished(Base):
    """A head that strangers may read; one is published at a tick, if the log has grown since the last one."""

    __tablename__ = "audit_published"

    size: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    note: Mapped[str]
    published_at: Mapped[datetime]


class AuditCosignature(Base):
    """The line with which one witness vouches that a published head continues everything that it saw before."""

    __tablename__ = "audit_cosignatures"

    size: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    witness: Mapped[str] = mapped_column(String(255), primary_key=True)
    line: Mapped[str]
    cosigned_at: Mapped[datetime]


class AuditWitness(Base):
    """How it stands with one witness; the row goes by the witness's name and survives its removal from the settings."""

    __tablename__ = "audit_witnesses"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[int] = mapped_column(_BIG)
    state: Mapped[str] = mapped_column(String(12))
    detail: Mapped[str] = mapped_column(String(100))
    since: Mapped[datetime]
    tried_at: Mapped[datetime]


class AuditCheck(Base):
    """One verification of a part of the log, asked for or due; its result is what the badge shows."""

    __tablename__ = "audit_checks"
    __table_args__ = (Index("ix_audit_checks_state", "state", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))
    # None for the room's own regular check.
    organisation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    asked_by: Mapped[str | None] = mapped_column(String(40))
    asked_at: Mapped[datetime]
    start: Mapped[int] = mapped_column(_BIG)
    # None for up to the head.
    stop: Mapped[int | None] = mapped_column(_BIG)
    ended_at: Mapped[datetime | None]
    size: Mapped[int | None] = mapped_column(_BIG)
    root: Mapped[str | None] = mapped_column(String(64))
    problems: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON())
