"""The outbox of letters."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class MailMessageRow(Base):
    """One letter to one person; where to is read when it is sent."""

    __tablename__ = "mail_messages"
    __table_args__ = (Index("ix_mail_messages_due", "state", "due_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    # None while nobody knows whether an address that was typed is somebody's.
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    # What the person's role must still open when it is sent.
    scope: Mapped[str | None] = mapped_column(String(40))
    # The text, which may hold a link that lets in; gone when the letter is.
    sealed: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int]
    failure: Mapped[str | None] = mapped_column(String(12))
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
    # Who is sending it now, and until when nobody else may.
    lease: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None]
