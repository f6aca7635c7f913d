"""Reading and changing the rows of uploads; every change of a status is told to the audit log here."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from cleanroom.clock import Clock
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.uploads.errors import OffsetError, UploadNotFoundError
from cleanroom.uploads.models import UploadRow
from cleanroom.uploads.types import OPEN, Upload, UploadStatus

_ID = re.compile(r"up_[0-9a-f]{32}")
_OF_VERSION = {
    VersionStatus.LOADED: UploadStatus.LOADED,
    VersionStatus.AWAITING_JUNK: UploadStatus.AWAITING_JUNK,
    VersionStatus.PUBLISHED: UploadStatus.PUBLISHED,
    VersionStatus.RETIRED: UploadStatus.PUBLISHED,
}
_ENDED = (UploadStatus.LOADED, UploadStatus.FAILED, UploadStatus.TERMINATED, UploadStatus.EXPIRED)


@dataclass(frozen=True)
class UploadRecords:
    """The rows of uploads."""

    datasets: Datasets
    clock: Clock

    def find(
        self, tx: Transaction, upload_id: str, organisation_id: str | None = None, *, hold: bool = False
    ) -> UploadRow:
        """Return the row of an upload.

        Args:
            tx: the caller's transaction.
            upload_id: which upload.
            organisation_id: whose it has to be, on behalf of an organisation.
            hold: whether to keep it from others until the transaction ends.

        Raises:
            UploadNotFoundError: there is none, or it is another organisation's: the same answer.
        """
        row = None
        # PostgreSQL takes no text with a zero byte in it, not even to look for.
        if _ID.fullmatch(upload_id):
            row = tx.session.get(UploadRow, upload_id, with_for_update=hold or None)
        if row is None or organisation_id not in (None, row.organisation_id):
            raise UploadNotFoundError(
                "There is no upload with this id.", remedy="List your uploads, or begin a new one."
            )
        return row

    def open(self, tx: Transaction, organisation_id: str) -> list[UploadRow]:
        """Return the uploads of an organisation that are not loaded yet."""
        mine = select(UploadRow).where(
            UploadRow.organisation_id == organisation_id, UploadRow.status.in_([*OPEN])
        )
        return [row for row in tx.session.scalars(mine) if not self.lapsed(row)]

    def lapsed(self, row: UploadRow) -> bool:
        """Tell whether an upload has run out of time before all bytes were there, swept or not."""
        return row.status == UploadStatus.RECEIVING and self.clock.now() >= row.expires_at

    def advance(self, tx: Transaction, upload_id: str, *, before: int, after: int) -> Upload:
        """Move the offset over bytes that are on disk; at the full length the upload is received.

        Raises:
            OffsetError: somebody else has moved or ended it, which the lease rules out on one machine.
        """
        moved = tx.session.execute(
            update(UploadRow)
            .where(
                UploadRow.id == upload_id,
                UploadRow.offset == before,
                UploadRow.status == UploadStatus.RECEIVING.value,
            )
            .values(offset=after)
            .returning(UploadRow.id)
        ).scalar()
        if moved is None:
            raise OffsetError(
                "The upload was changed by somebody else.", remedy="Ask for its offset and resume there."
            )
        row = self.find(tx, upload_id)
        if after == row.length:
            row.received_at = self.clock.now()
            self.change(tx, row, UploadStatus.RECEIVED, "uploads.received", length=row.length)
        return self.view(tx, row)

    def change(self, tx: Transaction, row: UploadRow, status: UploadStatus, kind: str, **body: Any) -> None:
        """Put an upload in another status, and tell the log.

        Args:
            tx: the caller's transaction.
            row: of the upload.
            status: the new one; what becomes of its version later is the version's to tell.
            kind: of the audit event.
            body: of the audit event, beside what it is about.
        """
        row.status = status.value
        if status in _ENDED:
            row.finished_at = self.clock.now()
        tx.session.flush()
        tx.audit(
            kind,
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"dataset_id": row.dataset_id, "package_id": row.package_id} | body,
        )

    def view(self, tx: Transaction, row: UploadRow) -> Upload:
        """Return an upload as its owner may see it."""
        status = UploadStatus(row.status)
        if row.version_id is not None:
            status = _OF_VERSION[self.datasets.version(tx, row.version_id).status]
        elif self.lapsed(row):
            status = UploadStatus.EXPIRED
        return Upload(
            id=row.id,
            organisation_id=row.organisation_id,
            workspace_id=row.workspace_id,
            dataset_id=row.dataset_id,
            kind=self.datasets.dataset(tx, row.dataset_id).kind,
            package_id=row.package_id,
            length=row.length,
            offset=row.offset,
            status=status,
            publish=row.publish,
            version_id=row.version_id,
            failure=row.failure,
            rows_done=row.rows_done,
            rows_total=row.rows_total,
            created_at=row.created_at,
            expires_at=row.expires_at,
            received_at=row.received_at,
            finished_at=row.finished_at,
        )
