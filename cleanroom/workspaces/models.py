"""Tables of the workspaces slice; every secret in them is wrapped by the workspace's own KEK."""

from datetime import datetime

from sqlalchemy import ColumnElement, ForeignKey, String, and_
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from cleanroom.db.base import Base

TOKEN = "token"  # noqa: S105 - the name of a purpose
"""The purpose of the secrets that token keys are derived from."""


class PopulationRow(Base):
    """People whose datasets share one privacy account."""

    __tablename__ = "populations"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class WorkspaceRow(Base):
    """An isolated container of one organisation."""

    __tablename__ = "workspaces"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    population_id: Mapped[str] = mapped_column(ForeignKey("populations.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    kek_id: Mapped[str] = mapped_column(String(100))
    next_kek_id: Mapped[str | None] = mapped_column(String(100))
    token_key_version: Mapped[int]
    recipient: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


class WorkspaceSecretRow(Base):
    """A wrapped secret of a workspace; the token secret has versions, the others one."""

    __tablename__ = "workspace_secrets"

    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    retired_at: Mapped[datetime | None]


def token_secret_of(version: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Join a workspace with its token secret of a version, as `token_secret` will ask for it."""
    return and_(
        WorkspaceSecretRow.workspace_id == WorkspaceRow.id,
        WorkspaceSecretRow.purpose == TOKEN,
        WorkspaceSecretRow.version == version,
    )
