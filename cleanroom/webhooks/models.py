"""Tables of the webhooks slice: endpoints, the outbox of what is to be delivered to them, and the log's cursor."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class WebhookStateRow(Base):
    """One row, made with the first endpoint: how far the log was read, and the key that seals secrets."""

    __tablename__ = "webhook_state"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_index: Mapped[int] = mapped_column(BigInteger)
    kek_id: Mapped[str] = mapped_column(String(100))


class WebhookEndpointRow(Base):
    """An address of an organisation; it goes for good when it is deleted, as addresses may hold secrets."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    # An agency's client, when the endpoint is for what concerns this one alone.
    advertiser_id: Mapped[str | None] = mapped_column(ForeignKey("organisations.id"), index=True)
    url: Mapped[str] = mapped_column(String(2000))
    types: Mapped[list[str]]
    description: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(10))
    disabled_for: Mapped[str | None] = mapped_column(String(10))
    failing_since: Mapped[datetime | None]
    # Events of the log from here on are announced.
    since_index: Mapped[int] = mapped_column(BigInteger)
    secret_version: Mapped[int]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    old_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_secret_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class WebhookDeliveryRow(Base):
    """One message to one endpoint."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        # An event is announced to an endpoint once, whoever reads the log.
        UniqueConstraint("endpoint_id", "event_index"),
        Index("ix_webhook_deliveries_due", "state", "due_at"),
        Index("ix_webhook_deliveries_listed", "endpoint_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_index: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(40))
    # The very bytes that are signed and sent.
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(10))
    # Before this instant nobody is told that it is there: answers are shown by ticks.
    visible_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int]
    status: Mapped[int | None]
    failure: Mapped[str | None] = mapped_column(String(20))
    finished_at: Mapped[datetime | None]
    # Who is sending it now, and until when nobody else may.
    lease: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None]
