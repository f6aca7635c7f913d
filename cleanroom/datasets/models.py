"""Tables of datasets: facts about files and record counts; rows about people are in sealed files only."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cleanroom.db.base import Base


class DatasetRow(Base):
    """A registered table: a provider's dataset or an advertiser's base."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(40), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(200))
    schema: Mapped[dict[str, Any]]
    schema_sha256: Mapped[str] = mapped_column(String(64))
    current_version_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class DatasetVersionRow(Base):
    """One immutable load of a dataset."""

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    number: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), index=True)
    mode: Mapped[str] = mapped_column(String(8))
    previous_version_id: Mapped[str | None] = mapped_column(String(40))
    package_id: Mapped[str] = mapped_column(String(40))
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    persons: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    over_shared: Mapped[int] = mapped_column(Integer, default=0)
    token_key_version: Mapped[int] = mapped_column(Integer)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    files_root: Mapped[str | None] = mapped_column(String(64))
    failure: Mapped[str | None] = mapped_column(String(80))
    created_at: Mapped[datetime]
    loaded_at: Mapped[datetime | None]
    published_at: Mapped[datetime | None]


class SealedFileRow(Base):
    """One sealed file of a version; together they are the authenticated list of its files."""

    __tablename__ = "sealed_files"
    __table_args__ = (UniqueConstraint("version_id", "role", "column"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("dataset_versions.id"))
    role: Mapped[int] = mapped_column(Integer)
    column: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[str] = mapped_column(String(32))
    bytes: Mapped[int] = mapped_column(BigInteger)
    ciphertext_sha256: Mapped[str] = mapped_column(String(64))
    object_key: Mapped[str] = mapped_column(String(160), unique=True)


class PackageRow(Base):
    """A package that became a version; its identifier is used once."""

    __tablename__ = "packages"

    package_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("dataset_versions.id"))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    signer_key_id: Mapped[str] = mapped_column(String(80))
    ciphertext_sha256: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime]
