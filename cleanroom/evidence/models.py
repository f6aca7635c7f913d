"""The table of the evidence slice."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base

_BIG = BigInteger().with_variant(Integer, "sqlite")


class EvidenceBundleRow(Base):
    """A bundle that is to be made, or was; its file lies in the room's home."""

    __tablename__ = "evidence_bundles"
    __table_args__ = (Index("ix_evidence_bundles_listed", "organisation_id", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    state: Mapped[str] = mapped_column(String(10), index=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    asked_by: Mapped[str] = mapped_column(String(40))
    # The ask of the second person; None where the bundle takes none.
    confirmed: Mapped[str | None] = mapped_column(String(40))
    asked_at: Mapped[datetime]
    wanted: Mapped[dict[str, Any]]
    progress: Mapped[int] = mapped_column(_BIG)
    ended_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(String(100))
    size: Mapped[int | None] = mapped_column(_BIG)
    events: Mapped[int | None] = mapped_column(_BIG)
    bytes: Mapped[int | None] = mapped_column(_BIG)
    sha256: Mapped[str | None] = mapped_column(String(64))
