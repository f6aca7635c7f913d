"""One pass over a dataset: versions, then changes of consents, then the proof that the old files are gone."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Select, delete, func, select

from cleanroom.clock import Clock, rfc3339
from cleanroom.consent.changes import microseconds
from cleanroom.consent.erased_people import ErasedPeople
from cleanroom.consent.erasing import ReadChanges
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.files import files_root
from cleanroom.datasets.models import DatasetVersionRow
from cleanroom.datasets.rows import add_files, remove_files
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import WITHOUT_FILES, DatasetKind, DatasetVersion, VersionStatus
from cleanroom.db.database import Database, Transaction
from cleanroom.ingestion.metering import Meter, Tell
from cleanroom.rights.errors import CompactionBusyError
from cleanroom.rights.leaving import Leaving, who_leaves
from cleanroom.rights.models import CompactedVersionRow, CompactionRow, ErasureRow, ReplacedFileRow
from cleanroom.rights.rewriting import New, Old, Rewriting, rows_of
from cleanroom.rights.types import Compaction, ErasureState, PassState
from cleanroom.storage import ObjectStore
from cleanroom.storage.leases import Leases
from cleanroom.storage.removing import delete_after_commit
from cleanroom.workspaces.service import Workspaces
from crypto.keys import WrapKey


@dataclass(frozen=True)
class _Work:
    """A version that is to be written anew, as it was when that began."""

    old: Old
    version: DatasetVersion
    changes: ReadChanges
    kek: WrapKey
    epoch: int


@dataclass(frozen=True)
class OnePass:
    """Does what a pass consists of; it may be begun again at any point."""

    db: Database
    clock: Clock
    workspaces: Workspaces
    datasets: Datasets
    erased: ErasedPeople
    store: ObjectStore
    cache: ColumnCache
    leases: Leases

    def run(self, asked: Compaction, *, tell: Tell) -> None:
        """Do a pass.

        Args:
            asked: which.
            tell: is told how many rows are done, of how many.

        Raises:
            CompactionBusyError: a load or a rotation needs the files as they are; nothing is lost by waiting.
        """
        with self.db.reading() as tx:
            dataset = self.datasets.dataset(tx, asked.dataset_id)
        # Whoever holds it rotates keys, or sweeps what SQL does not name.
        with self.leases.try_hold(dataset.workspace_id) as held:
            if not held:
                raise CompactionBusyError("The workspace's keys are being rotated.", remedy="Wait for it.")
            while True:
                with self.db.reading() as tx:
                    left = self._left(tx, asked)
                    total = sum(version.persons for version in left)
                meter = Meter(total, tell)
                for version in left:
                    self._bind(asked, version)
                    self._compact(asked, version.id, meter)
                self._compact_changes(asked)
                self._see_gone(asked)
                if self._finish(asked):
                    return

    def _left(self, tx: Transaction, asked: Compaction) -> tuple[DatasetVersion, ...]:
        """Return the versions that this pass has not written anew, of those that need it."""
        if self._is_destroyed(tx, asked.dataset_id):
            return ()
        done = {
            row.version_id: row
            for row in tx.session.scalars(
                select(CompactedVersionRow).where(CompactedVersionRow.dataset_id == asked.dataset_id)
            )
        }
        epoch = tx.session.scalar(_last_epoch(asked.dataset_id)) or 0

        def needs(version: DatasetVersion) -> bool:
            row = done.get(version.id)
            if row is None or row.epoch < epoch:
                return bool(epoch) or asked.collected_before is not None
            return asked.collected_before is not None and row.compaction_id != asked.id

        versions = self.datasets.versions(tx, asked.dataset_id)
        return tuple(
            version for version in versions if version.status not in WITHOUT_FILES and needs(version)
        )

    def _is_destroyed(self, tx: Transaction, dataset_id: str) -> bool:
        workspace_id = self.datasets.dataset(tx, dataset_id).workspace_id
        return self.workspaces.workspace(tx, workspace_id).destroyed_at is not None

    def _bind(self, asked: Compaction, version: DatasetVersion) -> None:
        """Bind erasures to the people of a version that was never published.

        Else whoever came back in it under other identifiers could come back under these once more.
        """
        if version.status in (VersionStatus.PUBLISHED, VersionStatus.RETIRED):
            return
        with self.db.transaction() as tx:
            self.datasets.lock(tx, asked.dataset_id)
            self.erased.bind(tx, version.id)

    def _compact(self, asked: Compaction, version_id: str, meter: Meter) -> None:
        with self.db.reading() as tx:
            work = self._collect(tx, asked, version_id)
        if work is None:
            return
        meter.total += rows_of(work.old) - work.old.persons
        leaving = self._leaving(asked, work)
        keep = np.ones(work.old.persons, np.bool_)
        keep[leaving.persons] = False
        rewriting = Rewriting(work.old, keep, store=self.store, kek=work.kek, clock=self.clock, meter=meter)
        new = rewriting.run(**leaving.counts)
        try:
            with self.db.transaction() as tx:
                switched = self._switch(tx, asked, work, new)
        except BaseException:
            with suppress(Exception):
                rewriting.discard()
            raise
        if not switched:
            rewriting.discard()
        for file in work.old.files:
            self.cache.drop(file.file_id)

    def _collect(self, tx: Transaction, asked: Compaction, version_id: str) -> _Work | None:
        self._refuse_loads(tx, asked.dataset_id)
        dataset, version = self.datasets.dataset(tx, asked.dataset_id), self.datasets.version(tx, version_id)
        if version.status in WITHOUT_FILES:
            return None
        files, place = self.datasets.files(tx, version_id), self.datasets.place(tx, version_id)
        if files_root(files) != version.files_root:
            raise CompactionBusyError("The version's files are being replaced.", remedy="Wait for it.")
        keys = self.workspaces.secrets(tx, dataset.workspace_id)
        reader = self.datasets.reader(tx, version_id)
        epoch = tx.session.scalar(_last_epoch(dataset.id)) or 0
        base = dataset.kind is DatasetKind.BASE
        old = Old(
            place, dataset.schema, reader, files, version.persons, keys.fingerprint_key if base else None
        )
        return _Work(old, version, self.erased.rows(tx, dataset), keys.kek, epoch)

    def _leaving(self, asked: Compaction, work: _Work) -> Leaving:
        version, before = work.version, asked.collected_before
        return who_leaves(
            work.old.reader,
            work.old.schema,
            work.changes(),
            persons=version.persons,
            loaded_at=microseconds(version.loaded_at or version.created_at),
            now=microseconds(self.clock.now()),
            collected_before=microseconds(before) if before else None,
        )

    def _switch(self, tx: Transaction, asked: Compaction, work: _Work, new: New) -> bool:
        """Put the new files in the place of the old ones; returns False when the version was deleted meanwhile."""
        version_id, dataset = work.version.id, self.datasets.dataset(tx, asked.dataset_id)
        self.datasets.lock(tx, dataset.id)
        self._refuse_loads(tx, dataset.id)
        row = tx.session.get_one(DatasetVersionRow, version_id, with_for_update=True, populate_existing=True)
        if row.status in [status.value for status in WITHOUT_FILES]:
            return False
        # A decision about junk replaces files too, and would be undone.
        if row.files_root != work.version.files_root:
            raise CompactionBusyError("The version's files were replaced meanwhile.", remedy="Wait for it.")
        old = remove_files(tx, dataset.id, version_id=version_id)
        add_files(tx, version_id, new.files)
        row.persons, row.fingerprint = new.persons, new.fingerprint
        row.files_root = files_root(new.files)
        self._note_replaced(tx, asked, [file.object_key for file in old])
        tx.session.merge(
            CompactedVersionRow(
                version_id=version_id,
                dataset_id=dataset.id,
                compaction_id=asked.id,
                epoch=work.epoch,
                at=self.clock.now(),
            )
        )
        tx.session.flush()
        kind = "retention" if asked.collected_before else "compaction"
        gone = self.erased.moved(tx, dataset, version_id, kind=kind)
        self._note_replaced(tx, asked, gone.object_keys)
        tx.audit(
            "rights.version_compacted",
            subject_id=version_id,
            organisation_id=asked.organisation_id,
            body={
                "dataset_id": dataset.id,
                "compaction_id": asked.id,
                "through_epoch": work.epoch,
                "files_roots": {version_id: row.files_root},
                "gone": [*(file.file_id for file in old), *gone.file_ids],
            },
        )
        return True

    def _compact_changes(self, asked: Compaction) -> None:
        """Write the sealed changes of consents anew, without what erased people said before."""
        with self.db.reading() as tx:
            if self._is_destroyed(tx, asked.dataset_id):
                return
            work = self.erased.changes(tx, self.datasets.dataset(tx, asked.dataset_id))
        written = work.write()
        try:
            with self.db.transaction() as tx:
                self.datasets.lock(tx, asked.dataset_id)
                replaced = work.enter(tx, written)
                self._note_replaced(tx, asked, replaced.object_keys)
                tx.audit(
                    "rights.changes_compacted",
                    subject_id=asked.id,
                    organisation_id=asked.organisation_id,
                    body={
                        "dataset_id": asked.dataset_id,
                        "files_roots": dict(replaced.files_roots),
                        "gone": list(replaced.file_ids),
                    },
                )
        except BaseException:
            with suppress(Exception):
                work.discard(written)
            raise

    def _note_replaced(self, tx: Transaction, asked: Compaction, keys: "list[str] | tuple[str, ...]") -> None:
        """Write down what is to be gone, so that it is, even if this process is killed after the commit."""
        tx.session.add_all(ReplacedFileRow(object_key=key, compaction_id=asked.id) for key in keys)
        tx.session.flush()
        delete_after_commit(tx, self.store, keys)

    def _see_gone(self, asked: Compaction) -> None:
        """Make sure that nothing is left of what was replaced; raises OSError when a file cannot be removed."""
        with self.db.reading() as tx:
            keys = tx.session.scalars(
                select(ReplacedFileRow.object_key).where(ReplacedFileRow.compaction_id == asked.id)
            ).all()
        for key in keys:
            self.store.delete(key)
        left = set(keys).intersection(self.store.keys(self._prefix(asked))) if keys else set()
        if left:
            raise OSError(f"{len(left)} replaced files are still there")
        with self.db.transaction() as tx:
            gone = delete(ReplacedFileRow).where(ReplacedFileRow.object_key.in_(keys))
            tx.session.execute(gone)

    def _prefix(self, asked: Compaction) -> str:
        with self.db.reading() as tx:
            return f"{self.datasets.dataset(tx, asked.dataset_id).workspace_id}/"

    def _finish(self, asked: Compaction) -> bool:
        """End the pass and the requests that it did; returns False when a version came meanwhile."""
        with self.db.transaction() as tx:
            self.datasets.lock(tx, asked.dataset_id)
            self._refuse_loads(tx, asked.dataset_id)
            if self._left(tx, asked):
                return False
            rows = select(func.count()).select_from(ReplacedFileRow)
            if tx.session.scalar(rows.where(ReplacedFileRow.compaction_id == asked.id)):
                return False
            now = self.clock.now()
            row = tx.session.get_one(CompactionRow, asked.id, with_for_update=True, populate_existing=True)
            dataset = self.datasets.dataset(tx, asked.dataset_id)
            through = tx.session.scalar(_last_epoch(dataset.id)) or 0
            row.state, row.ended_at, row.through_epoch = PassState.DONE.value, now, through
            row.done, row.failure = row.total, None
            versions = {
                version.id: version.files_root
                for version in self.datasets.versions(tx, dataset.id)
                if version.status not in WITHOUT_FILES
            }
            facts = {
                "dataset_id": dataset.id,
                "through_epoch": through,
                # Not `files_roots`: they were stated when they were switched.
                "versions": versions,
                "workspace_destroyed": self._is_destroyed(tx, dataset.id),
                "dataset_deleted": dataset.deleted_at is not None,
            }
            tx.session.flush()
            tx.audit(
                "rights.compacted",
                subject_id=row.id,
                organisation_id=row.organisation_id,
                body=facts
                | {
                    "why": row.why,
                    "collected_before": rfc3339(row.collected_before) if row.collected_before else None,
                },
            )
            self._erase(tx, row, facts, through)
        return True

    def _erase(self, tx: Transaction, row: CompactionRow, facts: dict[str, object], through: int) -> None:
        """Let the requests that the pass did be done: each with an event of its own, its certificate."""
        asked = select(ErasureRow).where(
            ErasureRow.dataset_id == row.dataset_id,
            ErasureRow.state == ErasureState.EXCLUDED.value,
            ErasureRow.epoch <= through,
        )
        for erasure in tx.session.scalars(asked.order_by(ErasureRow.id)).all():
            erasure.state, erasure.compaction_id = ErasureState.ERASED.value, row.id
            erasure.erased_at = row.ended_at
            tx.session.flush()
            tx.audit(
                "rights.erased",
                subject_id=erasure.id,
                organisation_id=erasure.organisation_id,
                body=facts
                | {
                    "v": 1,
                    "compaction_id": row.id,
                    "commitment": erasure.commitment,
                    "asked_at": rfc3339(erasure.asked_at),
                    "asked_by": erasure.asked_by,
                    "reason": erasure.reason,
                    "reference": erasure.reference,
                    "epoch": erasure.epoch,
                },
            )

    def _refuse_loads(self, tx: Transaction, dataset_id: str) -> None:
        loading = select(DatasetVersionRow.id).where(
            DatasetVersionRow.dataset_id == dataset_id,
            DatasetVersionRow.status == VersionStatus.LOADING.value,
        )
        if tx.session.scalars(loading.limit(1)).first() is not None:
            raise CompactionBusyError("A file is being loaded.", remedy="Wait until that has ended.")


def _last_epoch(dataset_id: str) -> Select[int]:
    """Select the epoch of the last request; those that binding began name nobody new in versions before it."""
    return select(func.max(ErasureRow.epoch)).where(ErasureRow.dataset_id == dataset_id)
