"""What an auditor checks of datasets: the files of every version, and which one is current; no key needed."""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import select

from cleanroom.audit.files import PublishedFiles
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.types import Problem
from cleanroom.datasets.files import files_root
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, SealedFileRow
from cleanroom.datasets.rows import sealed_file
from cleanroom.datasets.types import WITHOUT_FILES
from cleanroom.db.database import Transaction

PUBLISHED = "ingestion.published"
RETIRED = "datasets.version_retired"
DELETED = "datasets.deleted"


def published_versions(tx: Transaction) -> Iterator[PublishedFiles]:
    """List the sealed files of every version that was loaded.

    Retired versions count: receipts name them, and a restore brings them back.

    Args:
        tx: reads the room's SQL store.

    Yields:
        One item per version, with the hash over its list recomputed from the rows.
    """
    loaded = select(DatasetVersionRow.id).where(DatasetVersionRow.status.not_in(WITHOUT_FILES))
    for version_id in tx.session.scalars(loaded.order_by(DatasetVersionRow.id)).all():
        rows = tx.session.scalars(select(SealedFileRow).where(SealedFileRow.version_id == version_id)).all()
        yield PublishedFiles(
            subject_id=version_id,
            files_root=_root(rows),
            files=[(row.object_key, row.ciphertext_sha256) for row in rows],
        )


def replayed_versions(tx: Transaction) -> Iterator[Problem]:
    """Compare each dataset's current version with the one that the log published last.

    An older version is intact by itself, files and all; only the order of the log tells that it was put back.

    Args:
        tx: reads the room's SQL store.

    Yields:
        A problem for each dataset whose current version is another one.
    """
    newest: dict[str, str | None] = {}
    events = select(AuditEvent.record).where(AuditEvent.kind.in_((PUBLISHED, RETIRED, DELETED)))
    for record in tx.session.scalars(events.order_by(AuditEvent.index)):
        try:
            content = json.loads(record)
            if content["kind"] == DELETED:
                newest[content["subject"]] = None
            elif content["kind"] == RETIRED:
                newest[content["body"]["dataset_id"]] = None
            else:
                newest[content["body"]["dataset_id"]] = content["subject"]
        except (ValueError, KeyError, TypeError, RecursionError):
            # The log's own verification has reported it.
            continue
    for dataset_id, current in tx.session.execute(select(DatasetRow.id, DatasetRow.current_version_id)):
        if current != newest.get(dataset_id):
            reason = "its current version is not the one that the log published last"
            yield Problem("dataset", dataset_id, reason)


def _root(rows: Sequence[SealedFileRow]) -> str:
    try:
        return files_root([sealed_file(row) for row in rows])
    except ValueError:
        # A role that does not exist: somebody edited the row, so no list in the log can be this one.
        return ""
