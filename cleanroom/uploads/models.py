"""The table of uploads: what was announced, how far it is, and what became of it; the bytes lie in a file."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class UploadRow(Base):
    """One upload; the row stays when its bytes are gone."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    package_id: Mapped[str] = mapped_column(String(64), index=True)
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    length: Mapped[int] = mapped_column(BigInteger)
    offset: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), index=True)
    publish: Mapped[bool]
    attempts: Mapped[int] = mapped_column(Integer)
    version_id: Mapped[str | None] = mapped_column(String(40))
    failure: Mapped[str | None] = mapped_column(String(80))
    rows_done: Mapped[int] = mapped_column(BigInteger)
    rows_total: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    received_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
