"""Taking a batch of changes: people are looked for before the transaction, and the batch entered in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np

from cleanroom.clock import Clock
from cleanroom.consent.binding import bound
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.epochs import Batch, Epochs, Overlays, read_all
from cleanroom.consent.errors import StaleChangeError
from cleanroom.consent.found import named
from cleanroom.consent.mirror import Mirror
from cleanroom.consent.mirrored import MirroredChanges, restraining
from cleanroom.consent.overlay import NO_ENTRIES, Entries, laid_over, overlay_of, touched
from cleanroom.consent.submitting import Submitted, check, submitted_rows
from cleanroom.consent.types import Change, ChangeOutcome
from cleanroom.datasets.files import PlaceReader
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetVersion
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.workspaces.service import Workspaces
from cleanroom.workspaces.types import WorkspaceKeys
from crypto.limits import DIGEST_BYTES

_FOLD_EPOCHS = 32
_FOLD_ENTRIES = 1 << 14
"""With more later batches, or more submitted in them, than these a full overlay is written: as few files are read as
can be, and a small batch does not write all changes before it again."""
NOTHING_BESIDE: Mapping[str, object] = MappingProxyType({})
Finish = Callable[[Transaction, int], None]
Submit = Callable[[Transaction, Dataset, WorkspaceKeys], Submitted]


def nothing_more(_tx: Transaction, _epoch: int) -> None:
    """Write nothing beside a batch."""


@dataclass(frozen=True)
class Prepared:
    """A batch, and whom it names in the version that was published when it was prepared.

    Attributes:
        dataset: as it was then.
        token_version: of the workspace's token secret.
        version: that was published, if one was.
        submitted: the batch.
        batch: what is to be written.
        restraining: the changes of the batch that hold people back, as they were submitted.
    """

    dataset: Dataset
    token_version: int
    version: DatasetVersion | None
    submitted: Submitted
    batch: Batch
    restraining: tuple[Change, ...] = ()


class Taking:
    """Takes batches of changes."""

    def __init__(
        self,
        db: Database,
        workspaces: Workspaces,
        datasets: Datasets,
        epochs: Epochs,
        clock: Clock,
        mirror: Mirror,
    ) -> None:
        self.mirror = mirror
        self._db = db
        self._workspaces = workspaces
        self._datasets = datasets
        self._epochs = epochs
        self._clock = clock

    def prepare(self, dataset_id: str, changes: Sequence[Change]) -> Prepared:
        """Check a batch and find whom it names; opens a transaction that reads.

        Raises:
            ChangeError: see `Consents.change`.
        """
        now = self._clock.now()

        def submit(_tx: Transaction, dataset: Dataset, keys: WorkspaceKeys) -> Submitted:
            check(dataset.schema, changes, now)
            return submitted_rows(dataset, changes, keys, now)

        return replace(self.prepare_rows(dataset_id, submit), restraining=restraining(changes, now))

    def prepare_rows(self, dataset_id: str, submit: Submit) -> Prepared:
        """Find whom a batch names that is made of records, which hold nobody back; see `prepare`.

        Args:
            dataset_id: of which dataset.
            submit: makes the batch.
        """
        with self._db.reading() as tx:
            dataset = self._datasets.living(tx, dataset_id)
            keys = self._workspaces.secrets(tx, dataset.workspace_id)
            current = dataset.current_version_id
            version = self._datasets.version(tx, current) if current else None
            reader = self._datasets.reader(tx, current) if current else None
            submitted = submit(tx, dataset, keys)
        batch = _batch(submitted, dataset, version, reader)
        return Prepared(dataset, keys.token_version, version, submitted, batch)

    def take(
        self,
        tx: Transaction,
        prepared: Prepared,
        *,
        kind: str = "change",
        finish: Finish = nothing_more,
        beside: Mapping[str, object] = NOTHING_BESIDE,
        batch_id: str | None = None,
    ) -> ChangeOutcome:
        """Enter a prepared batch as the next epoch, and write down in the mirror what holds people back.

        Args:
            tx: the caller's transaction.
            prepared: the batch.
            kind: what the epoch is called in the log.
            finish: writes into the same transaction.
            beside: what the mirror keeps with it.
            batch_id: of a batch that is taken again from the mirror; a new one when not given.

        Raises:
            StaleChangeError: another version was published since, or the token key rotated; prepare it again.
        """
        dataset, submitted, version = prepared.dataset, prepared.submitted, prepared.version
        self._datasets.lock(tx, dataset.id)
        if self._workspaces.secrets(tx, dataset.workspace_id).token_version != prepared.token_version:
            raise StaleChangeError("The token key was rotated meanwhile.", remedy="Send the batch again.")
        current = self._datasets.living(tx, dataset.id).current_version_id
        if current != (version.id if version else None):
            raise StaleChangeError("A version was published meanwhile.", remedy="Send the batch again.")
        # Files written anew hold the people who are left at other places.
        if version and self._datasets.version(tx, version.id).files_root != version.files_root:
            raise StaleChangeError("The files were written anew meanwhile.", remedy="Send the batch again.")
        epoch = self._epochs.newest(tx, dataset.id)
        if submitted.count:
            batch_id = batch_id or new_id("ce", self._clock.now())
            # Before the commit: after a crash in between the mirror says too much, never too little.
            self._keep(tx, prepared, batch_id, kind, beside)
            batch = prepared.batch
            if version:
                batch = self._laid(tx, dataset, version, batch, submitted.count)
            epoch = self.record(
                tx,
                dataset,
                kind,
                submitted.latest,
                batch,
                submitted=submitted.count,
                token_version=prepared.token_version,
                batch_id=batch_id,
            )
            finish(tx, epoch)
        return ChangeOutcome(submitted.applied, submitted.not_applied, submitted.count, epoch)

    def record(
        self,
        tx: Transaction,
        dataset: Dataset,
        kind: str,
        at: datetime,
        batch: Batch,
        *,
        submitted: int = 0,
        token_version: int,
        batch_id: str | None = None,
    ) -> int:
        """Enter an epoch with a batch; see `Epochs.enter`."""
        return self._epochs.enter(
            tx,
            dataset,
            kind,
            at,
            submitted=submitted,
            token_key_version=token_version,
            batch=batch,
            batch_id=batch_id,
        )

    def _keep(
        self, tx: Transaction, prepared: Prepared, batch_id: str, kind: str, beside: Mapping[str, object]
    ) -> None:
        """Write down what holds people back; a batch that cannot be written down is not taken."""
        rows, kept = prepared.submitted.rows, prepared.restraining
        own = sum(len(one.digests) for one in kept if one.key in prepared.submitted.applied) // DIGEST_BYTES
        if own != np.count_nonzero(rows["state"] != ChangeState.GRANTED):
            raise RuntimeError("A batch holds people back and does not say whom.")
        if own:
            self.mirror.keep(
                prepared.dataset.id,
                batch_id,
                MirroredChanges(kind, kept, beside).to_sheet(),
                recipients=[self._workspaces.recipient(tx, prepared.dataset.workspace_id)],
            )

    def _laid(
        self, tx: Transaction, dataset: Dataset, version: DatasetVersion, batch: Batch, submitted: int
    ) -> Batch:
        """Give a batch's overlay what stands for its people; or all people, when it is time for a full one."""
        epoch = self._epochs.newest(tx, dataset.id)
        overlays = self._epochs.overlays(tx, dataset, version.id, epoch)
        if overlays is None:
            # A room of before has segments and no overlay.
            reader = self._datasets.reader(tx, version.id)
            segments = self._epochs.segments(tx, dataset, epoch)
            recorded = np.concatenate([read_all(segments), batch.changes])
            made = overlay_of(reader, recorded, named(reader, recorded), dataset.schema, version)
            return Batch(batch.changes, batch.terms, version.id, made, is_full=True)
        own = submitted * len(batch.overlay)
        if len(overlays.readers) < _FOLD_EPOCHS and overlays.pending + own < _FOLD_ENTRIES:
            over = {
                column: touched(overlays.read(column), entries) for column, entries in batch.overlay.items()
            }
            return replace(batch, overlay=over)
        columns = range(len(dataset.schema.consents))
        full = {column: _laid_over(overlays, batch, column) for column in columns}
        return Batch(batch.changes, batch.terms, version.id, full, is_full=True)


def _batch(
    submitted: Submitted, dataset: Dataset, version: DatasetVersion | None, reader: PlaceReader | None
) -> Batch:
    """Find whom a batch names in the published version, if there is one."""
    if version is None or reader is None:
        return Batch(submitted.rows, submitted.terms)
    found = named(reader, submitted.rows)
    added = bound(reader, submitted.rows, persons=version.persons, found=found)
    return Batch(
        changes=np.concatenate([submitted.rows, added]),
        terms=submitted.terms,
        version_id=version.id,
        overlay=overlay_of(reader, submitted.rows, found, dataset.schema, version),
    )


def _laid_over(overlays: Overlays, batch: Batch, column: int) -> Entries:
    full, *later = overlays.read(column) or [NO_ENTRIES]
    return laid_over(full, [*later, batch.overlay.get(column, NO_ENTRIES)])
