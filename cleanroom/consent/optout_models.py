"""Tables of opt-outs: batches, epochs and counts; who is on a list is in sealed files only."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class OptOutRow(Base):
    """One accepted batch of opt-outs, over one dataset or over all of an organisation's."""

    __tablename__ = "opt_outs"
    __table_args__ = (Index("ix_opt_outs_listed", "organisation_id", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(String(40))
    dataset_id: Mapped[str | None] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(12))
    action: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(20))
    reference: Mapped[str] = mapped_column(String(80))
    submitted: Mapped[int] = mapped_column(Integer)
    accepted_at: Mapped[datetime]


class OptOutListRow(Base):
    """The sealed entries of a batch in one workspace; they stay, for datasets that come later."""

    __tablename__ = "opt_out_lists"
    __table_args__ = (UniqueConstraint("workspace_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    opt_out_id: Mapped[str] = mapped_column(ForeignKey("opt_outs.id"), index=True)
    workspace_id: Mapped[str] = mapped_column(String(40))
    # Of the batch within the workspace; the upper half of its entries' numbers.
    number: Mapped[int] = mapped_column(Integer)
    # Names of the keys, by the position that entries name.
    keys: Mapped[list[str]]
    token_key_version: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[str] = mapped_column(String(32))
    ciphertext_sha256: Mapped[str] = mapped_column(String(64))
    object_key: Mapped[str] = mapped_column(String(160), unique=True)


class OptOutOutcomeRow(Base):
    """What one dataset did with a batch."""

    __tablename__ = "opt_out_outcomes"

    opt_out_id: Mapped[str] = mapped_column(ForeignKey("opt_outs.id"), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)
    # None when the dataset has none of the batch's keys.
    epoch: Mapped[int | None] = mapped_column(BigInteger)
    applied: Mapped[list[str]]
    not_applied: Mapped[list[str]]


class BarSegmentRow(Base):
    """The sealed bars that one epoch of a dataset brought; without a file once the dataset is deleted."""

    __tablename__ = "bar_segments"
    __table_args__ = (Index("ix_bar_segments_epochs", "dataset_id", "epoch"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40))
    epoch: Mapped[int] = mapped_column(BigInteger)
    token_key_version: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[str | None] = mapped_column(String(32))
    ciphertext_sha256: Mapped[str | None] = mapped_column(String(64))
    object_key: Mapped[str | None] = mapped_column(String(160), unique=True)
