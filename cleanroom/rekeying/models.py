"""The table of the rekeying slice: who asked for which rotation, and how far it is."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class KeyRotationRow(Base):
    """One rotation of one workspace's keys."""

    __tablename__ = "key_rotations"
    __table_args__ = (
        Index("ix_key_rotations_listed", "organisation_id", "id"),
        Index("ix_key_rotations_due", "state", "due_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), index=True)
    what: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10))
    asked_by: Mapped[str] = mapped_column(String(80))
    asked_at: Mapped[datetime]
    # Not before this instant: what could not be done is tried again later.
    due_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # Rows of tokens, or files.
    done: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int]
    failure: Mapped[str | None] = mapped_column(String(80))
