"""Consents of datasets: epochs, changes, and who may be counted."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import select

from cleanroom.clock import Clock, rfc3339
from cleanroom.consent.bar_binding import BarBinding
from cleanroom.consent.bar_segments import BarSegments
from cleanroom.consent.binding import bound
from cleanroom.consent.changes import ChangeRows, ChangeState, microseconds
from cleanroom.consent.checks import end_check
from cleanroom.consent.epochs import Batch, Epochs, SubmittedBatch, read_all
from cleanroom.consent.errors import StaleChangeError
from cleanroom.consent.files import ConsentFiles
from cleanroom.consent.found import named
from cleanroom.consent.list_files import ListFiles
from cleanroom.consent.mirror import Mirror
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.overlay import overlay_of
from cleanroom.consent.taking import NOTHING_BESIDE, Finish, Taking, nothing_more
from cleanroom.consent.types import Change, ChangeOutcome, Withdrawal
from cleanroom.consent.view import ConsentView
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import Dataset, DatasetVersion, Role
from cleanroom.db.database import Database, Transaction
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces


class Consents:
    """The service of the consent slice; `change` and `withdraw` open their own transactions."""

    def __init__(
        self,
        *,
        db: Database,
        workspaces: Workspaces,
        datasets: Datasets,
        store: ObjectStore,
        clock: Clock,
        mirror: Mirror,
    ) -> None:
        self.mirror = mirror
        self._db = db
        self._workspaces = workspaces
        self._datasets = datasets
        self._clock = clock
        self._epochs = Epochs(workspaces=workspaces, store=store, clock=clock)
        self._files = ConsentFiles(workspaces, store)
        self.bars = BarBinding(
            workspaces, datasets, BarSegments(workspaces, store, clock), ListFiles(workspaces, store, clock)
        )
        self.taking = Taking(db, workspaces, datasets, self._epochs, clock, mirror)

    def epoch(self, tx: Transaction, dataset_id: str) -> int:
        """Return the dataset's consent epoch; 0 before the first change."""
        return self._epochs.newest(tx, dataset_id)

    def advance(self, tx: Transaction, dataset_id: str) -> int:
        """Begin a new epoch if consents can have expired since the last one, and return the current epoch.

        Decided by the calendar alone, once a day and only when consents of this dataset can have last days of
        validity: whether anybody did expire must not show.
        """
        if not self.due(tx, dataset_id):
            return self.epoch(tx, dataset_id)
        self._datasets.lock(tx, dataset_id)
        if not self.due(tx, dataset_id):
            # Another transaction was faster.
            return self.epoch(tx, dataset_id)
        return self._epochs.enter(tx, self._datasets.dataset(tx, dataset_id), "expiry", self._clock.now())

    def due(self, tx: Transaction, dataset_id: str) -> bool:
        """Tell whether a new epoch has to begin before anything is counted, as consents can have expired."""
        dataset = self._datasets.dataset(tx, dataset_id)
        if dataset.current_version_id is None or not self._can_expire(tx, dataset):
            return False
        last, now = self._epochs.last(tx, dataset_id), self._clock.now()
        published = self._datasets.version(tx, dataset.current_version_id).published_at or now
        since = max(last.at, published) if last else published
        return since.astimezone(UTC).date() < now.astimezone(UTC).date()

    def _can_expire(self, tx: Transaction, dataset: Dataset) -> bool:
        """Tell whether last days of validity are known: by the schema, or by any change that was ever taken."""
        return any(consent.expires_at for consent in dataset.schema.consents) or self._epochs.has_ends(
            tx, dataset.id
        )

    def locked_epoch(self, tx: Transaction, dataset: Dataset) -> int:
        """Hold a dataset, shared, and return its epoch, which stays the last one until the transaction ends.

        It is a new one if consents can have expired since. Whoever withdraws or stops the dataset either came before,
        and is seen, or waits.
        """
        if self._can_expire(tx, dataset):
            self.advance(tx, dataset.id)
        self._datasets.lock(tx, dataset.id, shared=True)
        return self.epoch(tx, dataset.id)

    def view(self, tx: Transaction, version_id: str, *, purpose: str, epoch: int) -> ConsentView:
        """Collect what decides who may be counted, as of an epoch; evaluate it after the transaction."""
        version = self._datasets.version(tx, version_id)
        dataset = self._datasets.dataset(tx, version.dataset_id)
        purposes = [consent.purpose for consent in dataset.schema.consents]
        column = purposes.index(purpose) if purpose in purposes else len(purposes)
        overlays = self._epochs.overlays(tx, dataset, version_id, epoch)
        return ConsentView(
            reader=self._datasets.reader(tx, version_id),
            persons=version.persons,
            consent=dataset.schema.consents[column] if column < len(purposes) else None,
            column=column,
            changes=partial(self._changes, dataset, epoch),
            loaded_at=microseconds(version.created_at),
            overlays=overlays,
            epoch=epoch,
            bars=self.bars.segments.readers(tx, dataset, epoch=epoch),
        )

    def _changes(self, dataset: Dataset, epoch: int) -> ChangeRows:
        """Read every change up to an epoch: where a version has no overlay, or one is asked about the past."""
        with self._db.reading() as tx:
            segments = self._epochs.segments(tx, dataset, epoch)
        return read_all(segments)

    def changes(self, tx: Transaction, dataset: Dataset) -> ChangeRows:
        """Read every change there is of a dataset."""
        return read_all(self._epochs.segments(tx, dataset, self.epoch(tx, dataset.id)))

    def submitted(self, tx: Transaction, dataset: Dataset, epoch: int) -> SubmittedBatch | None:
        """Return what was submitted in an epoch, to be read after the transaction; None where nothing was."""
        return self._epochs.submitted(tx, dataset, epoch)

    def bind(self, tx: Transaction, version_id: str, *, kind: str = "binding") -> None:
        """Bind earlier changes to the people of a version that is about to be published, and write its overlay.

        Somebody who was not known when they withdrew, or came back under another person_id, stays withdrawn
        when their identifiers change once more. It begins an epoch whenever the dataset has changes: whether
        anybody was found must not show.

        Args:
            tx: holds the dataset's lock.
            version_id: the version.
            kind: what the epoch is called in the log.
        """
        version = self._datasets.version(tx, version_id)
        dataset = self._datasets.dataset(tx, version.dataset_id)
        if dataset.schema.consents:
            # Before the commit: a restored backup without this version lacks the consents that came with it.
            self.mirror.note_version(dataset.id, version_id)
        self._bind_changes(tx, dataset, version, kind)
        self.bars.bind(
            tx,
            dataset,
            version,
            epoch=self.epoch(tx, dataset.id),
            begin=self.begin_epoch,
            at=self._clock.now(),
        )

    def _bind_changes(self, tx: Transaction, dataset: Dataset, version: DatasetVersion, kind: str) -> None:
        earlier = self._epochs.segments(tx, dataset, self.epoch(tx, dataset.id))
        if not earlier:
            return
        recorded, reader = read_all(earlier), self._datasets.reader(tx, version.id)
        found = named(reader, recorded)
        batch = Batch(
            changes=bound(reader, recorded, persons=version.persons, found=found),
            version_id=version.id,
            overlay=overlay_of(reader, recorded, found, dataset.schema, version),
            is_full=True,
        )
        self.taking.record(
            tx, dataset, kind, self._clock.now(), batch, token_version=version.token_key_version
        )

    def forget(self, tx: Transaction, dataset_id: str) -> dict[str, str]:
        """Strike the sealed changes of a dataset that is being deleted; its epochs stay.

        Returns:
            The ids of epochs that had a file, with the object keys, to be removed from the store; what stands beside
            them is removed by this.
        """
        rows = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset_id, ConsentEpochRow.object_key.is_not(None)
        )
        gone: dict[str, str] = {}
        for row in tx.session.scalars(rows).all():
            gone[row.id] = row.object_key or ""
            row.object_key = row.file_id = row.ciphertext_sha256 = row.overlay_version_id = None
            row.overlay_is_full = False
            self._files.remove(tx, row.id, Role.CONSENT_TERMS, Role.OVERLAY)
        tx.session.flush()
        return gone | self.bars.segments.forget(tx, dataset_id)

    def begin_epoch(
        self, tx: Transaction, dataset: Dataset, kind: str, at: datetime, *, submitted: int
    ) -> int:
        """Begin an epoch that has no changes of consents itself, and return it.

        Args:
            tx: holds the dataset's lock.
            dataset: whose.
            kind: why.
            at: the instant.
            submitted: identifiers taken.
        """
        return self._epochs.enter(tx, dataset, kind, at, submitted=submitted)

    def confirm(self, tx: Transaction, dataset_id: str, *, by: str) -> int:
        """Let people of a dataset be counted again: its owner has sent what was withdrawn since the backup.

        Args:
            tx: the caller's transaction.
            dataset_id: which.
            by: id of a user or client, or `operator`.

        Returns:
            The new epoch: no answer from before is given as a fresh one.

        Raises:
            NothingToConfirmError: the dataset's consents are not in doubt.
        """
        self._datasets.lock(tx, dataset_id)
        dataset, now = self._datasets.living(tx, dataset_id), self._clock.now()
        since = end_check(tx, dataset_id, now=now)
        tx.audit(
            "consent.confirmed",
            subject_id=dataset_id,
            organisation_id=self._workspaces.workspace(tx, dataset.workspace_id).organisation_id,
            body={"since": rfc3339(since), "by": by},
        )
        return self._epochs.enter(tx, dataset, "confirmed", now)

    def withdraw(
        self, dataset_id: str, requests: Sequence[Withdrawal], *, at: datetime | None = None
    ) -> ChangeOutcome:
        """Take a batch of withdrawals; see `change`.

        Args:
            dataset_id: of which dataset.
            requests: at most 1,000,000 identifiers in all.
            at: when they withdrew; now, when not given, and never later than now.

        Raises:
            ChangeError: an unknown purpose, a digest of the wrong length, or a batch that is too large.
        """
        instant = min(at or self._clock.now(), self._clock.now())
        changes = [
            Change(each.key, each.digests, ChangeState.WITHDRAWN, each.purpose, at=instant)
            for each in requests
        ]
        return self.change(dataset_id, changes, kind="withdrawal")

    def change(
        self,
        dataset_id: str,
        changes: Sequence[Change],
        *,
        kind: str = "change",
        finish: Finish = nothing_more,
        beside: Mapping[str, object] = NOTHING_BESIDE,
        batch_id: str | None = None,
    ) -> ChangeOutcome:
        """Take a batch of changes; it counts from the next analysis on.

        A change names all holders of a submitted identifier and binds to them: to their person_id and, when it holds
        people back, to the values that each alone holds now, so that it holds in later versions and restores too.
        People who are not found are remembered by the identifier they gave.

        Args:
            dataset_id: of which dataset.
            changes: at most 1,000,000 identifiers in all.
            kind: what the epoch is called in the log.
            finish: writes into the transaction that enters the epoch, to be kept or lost with it.
            beside: what the mirror keeps with it, for whoever takes it again.
            batch_id: of a batch that is taken again from the mirror; a new one when not given.

        Returns:
            What could be applied; never who was found.

        Raises:
            ChangeError: an unknown purpose, a digest of the wrong length, a grant for all purposes or of the
                future, or a batch that is too large.
        """
        while True:
            prepared = self.taking.prepare(dataset_id, changes)
            with suppress(StaleChangeError), self._db.transaction() as tx:
                return self.taking.take(
                    tx, prepared, kind=kind, finish=finish, beside=beside, batch_id=batch_id
                )
