"""Tables of the rules slice."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class PolicyRow(Base):
    """One version of a dataset's analysis rule."""

    __tablename__ = "policies"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[int]
    document: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class KillSwitchRow(Base):
    """Whether a dataset's owner has stopped all questions; a missing row means it was never touched."""

    __tablename__ = "kill_switches"

    dataset_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    stopped: Mapped[bool]
    changed_at: Mapped[datetime]
