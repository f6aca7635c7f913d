"""The sealed files that SQL lists, for the audit slice, which knows no datasets."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cleanroom.audit.files import PublishedFiles
from cleanroom.datasets.files import files_root
from cleanroom.datasets.models import DatasetVersionRow, SealedFileRow
from cleanroom.datasets.types import Role, SealedFile, VersionStatus


def published_files(session: Session) -> Iterator[PublishedFiles]:
    """List the sealed files of every published version.

    Args:
        session: reads the room's SQL store.

    Yields:
        One item per version, with the hash over its list recomputed from the rows.
    """
    published = select(DatasetVersionRow.id).where(DatasetVersionRow.status == VersionStatus.PUBLISHED.value)
    for version_id in session.scalars(published.order_by(DatasetVersionRow.id)).all():
        rows = session.scalars(select(SealedFileRow).where(SealedFileRow.version_id == version_id)).all()
        yield PublishedFiles(
            subject_id=version_id,
            files_root=_root(rows),
            files=[(row.object_key, row.ciphertext_sha256) for row in rows],
        )


def _root(rows: Sequence[SealedFileRow]) -> str:
    try:
        return files_root([_sealed_file(row) for row in rows])
    except ValueError:
        # A role that does not exist: somebody edited the row, so no list in the log can be this one.
        return ""


def _sealed_file(row: SealedFileRow) -> SealedFile:
    return SealedFile(
        id=row.id,
        role=Role(row.role),
        column=row.column,
        file_id=row.file_id,
        bytes=row.bytes,
        ciphertext_sha256=row.ciphertext_sha256,
        object_key=row.object_key,
    )
