"""Cleaning up after crashes: loads that nobody runs any more fail, and files that SQL does not name go."""

import re
from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.consent.optout_models import BarSegmentRow, OptOutListRow
from cleanroom.datasets.files import Place
from cleanroom.datasets.models import DatasetVersionRow, SealedFileRow
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import VersionStatus
from cleanroom.db.database import Database
from cleanroom.ids import uuid_of
from cleanroom.storage import ObjectStore
from cleanroom.storage.leases import Leases
from cleanroom.workspaces.service import Workspaces

_INTERRUPTED = "ingestion.interrupted"
_GRACE_SECONDS = 900
_OURS = re.compile(r"ws_[0-9a-f]{32}/(dv|ce|bs|ol)_[0-9a-f]{32}/fl_[0-9a-f]{32}")
"""The keys of sealed files; whatever else lies in the store is not the room's to remove."""


@dataclass(frozen=True)
class Recovery:
    """Ends what a crash left; opens its own transactions."""

    db: Database
    workspaces: Workspaces
    datasets: Datasets
    store: ObjectStore
    leases: Leases
    clock: Clock

    def run(self) -> tuple[str, ...]:
        """Mark loads that nobody runs any more as failed, and remove files that SQL does not name.

        Returns:
            The ids of the versions marked as failed.
        """
        with self.db.reading() as tx:
            loading = select(DatasetVersionRow.id).where(
                DatasetVersionRow.status == VersionStatus.LOADING.value
            )
            found = [
                (version_id, self.datasets.place(tx, version_id))
                for version_id in tx.session.scalars(loading)
            ]
        failed = []
        for version_id, place in found:
            with self.leases.try_hold(version_id) as held:
                if held:
                    self.fail(version_id, place, _INTERRUPTED)
                    failed.append(version_id)
        self._sweep()
        return tuple(failed)

    def fail(self, version_id: str, place: Place, code: str) -> None:
        """Mark a load as failed, unless it has ended, and remove its files.

        Args:
            version_id: a version whose lease the caller holds.
            place: where its files are.
            code: why.
        """
        with self.db.transaction() as tx:
            version = tx.session.get_one(DatasetVersionRow, version_id, with_for_update=True)
            if version.status != VersionStatus.LOADING:
                return
            version.status, version.failure = VersionStatus.FAILED.value, code
            tx.session.flush()
            tx.audit(
                "ingestion.failed",
                subject_id=version_id,
                organisation_id=self.workspaces.workspace(tx, place.workspace_id).organisation_id,
                body={"dataset_id": version.dataset_id, "package_id": version.package_id, "failure": code},
            )
        self.store.sweep((), prefix=place.prefix)

    def _sweep(self) -> None:
        """Remove files that SQL does not name: a crash came between a write and its commit.

        Young ones may belong to a transaction that is about to commit, and those of a workspace whose keys are being
        rotated to the rotation; both stay.
        """
        with self.db.reading() as tx:
            loading = select(DatasetVersionRow.id).where(
                DatasetVersionRow.status == VersionStatus.LOADING.value
            )
            kept = {self.datasets.place(tx, version_id).prefix for version_id in tx.session.scalars(loading)}
            known = set(tx.session.scalars(select(SealedFileRow.object_key)))
            known |= {key for key in tx.session.scalars(select(ConsentEpochRow.object_key)) if key}
            known |= set(tx.session.scalars(select(ConsentFileRow.object_key)))
            known |= {key for key in tx.session.scalars(select(BarSegmentRow.object_key)) if key}
            known |= set(tx.session.scalars(select(OptOutListRow.object_key)))
        now = self.clock.now().timestamp()
        orphans = defaultdict(list)
        for key in [*self.store.keys(), *self.store.unfinished()]:
            if not _OURS.fullmatch(key) or key in known or key.rpartition("/")[0] + "/" in kept:
                continue
            written = (uuid_of(key.rpartition("/")[2]).int >> 80) / 1000
            if now - written > _GRACE_SECONDS:
                orphans[key.partition("/")[0]].append(key)
        for workspace_id, keys in orphans.items():
            with self.leases.try_hold(workspace_id) as held:
                for key in keys if held else ():
                    self.store.sweep(known, prefix=key)
