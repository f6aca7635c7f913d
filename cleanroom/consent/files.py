"""The sealed files of epochs as SQL names them."""

from collections.abc import Sequence

from sqlalchemy import select

from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.datasets.files import Place, PlaceReader
from cleanroom.datasets.types import Dataset, Role, SealedFile
from cleanroom.db.database import Transaction
from cleanroom.storage import ObjectStore
from cleanroom.storage.removing import delete_after_commit
from cleanroom.workspaces.service import Workspaces


class ConsentFiles:
    """Finds the sealed files of epochs, in the caller's transaction."""

    def __init__(self, workspaces: Workspaces, store: ObjectStore) -> None:
        self._workspaces = workspaces
        self._store = store

    def reader(
        self,
        tx: Transaction,
        dataset: Dataset,
        row: ConsentEpochRow,
        beside: Sequence[SealedFile] | None = None,
    ) -> PlaceReader:
        """Return a reader of an epoch's files; it may outlive the transaction.

        Args:
            tx: the caller's.
            dataset: whose epoch it is.
            row: of an epoch that has a segment.
            beside: its other files, where they have been looked up.
        """
        if beside is None:
            beside = self.beside(tx, [row.id]).get(row.id, ())
        place = Place(dataset.workspace_id, dataset.id, row.id)
        kek = self._workspaces.kek(tx, dataset.workspace_id)
        return PlaceReader(self._store, place, [segment_file(row), *beside], kek=kek)

    def beside(self, tx: Transaction, epoch_ids: Sequence[str]) -> dict[str, list[SealedFile]]:
        """Return what stands beside the segments of some epochs, by the epoch's id."""
        found: dict[str, list[SealedFile]] = {}
        rows = select(ConsentFileRow).where(ConsentFileRow.epoch_id.in_(epoch_ids))
        for row in tx.session.scalars(rows.order_by(ConsentFileRow.role, ConsentFileRow.column)):
            found.setdefault(row.epoch_id, []).append(file_of(row))
        return found

    def remove(self, tx: Transaction, epoch_id: str, *roles: Role) -> None:
        """Take files beside a segment out of SQL, and out of the store once the transaction has committed."""
        query = select(ConsentFileRow).where(ConsentFileRow.epoch_id == epoch_id)
        rows = tx.session.scalars(query.where(ConsentFileRow.role.in_([int(role) for role in roles]))).all()
        for row in rows:
            tx.session.delete(row)
        if rows:
            delete_after_commit(tx, self._store, [row.object_key for row in rows])


def rooted(tx: Transaction, row: ConsentEpochRow) -> list[SealedFile]:
    """Return the files of an epoch, whose list the log states: its segment, the records' terms, overlays."""
    beside = select(ConsentFileRow).where(ConsentFileRow.epoch_id == row.id)
    return [segment_file(row), *(file_of(each) for each in tx.session.scalars(beside))]


def segment_file(row: ConsentEpochRow) -> SealedFile:
    """Return the segment of an epoch, which must have one, as SQL names it; its size is not kept.

    Raises:
        ValueError: a role that does not exist.
    """
    assert row.file_id is not None
    assert row.object_key is not None
    return SealedFile(
        id=row.object_key.rpartition("/")[2],
        role=Role(row.role),
        column=0,
        file_id=row.file_id,
        bytes=0,
        ciphertext_sha256=row.ciphertext_sha256 or "",
        object_key=row.object_key,
    )


def file_of(row: ConsentFileRow) -> SealedFile:
    """Return a file beside a segment as SQL names it; raises ValueError for a role that does not exist."""
    return SealedFile(
        id=row.id,
        role=Role(row.role),
        column=row.column,
        file_id=row.file_id,
        bytes=row.bytes,
        ciphertext_sha256=row.ciphertext_sha256,
        object_key=row.object_key,
    )
