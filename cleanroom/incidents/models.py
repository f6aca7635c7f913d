"""Tables of the incidents slice; entries are added and never changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class IncidentRow(Base):
    """An incident in the register of one organisation."""

    __tablename__ = "incidents"
    __table_args__ = (Index("ix_incidents_register", "organisation_id", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    kind: Mapped[str] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(200))
    discovered_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(String(80))
    closed_at: Mapped[datetime | None]
    scope: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class IncidentDutyRow(Base):
    """A duty to tell somebody of an incident, with its term."""

    __tablename__ = "incident_duties"
    __table_args__ = (Index("ix_incident_duties_due", "state", "due_at"),)

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    duty: Mapped[str] = mapped_column(String(20), primary_key=True)
    due_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))
    ended_at: Mapped[datetime | None]
    # How often people were reminded: once when the term's end is near, and once when it has passed.
    reminded: Mapped[int] = mapped_column(Integer)


class IncidentEntryRow(Base):
    """One entry about an incident."""

    __tablename__ = "incident_entries"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    salt: Mapped[str] = mapped_column(String(64))
    shown: Mapped[bool] = mapped_column(Boolean)
    facts: Mapped[dict[str, Any]]


class IncidentShareRow(Base):
    """An organisation with which an incident was shared."""

    __tablename__ = "incident_shares"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), primary_key=True, index=True)
    shared_at: Mapped[datetime]
