"""Tables of the rights slice: requests, passes over files, periods, acts; who is meant is in sealed files only."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base

# In words, not as a parameter: else SQLite does not see that the index serves.
WAITING_ERASURE = text("state = 'excluded'")


class ErasureRow(Base):
    """One request to erase one person, who is named by a commitment alone."""

    __tablename__ = "erasures"
    __table_args__ = (
        Index("ix_erasures_listed", "dataset_id", "id"),
        UniqueConstraint("dataset_id", "commitment"),
        # Every question asks whether its base has one that waits.
        Index(
            "ix_erasures_waiting",
            "dataset_id",
            sqlite_where=WAITING_ERASURE,
            postgresql_where=WAITING_ERASURE,
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    asked_by: Mapped[str] = mapped_column(String(80))
    asked_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(20))
    reference: Mapped[str] = mapped_column(String(80))
    commitment: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    compaction_id: Mapped[str | None] = mapped_column(String(40))
    erased_at: Mapped[datetime | None]


class CompactionRow(Base):
    """One pass over all files of a dataset, which rewrites them without the rows that are to go."""

    __tablename__ = "compactions"
    __table_args__ = (
        Index("ix_compactions_due", "state", "due_at"),
        Index("ix_compactions_listed", "dataset_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    why: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10))
    asked_at: Mapped[datetime]
    # Not before this instant: requests are gathered, and what could not be done is tried again later.
    due_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # Persons' rows and entries of keys.
    done: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int]
    failure: Mapped[str | None] = mapped_column(String(80))
    through_epoch: Mapped[int | None] = mapped_column(BigInteger)
    # Of retention: whose newest consent was collected before this instant goes.
    collected_before: Mapped[datetime | None]


class CompactedVersionRow(Base):
    """How far a version is free of erased people: up to which consent epoch, by which pass."""

    __tablename__ = "compacted_versions"

    version_id: Mapped[str] = mapped_column(ForeignKey("dataset_versions.id"), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    compaction_id: Mapped[str] = mapped_column(String(40))
    epoch: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class ReplacedFileRow(Base):
    """A sealed file that a pass has replaced; the row goes when the file is seen to be gone."""

    __tablename__ = "replaced_files"

    object_key: Mapped[str] = mapped_column(String(160), primary_key=True)
    compaction_id: Mapped[str] = mapped_column(String(40), index=True)


class RetentionRow(Base):
    """How long the data of a dataset or base are kept."""

    __tablename__ = "retention_rules"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    version_days: Mapped[int | None] = mapped_column(Integer)
    retain_until: Mapped[date | None]
    collected_days: Mapped[int | None] = mapped_column(Integer)
    warn_days: Mapped[int] = mapped_column(Integer)
    set_by: Mapped[str] = mapped_column(String(80))
    set_at: Mapped[datetime]


class RetentionWarningRow(Base):
    """That an owner was told of the end of a version's period."""

    __tablename__ = "retention_warnings"

    version_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    due_on: Mapped[date] = mapped_column(primary_key=True)
    warned_at: Mapped[datetime]


class ActRow(Base):
    """An act of destruction, made from one event of the log."""

    __tablename__ = "destruction_acts"
    __table_args__ = (UniqueConstraint("organisation_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    number: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(40))
    event_index: Mapped[int] = mapped_column(BigInteger, unique=True)
    destroyed_at: Mapped[datetime]
    made_at: Mapped[datetime]
    sha256: Mapped[str] = mapped_column(String(64))
    document: Mapped[dict[str, Any]]
