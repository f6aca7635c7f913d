"""Announcing, receiving, ending and sweeping uploads, and handing finished ones to ingestion."""

import os
from contextlib import ExitStack
from datetime import datetime, timedelta

from sqlalchemy import select

from cleanroom.accounts.service import Accounts
from cleanroom.clock import Clock, rfc3339
from cleanroom.datasets.service import Datasets
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.ingestion.service import Ingestion
from cleanroom.storage.leases import Leases
from cleanroom.uploads.appending import Appending
from cleanroom.uploads.errors import (
    OffsetError,
    PackageUploadingError,
    TooManyUploadsError,
    UploadBusyError,
    UploadGoneError,
    UploadLengthError,
    UploadStatusError,
    UploadTooLargeError,
)
from cleanroom.uploads.files import UploadFiles
from cleanroom.uploads.ingesting import BYTES_LOST, Ingesting
from cleanroom.uploads.models import UploadRow
from cleanroom.uploads.records import UploadRecords
from cleanroom.uploads.types import OPEN, Checksum, Limits, Swept, Upload, UploadStatus
from cleanroom.workspaces.errors import WorkspaceDestroyedError
from cleanroom.workspaces.service import Workspaces


class Uploads:
    """The service of the uploads slice; all but `create` open their own transactions, since bytes have none."""

    def __init__(
        self,
        *,
        db: Database,
        accounts: Accounts,
        workspaces: Workspaces,
        datasets: Datasets,
        ingestion: Ingestion,
        files: UploadFiles,
        leases: Leases,
        limits: Limits,
        clock: Clock,
    ) -> None:
        """Prepare.

        Args:
            db: where offsets are kept.
            accounts: lets one upload of an organisation be announced at a time.
            workspaces: tells whether a workspace lives.
            datasets: the catalogue.
            ingestion: checks manifests, and makes versions.
            files: where the bytes lie.
            leases: tell who is at an upload.
            limits: what the operator allows.
            clock: tells the time.
        """
        self.limits = limits
        self._db = db
        self._accounts = accounts
        self._workspaces = workspaces
        self._ingestion = ingestion
        self._files = files
        self._leases = leases
        self._clock = clock
        self._records = UploadRecords(datasets, clock)
        self._ingesting = Ingesting(
            db=db, records=self._records, files=files, leases=leases, ingestion=ingestion
        )

    def create(
        self, tx: Transaction, *, organisation_id: str, manifest: bytes, length: int, publish: bool = False
    ) -> Upload:
        """Announce an upload; the signed manifest is checked before a byte is taken.

        Announcing a package again, while nothing of it has arrived, returns the upload that is there: whoever missed
        the answer may simply repeat the request.

        Args:
            tx: the caller's transaction.
            organisation_id: on whose behalf; the package's dataset is its own.
            manifest: the signed manifest file.
            length: bytes of the payload, as signed.
            publish: whether to publish the version at once when nothing waits for the junk list.

        Returns:
            The upload, at offset 0.

        Raises:
            CryptoError: the manifest is malformed, or its signature does not hold.
            DatasetNotFoundError: the organisation has no such dataset.
            ManifestMismatchError: the package is not for this dataset, schema, key, version or moment.
            PackageUsedError: it became a version before.
            WorkspaceDestroyedError: its workspace's keys are gone.
            UploadLengthError: the length is not the one that was signed.
            UploadTooLargeError: it is more than the room takes.
            PackageUploadingError: another upload of it is under way.
            TooManyUploadsError: the organisation has too many.
            NoSpaceError: the disk has no room for it and for what else the organisation has announced.
        """
        checked = self._ingestion.check_manifest(tx, manifest, organisation_id=organisation_id)
        if self._workspaces.workspace(tx, checked.workspace_id).destroyed_at is not None:
            raise WorkspaceDestroyedError(
                "The keys of this workspace were destroyed.", remedy="Upload to another workspace."
            )
        self._require_length(length, checked.ciphertext_bytes)
        self._accounts.lock(tx, organisation_id)
        under_way = self._records.open(tx, organisation_id)
        for row in under_way:
            if row.package_id == checked.package_id:
                if row.offset == 0 and (row.manifest, row.publish) == (manifest, publish):
                    return self._records.view(tx, row)
                raise PackageUploadingError(
                    f"The package is being uploaded already, as {row.id}.",
                    remedy="Ask for the offset of that upload and resume it, or delete it first.",
                )
        if len(under_way) >= self.limits.open_uploads:
            raise TooManyUploadsError(
                f"An organisation may have {self.limits.open_uploads} uploads under way, and has {len(under_way)}.",
                remedy="Finish or delete one, or wait until it is loaded.",
            )
        # Only its own: what others have announced, and may never send, must not keep it out.
        self._files.require_space(sum(row.length - row.offset for row in under_way) + length)
        now = self._clock.now()
        row = UploadRow(
            id=new_id("up", now),
            organisation_id=organisation_id,
            workspace_id=checked.workspace_id,
            dataset_id=checked.dataset_id,
            package_id=checked.package_id,
            manifest=manifest,
            length=length,
            offset=0,
            status=UploadStatus.RECEIVING.value,
            publish=publish,
            attempts=0,
            rows_done=0,
            rows_total=0,
            created_at=now,
            # Afterwards the manifest would be refused.
            expires_at=min(
                now + timedelta(days=self.limits.days), datetime.fromisoformat(checked.expires_at)
            ),
        )
        tx.session.add(row)
        self._records.change(
            tx,
            row,
            UploadStatus.RECEIVING,
            "uploads.created",
            length=length,
            publish=publish,
            expires_at=rfc3339(row.expires_at),
        )
        return self._records.view(tx, row)

    def upload(self, tx: Transaction, upload_id: str, *, organisation_id: str) -> Upload:
        """Return an upload of an organisation; raises UploadNotFoundError, for a foreign one as well."""
        return self._records.view(tx, self._records.find(tx, upload_id, organisation_id))

    def under_way(self, tx: Transaction, dataset_id: str, *, organisation_id: str) -> tuple[Upload, ...]:
        """Return an organisation's uploads to a dataset that are not loaded yet, the oldest first."""
        rows = (row for row in self._records.open(tx, organisation_id) if row.dataset_id == dataset_id)
        return tuple(self._records.view(tx, row) for row in sorted(rows, key=lambda row: row.id))

    def append(
        self,
        upload_id: str,
        *,
        organisation_id: str,
        offset: int,
        announced: int | None = None,
        checksum: Checksum | None = None,
    ) -> Appending:
        """Begin to take bytes.

        Args:
            upload_id: which upload.
            organisation_id: whose it has to be.
            offset: where the client says that its bytes begin.
            announced: how many will come, if that is known.
            checksum: what they must hash to, if the client says.

        Returns:
            What takes them, and must be closed: it holds the upload's lease.

        Raises:
            UploadNotFoundError: the organisation has no such upload.
            UploadGoneError: it was ended or has expired, or the room has lost its bytes.
            UploadBusyError: somebody else is at it.
            OffsetError: it stands elsewhere, or is complete.
            UploadTooLargeError: more would come than it lacks.
            NoSpaceError: the disk has no room for the rest.
        """
        with ExitStack() as stack:
            with self._db.reading() as tx:
                self._records.find(tx, upload_id, organisation_id)
            self._hold(stack, upload_id)
            # Read only now: before, somebody else could have moved it.
            with self._db.reading() as tx:
                upload = self._records.view(tx, self._records.find(tx, upload_id))
            _require_appendable(upload, offset, announced)
            self._files.require_space(upload.length - upload.offset)
            descriptor = self._files.open(upload_id, offset)
            if descriptor is None:
                self._end(upload_id, UploadStatus.FAILED, "uploads.failed", BYTES_LOST)
                raise UploadGoneError(
                    "The room has lost bytes of this upload.",
                    remedy="Begin a new one and send the file again.",
                )
            stack.callback(os.close, descriptor)

            def advance(before: int, after: int) -> Upload:
                with self._db.transaction() as tx:
                    return self._records.advance(tx, upload_id, before=before, after=after)

            return Appending(
                upload, descriptor, checksum=checksum, advance=advance, resources=stack.pop_all()
            )

    def terminate(self, upload_id: str, *, organisation_id: str) -> None:
        """End an upload that is not loaded yet: its bytes go, its record stays.

        Raises:
            UploadNotFoundError: the organisation has no such upload.
            UploadGoneError: it has ended before.
            UploadBusyError: bytes are coming in, or it is being ingested.
            UploadStatusError: it has failed or become a version.
        """
        with ExitStack() as stack:
            with self._db.reading() as tx:
                self._records.find(tx, upload_id, organisation_id)
            self._hold(stack, upload_id)
            with self._db.reading() as tx:
                upload = self._records.view(tx, self._records.find(tx, upload_id))
            upload.require_resumable()
            if upload.status not in OPEN:
                raise UploadStatusError(
                    "The upload has failed, or has become a version.", remedy="Nothing is left to end."
                )
            self._end(upload_id, UploadStatus.TERMINATED, "uploads.terminated", None)

    def ingest_next(self) -> Upload | None:
        """Ingest the upload that has waited longest, as any worker may.

        Returns:
            What became of it; None when none waits. One that fails for its own fault is returned as failed.

        Raises:
            Exception: what came between that is not the package's fault; the upload waits for another attempt.
        """
        return self._ingesting.next()

    def ingest(self, upload_id: str) -> Upload:
        """Ingest one upload, as `ingest_next` does.

        Raises:
            UploadNotFoundError: there is none.
            UploadBusyError: somebody is at it.
            UploadStatusError: it does not wait to be ingested.
        """
        return self._ingesting.ingest(upload_id)

    def sweep(self) -> Swept:
        """Give up what has run out of time, and remove files that no upload needs.

        Returns:
            What was given up and removed; what somebody is at is left for the next time.
        """
        # The files first: an upload is in SQL before it has one.
        on_disk = self._files.ids()
        with self._db.reading() as tx:
            rows = tx.session.scalars(select(UploadRow).where(UploadRow.status.in_([*OPEN]))).all()
            lapsed = [row.id for row in rows if self._records.lapsed(row)]
            needed = {row.id for row in rows}
        expired = []
        for upload_id in lapsed:
            with self._leases.try_hold(upload_id) as held:
                if held and self._end(upload_id, UploadStatus.EXPIRED, "uploads.expired", None):
                    expired.append(upload_id)
        removed = 0
        for upload_id in on_disk:
            if upload_id in needed:
                continue
            with self._leases.try_hold(upload_id) as held:
                removed += held and self._files.remove(upload_id)
        return Swept(tuple(expired), removed + len(expired))

    def _require_length(self, length: int, signed: int) -> None:
        if length != signed:
            raise UploadLengthError(
                f"The manifest was signed for {signed} bytes, not for {length}.",
                remedy="Upload the payload that was prepared together with it.",
            )
        if length > self.limits.max_bytes:
            raise UploadTooLargeError(
                f"The package has {length} bytes; this room takes at most {self.limits.max_bytes}.",
                remedy="Split the file into deltas, or ask the operator to raise CLEANROOM_UPLOAD_MAX_BYTES.",
            )
        if length == 0:
            raise UploadLengthError("A package is never empty.", remedy="Prepare the file again.")

    def _hold(self, stack: ExitStack, upload_id: str) -> None:
        if not stack.enter_context(self._leases.try_hold(upload_id)):
            raise UploadBusyError(
                "Another request or process is at this upload.",
                remedy="Wait a moment, ask for its offset, and resume there.",
            )

    def _end(self, upload_id: str, status: UploadStatus, kind: str, failure: str | None) -> bool:
        """End an upload whose lease the caller holds; returns whether it was still open."""
        with self._db.transaction() as tx:
            row = self._records.find(tx, upload_id, hold=True)
            if row.status not in OPEN:
                return False
            row.failure = failure
            self._records.change(tx, row, status, kind, offset=row.offset, failure=failure)
        # After the commit: a crash in between leaves a file that nobody needs, which `sweep` removes.
        self._files.remove(upload_id)
        return True


def _require_appendable(upload: Upload, offset: int, announced: int | None) -> None:
    upload.require_resumable()
    if upload.status is not UploadStatus.RECEIVING or offset != upload.offset:
        complete = upload.offset == upload.length
        raise OffsetError(
            f"The upload {'is complete at' if complete else 'stands at'} {upload.offset}, not at {offset}.",
            remedy="Nothing is left to send." if complete else "Resume there.",
        )
    if announced is not None and announced > upload.length - offset:
        raise UploadTooLargeError(
            f"The upload lacks {upload.length - offset} bytes, and {announced} were announced.",
            remedy="Send the very file that the manifest was made with.",
        )
