"""Epochs in SQL and their sealed files in the store: segments of changes, terms of records, overlays of versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import bindparam, func, select

from cleanroom.clock import Clock, rfc3339
from cleanroom.consent.changes import ChangeRows, dated, no_changes, read_changes
from cleanroom.consent.files import ConsentFiles, rooted
from cleanroom.consent.laid import entries_at_most, packed, read_entries
from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.consent.overlay import Entries
from cleanroom.consent.padding import filled_up, usual_bound, usual_entries, usual_full, usual_records
from cleanroom.consent.terms import Terms, read_terms
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.types import Dataset, Role
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.schema.model import NULL_DATE
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces

EPOCH_BEGUN = "consent.epoch_begun"
_EPOCHS = Base.metadata.tables[ConsentEpochRow.__tablename__].c
# Made once: every question runs it twice, and to put a statement together takes longer than to run it.
_NEWEST_EPOCH = select(func.max(_EPOCHS.epoch)).where(_EPOCHS.dataset_id == bindparam("dataset_id"))
_WITH_ENDS = (
    select(_EPOCHS.epoch).where(_EPOCHS.dataset_id == bindparam("dataset_id"), _EPOCHS.has_ends).limit(1)
)
_LAST_FULL = select(func.max(_EPOCHS.epoch)).where(
    _EPOCHS.dataset_id == bindparam("dataset_id"),
    _EPOCHS.overlay_version_id == bindparam("version_id"),
    _EPOCHS.overlay_is_full,
    _EPOCHS.epoch <= bindparam("epoch"),
)


@dataclass(frozen=True)
class Batch:
    """What is written for one epoch.

    Attributes:
        changes: by token.
        terms: of records, as `terms.written` gives them.
        version_id: the version that `overlay` is of; None, when none is published.
        overlay: by the purpose's position, what the changes come to in that version.
        is_full: whether the overlay holds all changes up to the epoch, and not only these.
    """

    changes: ChangeRows
    terms: bytes = b""
    version_id: str | None = None
    overlay: Mapping[int, Entries] = field(default_factory=dict)
    is_full: bool = False


@dataclass(frozen=True)
class Segment:
    """The sealed changes of one epoch."""

    epoch: int
    reader: PlaceReader

    def read(self) -> ChangeRows:
        """Read them."""
        return read_changes(self.reader, epoch=self.epoch)


@dataclass(frozen=True)
class SubmittedBatch:
    """What came in for one epoch: the records as they were submitted, and their terms.

    Attributes:
        segment: where they are, with what was bound beside them.
    """

    segment: Segment

    def records(self) -> ChangeRows:
        """Read the records, without what was bound beside them."""
        rows = self.segment.read()
        own: ChangeRows = rows[rows["submitted"] != 0]
        return own

    def terms(self) -> Sequence[Terms]:
        """Read the terms that records name by their position."""
        reader = self.segment.reader
        if not reader.has(Role.CONSENT_TERMS):
            return ()
        return read_terms(reader.read_bytes(Role.CONSENT_TERMS))


@dataclass(frozen=True)
class Overlays:
    """The overlays that together hold every change up to an epoch.

    Attributes:
        readers: the full one first, then those of later batches.
        pending: identifiers submitted in later batches, once for each purpose that they are about.
        entries: of each purpose in all of them, at most.
    """

    readers: tuple[PlaceReader, ...] = ()
    pending: int = 0
    entries: Mapping[int, int] = field(default_factory=dict)

    def read(self, column: int) -> list[Entries]:
        """Read one purpose's entries, the full overlay's first."""
        return [read_entries(reader, column) for reader in self.of(column)]

    def of(self, column: int) -> list[PlaceReader]:
        """Return the readers of one purpose's overlays."""
        return [reader for reader in self.readers if reader.has(Role.OVERLAY, column)]


def read_all(segments: Sequence[Segment]) -> ChangeRows:
    """Read the changes of several epochs, oldest first."""
    return np.concatenate([no_changes(), *(segment.read() for segment in segments)])


class Epochs:
    """Reads and enters the epochs of datasets, in the caller's transaction."""

    def __init__(self, *, workspaces: Workspaces, store: ObjectStore, clock: Clock) -> None:
        self._workspaces = workspaces
        self._store = store
        self._clock = clock
        self._files = ConsentFiles(workspaces, store)

    def newest(self, tx: Transaction, dataset_id: str) -> int:
        """Return the dataset's consent epoch; 0 before the first change."""
        epoch: int | None = tx.connection.scalar(_NEWEST_EPOCH, {"dataset_id": dataset_id})
        return epoch or 0

    def has_ends(self, tx: Transaction, dataset_id: str) -> bool:
        """Tell whether a change with a last day of validity was ever taken."""
        found = tx.connection.execute(_WITH_ENDS, {"dataset_id": dataset_id})
        return found.first() is not None

    def last(self, tx: Transaction, dataset_id: str) -> ConsentEpochRow | None:
        """Return the row of the newest epoch."""
        rows = select(ConsentEpochRow).where(ConsentEpochRow.dataset_id == dataset_id)
        return tx.session.scalars(rows.order_by(ConsentEpochRow.epoch.desc()).limit(1)).first()

    def segments(self, tx: Transaction, dataset: Dataset, epoch: int) -> tuple[Segment, ...]:
        """List the sealed changes up to an epoch, oldest first; they may outlive the transaction."""
        rows = self._with_segments(tx, dataset.id, after=0, epoch=epoch)
        return tuple(Segment(row.epoch, self._files.reader(tx, dataset, row)) for row in rows)

    def submitted(self, tx: Transaction, dataset: Dataset, epoch: int) -> SubmittedBatch | None:
        """Return what was submitted in an epoch, to be read after the transaction; None where nothing was."""
        query = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset.id, ConsentEpochRow.epoch == epoch
        )
        row = tx.session.scalars(query).one_or_none()
        if row is None or row.object_key is None:
            return None
        return SubmittedBatch(Segment(row.epoch, self._files.reader(tx, dataset, row)))

    def overlays(self, tx: Transaction, dataset: Dataset, version_id: str, epoch: int) -> Overlays | None:
        """Find the overlays of a version as of an epoch; None where some change is in none of them.

        Two statements, however many changes there were before the last full overlay.
        """
        asked = {"dataset_id": dataset.id, "version_id": version_id, "epoch": epoch}
        full: int | None = tx.connection.scalar(_LAST_FULL, asked)
        rows = self._with_segments(tx, dataset.id, after=(full or 1) - 1, epoch=epoch)
        if any(row.overlay_version_id != version_id for row in rows):
            return None
        files = self._files.beside(tx, [row.id for row in rows])
        pending, entries = 0, dict[int, int]()
        for row in rows:
            for file in files.get(row.id, ()):
                if file.role is Role.OVERLAY:
                    held = entries_at_most(file.bytes)
                    entries[file.column] = entries.get(file.column, 0) + held
                    # What was submitted, not what was found: when a full overlay is written must not tell.
                    pending += 0 if row.overlay_is_full else row.submitted
        readers = (self._files.reader(tx, dataset, row, files.get(row.id, ())) for row in rows)
        return Overlays(tuple(readers), pending, entries)

    def enter(
        self,
        tx: Transaction,
        dataset: Dataset,
        kind: str,
        at: datetime,
        *,
        submitted: int = 0,
        token_key_version: int = 0,
        batch: Batch | None = None,
        batch_id: str | None = None,
    ) -> int:
        """Begin the next epoch.

        Args:
            tx: holds the dataset's lock.
            dataset: whose.
            kind: what began it.
            at: when what began it happened.
            submitted: identifiers taken.
            token_key_version: what the batch's tokens stand under.
            batch: what is written for it.
            batch_id: `ce_...`; a new one when not given.

        Returns:
            The epoch.
        """
        epoch = self.newest(tx, dataset.id) + 1
        row = ConsentEpochRow(
            id=batch_id or new_id("ce", self._clock.now()),
            dataset_id=dataset.id,
            epoch=epoch,
            kind=kind,
            at=self._clock.now(),
            submitted=submitted,
            token_key_version=token_key_version,
            role=int(Role.CHANGES),
            # Of the submitted ones, which come first: those that are bound to somebody have theirs from an earlier one.
            has_ends=bool(batch and (batch.changes["until"][:submitted] != NULL_DATE).any()),
            overlay_version_id=batch.version_id if batch else None,
            overlay_is_full=bool(batch and batch.is_full),
        )
        beside = self._seal(tx, dataset, row, batch) if batch else []
        tx.session.add(row)
        tx.session.flush()
        tx.session.add_all(beside)
        tx.session.flush()
        sealed: dict[str, Any] = {"files_root": files_root(rooted(tx, row))} if batch else {}
        if batch and batch.is_full and (left := self._drop_old_overlays(tx, dataset.id, epoch)):
            sealed["files_roots"] = left
        tx.audit(
            EPOCH_BEGUN,
            subject_id=row.id,
            organisation_id=self._workspaces.workspace(tx, dataset.workspace_id).organisation_id,
            body={
                "dataset_id": dataset.id,
                "epoch": epoch,
                "kind": kind,
                "at": rfc3339(at),
                "submitted": submitted,
                "ciphertext_sha256": row.ciphertext_sha256,
                **sealed,
            },
        )
        return epoch

    def _seal(
        self, tx: Transaction, dataset: Dataset, row: ConsentEpochRow, batch: Batch
    ) -> list[ConsentFileRow]:
        place = Place(dataset.workspace_id, dataset.id, row.id)
        kek = self._workspaces.kek(tx, dataset.workspace_id)
        changes, entries_each = self._usual(tx, dataset, row)
        with PlaceWriter(self._store, place, kek=kek, clock=self._clock) as writer:
            for block in filled_up(dated(batch.changes, row.epoch), usual=changes):
                writer.write(Role.CHANGES, 0, block)
            if batch.terms:
                writer.write(Role.CONSENT_TERMS, 0, batch.terms)
            for column, entries in batch.overlay.items():
                writer.write(Role.OVERLAY, column, packed(entries, usual=entries_each))
        segment, *beside = writer.files
        row.file_id, row.object_key = segment.file_id, segment.object_key
        row.ciphertext_sha256 = segment.ciphertext_sha256
        return [
            ConsentFileRow(
                id=file.id,
                epoch_id=row.id,
                role=int(file.role),
                column=file.column,
                file_id=file.file_id,
                bytes=file.bytes,
                ciphertext_sha256=file.ciphertext_sha256,
                object_key=file.object_key,
            )
            for file in beside
        ]

    def _usual(self, tx: Transaction, dataset: Dataset, row: ConsentEpochRow) -> tuple[int, int]:
        """Return how many changes, and entries in an overlay, are usually enough for an epoch, found or not."""
        keys = len(dataset.schema.key_names)
        if row.submitted and not row.overlay_is_full:
            return usual_records(row.submitted, keys=keys), usual_entries(row.submitted)
        before = select(func.sum(_EPOCHS.submitted)).where(
            _EPOCHS.dataset_id == dataset.id, _EPOCHS.object_key.is_not(None)
        )
        total = row.submitted + (tx.connection.scalar(before) or 0)
        changes = usual_records(row.submitted, keys=keys) if row.submitted else usual_bound(total, keys=keys)
        return changes, usual_full(total)

    def _with_segments(
        self, tx: Transaction, dataset_id: str, *, after: int, epoch: int
    ) -> Sequence[ConsentEpochRow]:
        rows = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset_id,
            ConsentEpochRow.epoch > after,
            ConsentEpochRow.epoch <= epoch,
            ConsentEpochRow.object_key.is_not(None),
        )
        return tx.session.scalars(rows.order_by(ConsentEpochRow.epoch)).all()

    def _drop_old_overlays(self, tx: Transaction, dataset_id: str, epoch: int) -> dict[str, str]:
        """Remove overlays that two full ones replaced; questions in flight may read the last but one.

        Returns:
            The hash over the files that are left of each epoch, for the log.
        """
        fulls = select(func.max(ConsentEpochRow.epoch)).where(
            ConsentEpochRow.dataset_id == dataset_id,
            ConsentEpochRow.overlay_is_full,
            ConsentEpochRow.epoch < epoch,
        )
        before = tx.session.scalar(fulls) or 0
        old = select(ConsentEpochRow).where(
            ConsentEpochRow.dataset_id == dataset_id,
            ConsentEpochRow.epoch < before,
            ConsentEpochRow.overlay_version_id.is_not(None),
        )
        dropped = []
        for row in tx.session.scalars(old).all():
            row.overlay_version_id, row.overlay_is_full = None, False
            self._files.remove(tx, row.id, Role.OVERLAY)
            dropped.append(row)
        tx.session.flush()
        return {row.id: files_root(rooted(tx, row)) for row in dropped}
