"""Datasets, versions and the catalogue of sealed files between values and rows."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, delete, select

from cleanroom.datasets.models import DatasetVersionRow, SealedFileRow
from cleanroom.datasets.types import Dataset, DatasetKind, DatasetVersion, Role, SealedFile, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.remembered import Remembered
from cleanroom.schema.codec import schema_from_dict
from cleanroom.schema.model import Schema

_SCHEMAS = Remembered[tuple[str, str], Schema](64)


def add_files(tx: Transaction, version_id: str, files: "tuple[SealedFile, ...] | list[SealedFile]") -> None:
    """Enter sealed files into the catalogue of a version."""
    tx.session.add_all(
        SealedFileRow(
            id=file.id,
            version_id=version_id,
            role=int(file.role),
            column=file.column,
            file_id=file.file_id,
            bytes=file.bytes,
            ciphertext_sha256=file.ciphertext_sha256,
            object_key=file.object_key,
        )
        for file in files
    )
    tx.session.flush()


def remove_files(
    tx: Transaction, dataset_id: str, *, version_id: str | None = None
) -> tuple[SealedFile, ...]:
    """Strike every sealed file of a dataset, or of one version, from the catalogue; the store still has them.

    Returns:
        What was struck, to be removed from the store.
    """
    of_it = select(DatasetVersionRow.id).where(DatasetVersionRow.dataset_id == dataset_id)
    if version_id is not None:
        of_it = of_it.where(DatasetVersionRow.id == version_id)
    rows = tx.session.scalars(select(SealedFileRow).where(SealedFileRow.version_id.in_(of_it))).all()
    files = tuple(sealed_file(row) for row in rows)
    tx.session.execute(delete(SealedFileRow).where(SealedFileRow.version_id.in_(of_it)))
    return files


def sealed_file(row: SealedFileRow | Row[Any]) -> SealedFile:
    """Return a sealed file as SQL names it; raises ValueError for a role that does not exist."""
    return SealedFile(
        id=row.id,
        role=Role(row.role),
        column=row.column,
        file_id=row.file_id,
        bytes=row.bytes,
        ciphertext_sha256=row.ciphertext_sha256,
        object_key=row.object_key,
    )


def schema_of(row: Any, stored: Callable[[], Any]) -> Schema:
    """Return a dataset's schema; each question meets two, and to check what was checked when it came in takes longest.

    Args:
        row: of the dataset, with or without the schema's column.
        stored: reads that column, when the schema is not remembered.
    """
    key = row.id, row.schema_sha256
    known = _SCHEMAS.get(key)
    return _SCHEMAS.put(key, schema_from_dict(stored())) if known is None else known


def dataset_of(row: Any, schema: Schema) -> Dataset:
    """Return a dataset as SQL has it, with its schema, which has been read already."""
    return Dataset(
        id=row.id,
        workspace_id=row.workspace_id,
        kind=DatasetKind(row.kind),
        name=row.name,
        schema=schema,
        schema_sha256=row.schema_sha256,
        current_version_id=row.current_version_id,
        created_at=row.created_at,
        deleted_at=row.deleted_at,
    )


def whole_dataset(row: Any) -> Dataset:
    """Return a dataset of a row that has every column."""
    return dataset_of(row, schema_of(row, lambda: row.schema))


def version_of(row: Any) -> DatasetVersion:
    """Return a version as SQL has it."""
    return DatasetVersion(
        id=row.id,
        dataset_id=row.dataset_id,
        number=row.number,
        status=VersionStatus(row.status),
        mode=row.mode,
        previous_version_id=row.previous_version_id,
        package_id=row.package_id,
        rows=row.rows,
        persons=row.persons,
        rejected=row.rejected,
        over_shared=row.over_shared,
        token_key_version=row.token_key_version,
        fingerprint=row.fingerprint,
        files_root=row.files_root,
        failure=row.failure,
        created_at=row.created_at,
        loaded_at=row.loaded_at,
        published_at=row.published_at,
    )
