"""What SQL says about sealed files and versions, for the audit slice, which knows no datasets."""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from cleanroom.audit.files import PublishedFiles
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.types import Problem
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.service import segment_file
from cleanroom.datasets.files import files_root
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, SealedFileRow
from cleanroom.datasets.types import Role, SealedFile, VersionStatus

PUBLISHED = "ingestion.published"
_WITHOUT_FILES = (VersionStatus.LOADING.value, VersionStatus.FAILED.value)


def published_files(session: Session) -> Iterator[PublishedFiles]:
    """List the sealed files of every version that was loaded, and of every consent epoch.

    Retired versions count: receipts name them, and a restore brings them back.

    Args:
        session: reads the room's SQL store.

    Yields:
        One item per version or epoch, with the hash over its list recomputed from the rows.
    """
    loaded = select(DatasetVersionRow.id).where(DatasetVersionRow.status.not_in(_WITHOUT_FILES))
    for version_id in session.scalars(loaded.order_by(DatasetVersionRow.id)).all():
        rows = session.scalars(select(SealedFileRow).where(SealedFileRow.version_id == version_id)).all()
        yield PublishedFiles(
            subject_id=version_id,
            files_root=_root(rows),
            files=[(row.object_key, row.ciphertext_sha256) for row in rows],
        )
    segments = select(ConsentEpochRow).where(ConsentEpochRow.object_key.is_not(None))
    for epoch in session.scalars(segments.order_by(ConsentEpochRow.id)).all():
        if epoch.file_id is None:
            # Somebody edited the row: without its identity no file can be the one that the log states.
            yield PublishedFiles(epoch.id, "", ())
            continue
        segment = segment_file(epoch)
        yield PublishedFiles(
            epoch.id, files_root([segment]), [(segment.object_key, segment.ciphertext_sha256)]
        )


def replayed_versions(session: Session) -> Iterator[Problem]:
    """Compare each dataset's current version with the one that the log published last.

    An older version is intact by itself, files and all; only the order of the log tells that it was put back.

    Args:
        session: reads the room's SQL store.

    Yields:
        A problem for each dataset whose current version is another one.
    """
    newest: dict[str, str] = {}
    events = select(AuditEvent.record).where(AuditEvent.kind == PUBLISHED).order_by(AuditEvent.index)
    for record in session.scalars(events):
        try:
            content = json.loads(record)
            newest[content["body"]["dataset_id"]] = content["subject"]
        except (ValueError, KeyError, TypeError, RecursionError):
            # The log's own verification has reported it.
            continue
    for dataset_id, current in session.execute(select(DatasetRow.id, DatasetRow.current_version_id)):
        if current != newest.get(dataset_id):
            reason = "its current version is not the one that the log published last"
            yield Problem("dataset", dataset_id, reason)


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
