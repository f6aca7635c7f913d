"""The provider's decision about over-shared key values: they go on the dataset's junk list."""

from collections.abc import Collection

import numpy as np
from sqlalchemy import delete

from cleanroom.clock import Clock
from cleanroom.datasets.errors import VersionStatusError
from cleanroom.datasets.files import PlaceWriter, files_root
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.models import DatasetVersionRow, SealedFileRow
from cleanroom.datasets.rows import add_files
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Role, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.ingestion.errors import JunkError
from cleanroom.ingestion.junk_list import ref_of
from cleanroom.storage import ObjectStore
from cleanroom.storage.removing import delete_after_commit
from cleanroom.workspaces.service import Workspaces


class JunkLists:
    """Resolves what a version waits for."""

    def __init__(
        self, *, workspaces: Workspaces, datasets: Datasets, store: ObjectStore, clock: Clock
    ) -> None:
        self._workspaces = workspaces
        self._datasets = datasets
        self._store = store
        self._clock = clock

    def resolve_junk(self, tx: Transaction, version_id: str, refs: Collection[str] | None = None) -> int:
        """Put over-shared key values on the dataset's junk list; from this version on matching ignores them.

        Args:
            tx: the caller's transaction.
            version_id: a version that is `awaiting_junk`.
            refs: handles of the quality report; None means all.

        Returns:
            How many values still wait; at 0 the version can be published.

        Raises:
            VersionStatusError: the version does not wait for a decision.
            JunkError: a handle is not one of the version's.
        """
        version = tx.session.get(DatasetVersionRow, version_id)
        if version is not None:
            # Rotations hold the dataset while they replace files or keys.
            self._datasets.lock(tx, version.dataset_id)
            version = tx.session.get(DatasetVersionRow, version_id, with_for_update=True)
        if version is None or version.status != VersionStatus.AWAITING_JUNK:
            raise VersionStatusError("The version does not wait for its junk list.")
        reader = self._datasets.reader(tx, version_id)
        known, waiting = (reader.read(Role.JUNK, column, JUNK_DTYPE) for column in (0, 1))
        names = [ref_of(index) for index in range(waiting.size)]
        if refs is not None and not set(refs) <= set(names):
            raise JunkError(
                "A handle is not of this version's report.", remedy="Take the handles from its report."
            )
        # The list keeps its places, so that a report's handles stay good; 0 holders means "decided".
        chosen = np.array([refs is None or name in refs for name in names], np.bool_) & (
            waiting["holders"] > 0
        )
        known = np.concatenate([known, waiting[chosen]])
        waiting = waiting.copy()
        waiting["holders"][chosen] = 0
        left = int((waiting["holders"] > 0).sum())
        self._replace(tx, version_id, {0: known, 1: waiting})
        version.over_shared = left
        version.status = (VersionStatus.AWAITING_JUNK if left else VersionStatus.LOADED).value
        version.files_root = files_root(self._datasets.files(tx, version_id))
        tx.session.flush()
        place = self._datasets.place(tx, version_id)
        tx.audit(
            "ingestion.junk_resolved",
            subject_id=version_id,
            organisation_id=self._workspaces.workspace(tx, place.workspace_id).organisation_id,
            body={"dataset_id": version.dataset_id, "waiting": left, "files_root": version.files_root},
        )
        return left

    def _replace(self, tx: Transaction, version_id: str, lists: dict[int, np.ndarray]) -> None:
        place = self._datasets.place(tx, version_id)
        old = [file for file in self._datasets.files(tx, version_id) if file.role is Role.JUNK]
        kek = self._workspaces.secrets(tx, place.workspace_id).kek
        with PlaceWriter(self._store, place, kek=kek, clock=self._clock) as writer:
            for column, records in lists.items():
                writer.write(Role.JUNK, column, records)
        tx.session.execute(delete(SealedFileRow).where(SealedFileRow.id.in_([file.id for file in old])))
        add_files(tx, version_id, writer.files)
        delete_after_commit(tx, self._store, [file.object_key for file in old])
