"""Erasing in the sealed files of consents: found again in versions, and struck from the changes of before."""

from dataclasses import dataclass
from functools import partial

from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.consent.binding import bound
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.changes_anew import ChangesAnew, Old, Replaced
from cleanroom.consent.epochs import Batch, Epochs, read_all
from cleanroom.consent.erasing import ReadChanges, erasure_of
from cleanroom.consent.files import ConsentFiles, rooted
from cleanroom.consent.found import named
from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.consent.overlay import overlay_of
from cleanroom.consent.service import Consents
from cleanroom.datasets.files import Place, files_root
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, Role
from cleanroom.db.database import Transaction
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces


@dataclass(frozen=True)
class ErasedPeople:
    """The service of erasure in the consent slice; it takes the caller's transaction."""

    workspaces: Workspaces
    datasets: Datasets
    consents: Consents
    store: ObjectStore
    clock: Clock

    def rows(self, tx: Transaction, dataset: Dataset) -> ReadChanges:
        """Return what reads every change of a dataset; it may outlive the transaction."""
        segments = self._epochs.segments(tx, dataset, self._epochs.newest(tx, dataset.id))
        return partial(read_all, segments)

    def bind(self, tx: Transaction, version_id: str) -> None:
        """Bind erasures to the people of a version that was never published, which is about to lose them.

        Else whoever came back in it under other identifiers could come back under these once more. It begins an epoch
        whenever somebody was erased: whether anybody was found must not show.

        Args:
            tx: holds the dataset's lock.
            version_id: the version.
        """
        version = self.datasets.version(tx, version_id)
        dataset = self.datasets.dataset(tx, version.dataset_id)
        changes = self.rows(tx, dataset)()
        erased = changes[changes["state"] == ChangeState.ERASED]
        if not erased.size:
            return
        found = erasure_of(bound(self.datasets.reader(tx, version_id), erased, persons=version.persons))
        batch = Batch(found)
        if dataset.current_version_id is not None:
            current = self.datasets.version(tx, dataset.current_version_id)
            reader = self.datasets.reader(tx, current.id)
            overlay = overlay_of(reader, found, named(reader, found), dataset.schema, current)
            batch = Batch(found, version_id=current.id, overlay=overlay)
        self._epochs.enter(
            tx,
            dataset,
            "binding",
            self.clock.now(),
            token_key_version=version.token_key_version,
            batch=batch,
        )

    def moved(self, tx: Transaction, dataset: Dataset, version_id: str, *, kind: str) -> Replaced:
        """Let go of what says where people stand in a version whose people have moved up; a new epoch begins.

        Args:
            tx: holds the dataset's lock, and has entered the version's new files.
            dataset: whose version it is.
            version_id: the version.
            kind: what the epoch is called in the log; of a version that is not published none begins.
        """
        rows = tx.session.scalars(
            select(ConsentEpochRow).where(
                ConsentEpochRow.dataset_id == dataset.id, ConsentEpochRow.overlay_version_id == version_id
            )
        ).all()
        old = select(ConsentFileRow).where(
            ConsentFileRow.epoch_id.in_([row.id for row in rows]), ConsentFileRow.role == int(Role.OVERLAY)
        )
        files = tx.session.scalars(old).all()
        gone = Replaced(tuple(file.object_key for file in files), tuple(file.file_id for file in files))
        for file in files:
            tx.session.delete(file)
        for row in rows:
            row.overlay_version_id, row.overlay_is_full = None, False
        tx.session.flush()
        if dataset.current_version_id == version_id:
            self._begin(tx, dataset, version_id, kind)
        return gone

    def changes(self, tx: Transaction, dataset: Dataset) -> ChangesAnew:
        """Collect the sealed changes of a dataset, to be written anew; that takes no transaction."""
        rows = tx.session.scalars(
            select(ConsentEpochRow)
            .where(ConsentEpochRow.dataset_id == dataset.id, ConsentEpochRow.object_key.is_not(None))
            .order_by(ConsentEpochRow.epoch)
        ).all()
        files = ConsentFiles(self.workspaces, self.store)
        old = [
            Old(
                id=row.id,
                epoch=row.epoch,
                place=Place(dataset.workspace_id, dataset.id, row.id),
                reader=files.reader(tx, dataset, row),
                root=files_root(rooted(tx, row)),
            )
            for row in rows
        ]
        kek = self.workspaces.kek(tx, dataset.workspace_id)
        return ChangesAnew(tuple(old), store=self.store, kek=kek, clock=self.clock)

    def _begin(self, tx: Transaction, dataset: Dataset, version_id: str, kind: str) -> None:
        before = self.consents.epoch(tx, dataset.id)
        # It writes the overlay of the people as they stand now.
        self.consents.bind(tx, version_id, kind=kind)
        if self.consents.epoch(tx, dataset.id) == before:
            self._epochs.enter(tx, dataset, kind, self.clock.now())

    @property
    def _epochs(self) -> Epochs:
        return Epochs(workspaces=self.workspaces, store=self.store, clock=self.clock)
