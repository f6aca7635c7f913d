"""The sealed bars of a dataset, a file for each epoch that brought some."""

from dataclasses import dataclass

from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.consent.bars import BAR_DTYPE, Bars
from cleanroom.consent.optout_models import BarSegmentRow
from cleanroom.consent.padding import filled_up, without_padding
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.types import Dataset, Role, SealedFile
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.service import Workspaces


@dataclass(frozen=True)
class BarSegments:
    """Writes and finds them."""

    workspaces: Workspaces
    store: ObjectStore
    clock: Clock

    def write(
        self, tx: Transaction, dataset: Dataset, bars: Bars, *, usual: int, epoch: int, token_version: int
    ) -> dict[str, str]:
        """Seal the bars of an epoch.

        Args:
            tx: the caller's transaction, which holds the dataset.
            dataset: whose.
            bars: under the token secret of the version.
            usual: how many are usually enough, by public figures: the file is filled up.
            epoch: that they count from.
            token_version: of the workspace's token secret.

        Returns:
            What the log has to state: the hash over the list of files, by the segment's id.
        """
        segment_id = new_id("bs", self.clock.now())
        place = Place(dataset.workspace_id, dataset.id, segment_id)
        kek = self.workspaces.kek(tx, dataset.workspace_id)
        with PlaceWriter(self.store, place, kek=kek, clock=self.clock) as writer:
            for block in filled_up(bars, usual=usual):
                writer.write(Role.BARS, 0, block)
        file = writer.files[0]
        tx.session.add(
            BarSegmentRow(
                id=segment_id,
                dataset_id=dataset.id,
                epoch=epoch,
                token_key_version=token_version,
                file_id=file.file_id,
                ciphertext_sha256=file.ciphertext_sha256,
                object_key=file.object_key,
            )
        )
        tx.session.flush()
        return {segment_id: files_root([sizeless(file)])}

    def readers(self, tx: Transaction, dataset: Dataset, *, epoch: int) -> tuple[PlaceReader, ...]:
        """Return readers of a dataset's bars up to an epoch, the oldest first; they may outlive the transaction."""
        rows = (
            select(BarSegmentRow)
            .where(
                BarSegmentRow.dataset_id == dataset.id,
                BarSegmentRow.epoch <= epoch,
                BarSegmentRow.object_key.is_not(None),
            )
            .order_by(BarSegmentRow.epoch, BarSegmentRow.id)
        )
        found = tx.session.scalars(rows).all()
        if not found:
            return ()
        kek = self.workspaces.kek(tx, dataset.workspace_id)
        return tuple(
            PlaceReader(
                self.store, Place(dataset.workspace_id, dataset.id, row.id), [segment_file(row)], kek=kek
            )
            for row in found
        )

    def forget(self, tx: Transaction, dataset_id: str) -> dict[str, str]:
        """Strike the sealed bars of a dataset that is being deleted.

        Returns:
            The ids of segments that had a file, with the object keys, to be removed from the store.
        """
        rows = select(BarSegmentRow).where(
            BarSegmentRow.dataset_id == dataset_id, BarSegmentRow.object_key.is_not(None)
        )
        gone: dict[str, str] = {}
        for row in tx.session.scalars(rows).all():
            gone[row.id] = row.object_key or ""
            row.object_key = row.file_id = row.ciphertext_sha256 = None
        tx.session.flush()
        return gone


def read_bars(reader: PlaceReader) -> Bars:
    """Read a segment, without what fills it up."""
    return without_padding(reader.read(Role.BARS, 0, BAR_DTYPE))


def segment_file(row: BarSegmentRow) -> SealedFile:
    """Return the sealed bars of a segment, which must have a file, as SQL names it; its size is not kept."""
    assert row.file_id is not None
    assert row.object_key is not None
    return SealedFile(
        id=row.object_key.rpartition("/")[2],
        role=Role.BARS,
        column=0,
        file_id=row.file_id,
        bytes=0,
        ciphertext_sha256=row.ciphertext_sha256 or "",
        object_key=row.object_key,
    )


def sizeless(file: SealedFile) -> SealedFile:
    """Return a file as SQL names those of opt-outs: without its size."""
    return SealedFile(
        file.id, file.role, file.column, file.file_id, 0, file.ciphertext_sha256, file.object_key
    )
