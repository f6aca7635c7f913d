"""Taking data out for good, a whole dataset or one version: sealed files go, the history stays."""

from collections.abc import Callable, Sequence
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
from cleanroom.datasets.types import WITHOUT_FILES, Dataset, DatasetKind, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.rules.service import Rules
from cleanroom.storage import ObjectStore
from cleanroom.storage.removing import delete_after_commit
from cleanroom.workspaces.service import Workspaces


@dataclass(frozen=True)
class Removing:
    """Deletes datasets, bases and versions.

    Attributes:
        end_datasets: ends all that was given or is sold of datasets, their grants too.
    """

    workspaces: Workspaces
    datasets: Datasets
    consents: Consents
    rules: Rules
    end_datasets: Callable[[Transaction, Sequence[str]], object]
    store: ObjectStore
    cache: ColumnCache
    clock: Clock

    def delete(self, tx: Transaction, dataset_id: str, *, organisation_id: str) -> None:
        """Delete a dataset or a base.

        Versions, receipts and the log stay, and so does what it cost. Grants on a dataset end, and what they leave
        returns to its accounts; so do its entitlements, requests that wait for it, and its listings.

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
            self.end_datasets(tx, [dataset_id])
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

    def retire(self, tx: Transaction, dataset_id: str) -> None:
        """Take the published version of a dataset out of use: nothing is answered until another one is published.

        Raises:
            DatasetNotFoundError: there is none, or it was deleted.
            VersionStatusError: none is published, or a question is being answered from it.
        """
        self.datasets.lock(tx, dataset_id)
        dataset = self.datasets.living(tx, dataset_id)
        if dataset.current_version_id is None:
            raise VersionStatusError("No version is published.", remedy="Nothing is left to retire.")
        self._refuse_questions(tx, dataset)
        tx.session.get_one(DatasetVersionRow, dataset.current_version_id).status = VersionStatus.RETIRED.value
        tx.session.get_one(DatasetRow, dataset_id).current_version_id = None
        tx.session.flush()
        tx.audit(
            "datasets.version_retired",
            subject_id=dataset.current_version_id,
            organisation_id=self._owner(tx, dataset),
            body={"dataset_id": dataset_id},
        )

    def delete_version(self, tx: Transaction, dataset_id: str, version_id: str) -> None:
        """Delete the sealed files of a version that is not published.

        Raises:
            DatasetNotFoundError: there is no such dataset, or it was deleted.
            VersionNotFoundError: the dataset has no such version.
            VersionStatusError: it is published, being loaded or without files, or a question is being answered.
        """
        self.datasets.lock(tx, dataset_id)
        dataset = self.datasets.living(tx, dataset_id)
        version = self.datasets.owned_version(tx, dataset_id, version_id)
        if version.status in WITHOUT_FILES or version.id == dataset.current_version_id:
            raise VersionStatusError(
                f"A version that is {version.status} cannot be deleted.",
                remedy="Retire a published one first, or publish another.",
            )
        # A question that began before another version was published may still read this one.
        self._refuse_questions(tx, dataset)
        files = remove_files(tx, dataset_id, version_id=version_id)
        row = tx.session.get_one(DatasetVersionRow, version_id)
        row.status, row.files_root = VersionStatus.DELETED.value, None
        tx.session.flush()
        tx.audit(
            "datasets.version_deleted",
            subject_id=version_id,
            organisation_id=self._owner(tx, dataset),
            body={"dataset_id": dataset_id, "files_roots": {version_id: ""}},
        )
        delete_after_commit(tx, self.store, [file.object_key for file in files])
        for file in files:
            self.cache.drop(file.file_id)

    def _owner(self, tx: Transaction, dataset: Dataset) -> str:
        return self.workspaces.workspace(tx, dataset.workspace_id).organisation_id

    def _refuse_work(self, tx: Transaction, dataset: Dataset) -> None:
        loading = select(DatasetVersionRow.id).where(
            DatasetVersionRow.dataset_id == dataset.id,
            DatasetVersionRow.status == VersionStatus.LOADING.value,
        )
        if tx.session.scalars(loading.limit(1)).first() is not None:
            raise VersionStatusError("A file is being loaded.", remedy="Wait until that has ended.")
        self._refuse_questions(tx, dataset)

    def _refuse_questions(self, tx: Transaction, dataset: Dataset) -> None:
        open_ = select(AnalysisRow.id).where(
            AnalysisRow.status == Outcome.RESERVED.value,
            or_(AnalysisRow.dataset_id == dataset.id, AnalysisRow.base_id == dataset.id),
        )
        if tx.session.scalars(open_.limit(1)).first() is not None:
            raise VersionStatusError("A question is being answered.", remedy="Wait until that has ended.")
