"""Tables of the grants slice; every amount is a whole number of micro-rho, or of delta in units of 10^-12."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class BudgetAccountRow(Base):
    """What one party has taken of one population's budget, over all datasets, purposes and renewals."""

    __tablename__ = "budget_accounts"
    __table_args__ = (
        UniqueConstraint("population_id", "kind", "party"),
        CheckConstraint("allocated_micro >= 0 AND allocated_delta_pico >= 0", name="not_negative"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    population_id: Mapped[str] = mapped_column(ForeignKey("populations.id"))
    kind: Mapped[str] = mapped_column(String(20))
    # An organisation's id, or the affiliates' group; empty for the whole population.
    party: Mapped[str] = mapped_column(String(200))
    allocated_micro: Mapped[int] = mapped_column(BigInteger)
    allocated_delta_pico: Mapped[int] = mapped_column(BigInteger)


class GrantRow(Base):
    """Budget given to one advertiser."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("spent_micro >= 0 AND spent_micro <= rho_micro", name="never_overspent"),
        CheckConstraint(
            "spent_delta_pico >= 0 AND spent_delta_pico <= delta_pico", name="delta_never_overspent"
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    population_id: Mapped[str] = mapped_column(ForeignKey("populations.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    advertiser_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    agency_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"), index=True)
    affiliate_group: Mapped[str | None] = mapped_column(String(200))
    purposes: Mapped[list[str]]
    size: Mapped[str] = mapped_column(String(1))
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    spent_micro: Mapped[int] = mapped_column(BigInteger)
    delta_pico: Mapped[int] = mapped_column(BigInteger)
    spent_delta_pico: Mapped[int] = mapped_column(BigInteger)
    valid_from: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(String(20))
    # Rules that its questions meet besides the owner's, as a policy document.
    licence: Mapped[dict[str, Any] | None]


class LedgerRow(Base):
    """One movement of budget; rows are only added."""

    __tablename__ = "budget_ledger"
    __table_args__ = (UniqueConstraint("subject_id", "kind"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    population_id: Mapped[str] = mapped_column(ForeignKey("populations.id"), index=True)
    grant_id: Mapped[str | None] = mapped_column(ForeignKey("grants.id"), index=True)
    # allocated, returned (subject: the grant); reserved, settled (subject: the analysis); public (subject:
    # the release).
    kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(140))
    base_id: Mapped[str | None] = mapped_column(String(40))
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    delta_pico: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
