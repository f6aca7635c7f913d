"""Tables of the marketplace; rows about money, usage or entitlements are added or change state, never deleted."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class ListingRow(Base):
    """An offer of a dataset, or of ready-made segments of it."""

    __tablename__ = "listings"
    # A page of the catalogue is read by this alone.
    __table_args__ = (Index("ix_listings_catalogue", "state", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    provider_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    state: Mapped[str] = mapped_column(String(10))
    newest_version_id: Mapped[str] = mapped_column(String(40))
    live_version_id: Mapped[str | None] = mapped_column(String(40))
    # Titles and texts of the live version in both languages, case-folded.
    search_text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class ListingVersionRow(Base):
    """One wording of a listing; its content never changes."""

    __tablename__ = "listing_versions"
    __table_args__ = (UniqueConstraint("listing_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    listing_id: Mapped[str] = mapped_column(ForeignKey("listings.id"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(10))
    content: Mapped[dict[str, Any]]
    policy_id: Mapped[str] = mapped_column(ForeignKey("policies.id"))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    grade: Mapped[str | None] = mapped_column(String(20))
    written_by: Mapped[str] = mapped_column(String(80))
    reviewed_by: Mapped[str | None] = mapped_column(String(80))
    created_at: Mapped[datetime]


class ListingFacetRow(Base):
    """What the live version of a listing is found by: an attribute, a purpose, a sector, a party it is offered to."""

    __tablename__ = "listing_facets"

    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    value: Mapped[str] = mapped_column(String(200), primary_key=True)
    listing_id: Mapped[str] = mapped_column(ForeignKey("listings.id"), primary_key=True, index=True)


class EntitlementRequestRow(Base):
    """A buyer's request for a listing."""

    __tablename__ = "entitlement_requests"
    # A provider's desk is read in pages, whole or by state.
    __table_args__ = (
        Index("ix_entitlement_requests_desk", "provider_id", "id"),
        Index("ix_entitlement_requests_desk_state", "provider_id", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    listing_id: Mapped[str] = mapped_column(ForeignKey("listings.id"))
    listing_version_id: Mapped[str] = mapped_column(ForeignKey("listing_versions.id"))
    plan_key: Mapped[str] = mapped_column(String(40))
    provider_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    advertiser_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    agency_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"), index=True)
    purposes: Mapped[list[str]]
    kinds: Mapped[list[str]]
    size: Mapped[str] = mapped_column(String(1))
    days: Mapped[int]
    questions: Mapped[int | None]
    note: Mapped[str] = mapped_column(String(2000))
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(500))
    requested_by: Mapped[str] = mapped_column(String(80))
    requested_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(String(80))
    decided_at: Mapped[datetime | None]


class EntitlementRow(Base):
    """A right to use a dataset for a time, with its grant."""

    __tablename__ = "entitlements"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("entitlement_requests.id"), unique=True)
    grant_id: Mapped[str] = mapped_column(ForeignKey("grants.id"), unique=True)
    listing_id: Mapped[str] = mapped_column(ForeignKey("listings.id"))
    listing_version_id: Mapped[str] = mapped_column(ForeignKey("listing_versions.id"))
    plan_key: Mapped[str] = mapped_column(String(40))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    provider_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    advertiser_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    agency_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"), index=True)
    # The operator's share of every amount, in basis points, as it was when the entitlement was made.
    fee_bp: Mapped[int]
    valid_from: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(String(10))
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(String(500))


class UsageRow(Base):
    """What one analysis cost in money, made from the log's record that its receipt proves."""

    __tablename__ = "usage_records"
    __table_args__ = (
        # What a month's answers came to is added up from this alone.
        Index(
            "ix_usage_records_month",
            "entitlement_id",
            "month",
            "outcome",
            "currency",
            "amount_minor",
            "fee_minor",
        ),
        CheckConstraint("fee_minor >= 0 AND fee_minor <= amount_minor", name="fee_within_amount"),
        CheckConstraint("cpm_minor + question_minor = amount_minor", name="parts_add_up"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    # Each analysis is charged once, whoever mints.
    analysis_id: Mapped[str] = mapped_column(String(40), unique=True)
    event_index: Mapped[int] = mapped_column(BigInteger)
    entitlement_id: Mapped[str] = mapped_column(ForeignKey("entitlements.id"))
    month: Mapped[str] = mapped_column(String(7))
    at: Mapped[datetime]
    # released, suppressed, refused; the last two cost nothing.
    outcome: Mapped[str] = mapped_column(String(12))
    people: Mapped[int] = mapped_column(BigInteger)
    rho_micro: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    cpm_minor: Mapped[int] = mapped_column(BigInteger)
    question_minor: Mapped[int] = mapped_column(BigInteger)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    fee_minor: Mapped[int] = mapped_column(BigInteger)


class UsageCursorRow(Base):
    """How far the log has been read for usage: one row, locked by whoever mints."""

    __tablename__ = "usage_cursor"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_index: Mapped[int] = mapped_column(BigInteger)


class StatementMonthRow(Base):
    """A month of which the log has said that its statements are ready."""

    __tablename__ = "statement_months"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    announced_at: Mapped[datetime]
