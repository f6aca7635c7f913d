"""Tables of the rules slice."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint
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
    # Of the red team's report, when the document permits more than every preset.
    report_sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    # A person or a program of the owner; empty for what was set before it was noted, or by the room itself.
    set_by: Mapped[str | None] = mapped_column(String(40))


class KillSwitchRow(Base):
    """Whether a dataset's owner has stopped all questions; a missing row means it was never touched."""

    __tablename__ = "kill_switches"

    dataset_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    stopped: Mapped[bool]
    changed_at: Mapped[datetime]
    changed_by: Mapped[str | None] = mapped_column(String(40))


class ApprovalRow(Base):
    """A question or a template that waits for its owner's ruling, or has got one."""

    __tablename__ = "approvals"
    __table_args__ = (
        UniqueConstraint("grant_id", "key"),
        Index("ix_approvals_state", "state", "dataset_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    grant_id: Mapped[str] = mapped_column(String(40))
    advertiser_id: Mapped[str] = mapped_column(String(40))
    agency_id: Mapped[str | None] = mapped_column(String(40))
    of: Mapped[str] = mapped_column(String(10))
    key: Mapped[str] = mapped_column(String(64))
    subject: Mapped[dict[str, Any]]
    question: Mapped[dict[str, Any]]
    policy_id: Mapped[str] = mapped_column(String(40))
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(500))
    requested_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(40))


class TrialRow(Base):
    """A document that the red team is let loose on, before it is put in force."""

    __tablename__ = "policy_trials"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    organisation_id: Mapped[str] = mapped_column(String(40))
    document: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10), index=True)
    asked_by: Mapped[str | None] = mapped_column(String(40))
    asked_at: Mapped[datetime]
    # The worker that holds it, a new name each time it is taken: a worker that was given up can end nothing.
    runner: Mapped[str | None] = mapped_column(String(40))
    starts: Mapped[int]
    beat_at: Mapped[datetime | None]
    percent: Mapped[int]
    ended_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(String(80))
    resists: Mapped[bool | None]
    grade: Mapped[str | None] = mapped_column(String(20))
    report: Mapped[str | None] = mapped_column(Text)
    report_sha256: Mapped[str | None] = mapped_column(String(64))
