"""Deleting a dataset or a base for good: its sealed files go, its history stays, nothing is answered from it again."""

from dataclasses import dataclass

from sqlalchemy import or_, select, update

from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.types import Outcome
from cleanroom.clock import Clock
from cleanroom.consent.service import Consents
from cleanroom.datasets.cache import ColumnCache
from cleanroom.datasets.errors import VersionStatusError
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.datasets.rows import remove_files
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetKind, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.grants.service import Grants
from cleanroom.ingestion.junk import delete_after_commit
from cleanroom.rules.service import Rules
from cleanroom.storage import ObjectStore


@dataclass(frozen=True)
class Removing:
    """Deletes datasets and bases."""

    datasets: Datasets
    consents: Consents
    rules: Rules
    grants: Grants
    store: ObjectStore
    cache: ColumnCache
    clock: Clock

    def delete(self, tx: Transaction, dataset_id: str, *, organisation_id: str) -> None:
        """Delete a dataset or a base.

        Versions, receipts and the log stay, and so does what it cost. Grants on a dataset end, and what they leave
        returns to its accounts.

        Args:
            tx: the caller's transaction; files are removed once it has committed.
            dataset_id: which.
            organisation_id: its owner.

        Raises:
            DatasetNotFoundError: there is none, or it was deleted before.
            VersionStatusError: a load is running, or a question is being answered from it.
        """
        self.datasets.lock(tx, dataset_id)
        dataset = self.datasets.living(tx, dataset_id)
        self._refuse_work(tx, dataset)
        if dataset.kind is DatasetKind.DATASET:
            self.rules.stop(tx, dataset_id, organisation_id=organisation_id)
            self.grants.revoke_on(tx, dataset_id)
        files = remove_files(tx, dataset_id)
        withdrawals = self.consents.forget(tx, dataset_id)
        versions = [version.id for version in self.datasets.versions(tx, dataset_id)]
        tx.session.execute(
            update(DatasetVersionRow)
            .where(
                DatasetVersionRow.dataset_id == dataset_id, DatasetVersionRow.status != VersionStatus.FAILED
            )
            .values(status=VersionStatus.DELETED.value, files_root=None)
        )
        row = tx.session.get_one(DatasetRow, dataset_id)
        row.current_version_id, row.deleted_at = None, self.clock.now()
        tx.session.flush()
        tx.audit(
            "datasets.deleted",
            subject_id=dataset_id,
            organisation_id=organisation_id,
            # An empty root states that there are no files from here on.
            body={"files_roots": dict.fromkeys((*versions, *withdrawals), "")},
        )
        delete_after_commit(tx, self.store, [*(file.object_key for file in files), *withdrawals.values()])
        for file in files:
            self.cache.drop(file.file_id)

    def _refuse_work(self, tx: Transaction, dataset: Dataset) -> None:
        loading = select(DatasetVersionRow.id).where(
            DatasetVersionRow.dataset_id == dataset.id,
            DatasetVersionRow.status == VersionStatus.LOADING.value,
        )
        if tx.session.scalars(loading.limit(1)).first() is not None:
            raise VersionStatusError("A file is being loaded.", remedy="Wait until that has ended.")
        open_ = select(AnalysisRow.id).where(
            AnalysisRow.status == Outcome.RESERVED.value,
            or_(AnalysisRow.dataset_id == dataset.id, AnalysisRow.base_id == dataset.id),
        )
        if tx.session.scalars(open_.limit(1)).first() is not None:
            raise VersionStatusError("A question is being answered.", remedy="Wait until that has ended.")
