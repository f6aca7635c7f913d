"""Handing finished uploads to ingestion, by whichever worker comes first, again if it was killed."""

from sqlalchemy import select

from cleanroom.db.database import Database, Transaction
from cleanroom.errors import KNOWN_ERRORS
from cleanroom.ingestion.errors import PackageUsedError, StaleVersionError
from cleanroom.ingestion.service import Ingestion
from cleanroom.storage.leases import Leases
from cleanroom.uploads.errors import UploadBusyError, UploadStatusError
from cleanroom.uploads.files import UploadFiles
from cleanroom.uploads.models import UploadRow
from cleanroom.uploads.records import UploadRecords
from cleanroom.uploads.types import Upload, UploadStatus
from crypto.package import Manifest, read_manifest

MAX_ATTEMPTS = 5
"""A package that ends every worker that touches it must not be tried for ever."""
_STEPS = 20
_WAITING = (UploadStatus.RECEIVED.value, UploadStatus.INGESTING.value)
GIVEN_UP = "uploads.given_up"
BYTES_LOST = "uploads.bytes_lost"


class Ingesting:
    """Makes versions of uploads; opens its own transactions."""

    def __init__(
        self,
        *,
        db: Database,
        records: UploadRecords,
        files: UploadFiles,
        leases: Leases,
        ingestion: Ingestion,
    ) -> None:
        self._db = db
        self._records = records
        self._files = files
        self._leases = leases
        self._ingestion = ingestion

    def next(self) -> Upload | None:
        """Ingest the upload that has waited longest and that nobody is at; None when there is none."""
        with self._db.reading() as tx:
            waiting = tx.session.scalars(
                select(UploadRow.id)
                .where(UploadRow.status.in_(_WAITING))
                .order_by(UploadRow.attempts, UploadRow.received_at, UploadRow.id)
            ).all()
        for upload_id in waiting:
            with self._leases.try_hold(upload_id) as held:
                if held:
                    done = self._ingest(upload_id)
                    if done is not None:
                        return done
        return None

    def ingest(self, upload_id: str) -> Upload:
        """Ingest one upload; raises UploadBusyError, UploadStatusError."""
        with self._leases.try_hold(upload_id) as held:
            if not held:
                raise UploadBusyError("Somebody is at this upload.", remedy="Wait until it has ended.")
            done = self._ingest(upload_id)
        if done is None:
            raise UploadStatusError(
                "The upload does not wait to be ingested.", remedy="Upload all bytes first, once."
            )
        return done

    def _ingest(self, upload_id: str) -> Upload | None:
        """Do it under the upload's lease; None when it does not wait any more."""
        with self._db.transaction() as tx:
            row = self._records.find(tx, upload_id, hold=True)
            if row.status not in _WAITING:
                return None
            data = row.manifest
            manifest, _ = read_manifest(data)
            # A worker that was killed may have come as far as this.
            version_id = self._ingestion.entered(tx, manifest)
            begun = version_id is None and self._begin(tx, row, manifest)
        if begun:
            version_id = self._load(upload_id, data, manifest)
        upload = self._enter(upload_id, version_id) if version_id else self._view(upload_id)
        if upload.status is not UploadStatus.RECEIVED:
            self._files.remove(upload_id)
        return upload

    def _begin(self, tx: Transaction, row: UploadRow, manifest: Manifest) -> bool:
        """Begin another attempt, or let the upload fail; returns whether there is one."""
        if row.attempts >= MAX_ATTEMPTS:
            self._fail(tx, row, GIVEN_UP)
        elif not self._files.path(row.id).exists():
            self._fail(tx, row, BYTES_LOST)
        else:
            row.attempts += 1
            row.rows_done, row.rows_total = 0, manifest.rows
            self._records.change(tx, row, UploadStatus.INGESTING, "uploads.ingesting", attempt=row.attempts)
            return True
        return False

    def _load(self, upload_id: str, data: bytes, manifest: Manifest) -> str | None:
        """Run ingestion; returns the version, or None when the upload has failed or waits for another attempt."""
        told = _Told(self._db, upload_id)
        try:
            return self._ingestion.ingest(data, self._files.path(upload_id), progress=told)
        except StaleVersionError as error:
            # The token key was rotated meanwhile: nothing is wrong with the package.
            self._postpone(upload_id, error.code)
        except PackageUsedError as error:
            with self._db.reading() as tx:
                version_id = self._ingestion.entered(tx, manifest)
            if version_id is not None:
                return version_id
            self._give_up(upload_id, error.code)
        except KNOWN_ERRORS as error:
            self._give_up(upload_id, _code(error))
        except Exception as error:
            # A full disk, a database out of reach: told to the worker, and tried again later.
            self._postpone(upload_id, f"uploads.{type(error).__name__}")
            raise
        return None

    def _enter(self, upload_id: str, version_id: str) -> Upload:
        failure = None
        with self._db.reading() as tx:
            publish = self._records.find(tx, upload_id).publish
        if publish:
            try:
                with self._db.transaction() as tx:
                    upload = self._finish(tx, upload_id, version_id, None)
                    if upload.status is not UploadStatus.LOADED:
                        return upload
                    self._ingestion.publish(tx, version_id)
                    return self._records.view(tx, self._records.find(tx, upload_id))
            except KNOWN_ERRORS as error:
                # It stays loaded: its owner sees why, and decides.
                failure = _code(error)
        with self._db.transaction() as tx:
            return self._finish(tx, upload_id, version_id, failure)

    def _finish(self, tx: Transaction, upload_id: str, version_id: str, failure: str | None) -> Upload:
        row = self._records.find(tx, upload_id, hold=True)
        row.version_id, row.failure, row.rows_done = version_id, failure, row.rows_total
        self._records.change(
            tx, row, UploadStatus.LOADED, "uploads.loaded", version_id=version_id, failure=failure
        )
        return self._records.view(tx, row)

    def _postpone(self, upload_id: str, code: str) -> None:
        with self._db.transaction() as tx:
            row = self._records.find(tx, upload_id, hold=True)
            if row.attempts >= MAX_ATTEMPTS:
                self._fail(tx, row, code)
            else:
                self._records.change(tx, row, UploadStatus.RECEIVED, "uploads.postponed", failure=code)

    def _give_up(self, upload_id: str, code: str) -> None:
        with self._db.transaction() as tx:
            self._fail(tx, self._records.find(tx, upload_id, hold=True), code)

    def _fail(self, tx: Transaction, row: UploadRow, code: str) -> None:
        row.failure = code
        self._records.change(tx, row, UploadStatus.FAILED, "uploads.failed", failure=code)

    def _view(self, upload_id: str) -> Upload:
        with self._db.reading() as tx:
            return self._records.view(tx, self._records.find(tx, upload_id))


class _Told:
    """Keeps the owner's progress in the row, in so many steps at most."""

    def __init__(self, db: Database, upload_id: str) -> None:
        self._db = db
        self._upload_id = upload_id
        self._step = 0

    def __call__(self, done: int, total: int) -> None:
        step = done * _STEPS // max(total, 1)
        if step <= self._step:
            return
        self._step = step
        with self._db.transaction() as tx:
            row = tx.session.get_one(UploadRow, self._upload_id)
            row.rows_done = total * step // _STEPS


def _code(error: Exception) -> str:
    return str(getattr(error, "code", ""))
