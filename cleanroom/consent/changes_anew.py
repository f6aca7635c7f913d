"""The sealed changes of a dataset written anew, without what erased people said before."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cleanroom.clock import Clock
from cleanroom.consent.changes import (
    CHANGE_DTYPE,
    WITHDRAWAL_DTYPE,
    ChangeRows,
    ChangeState,
    no_changes,
    read_changes,
)
from cleanroom.consent.erasing import without_erased, without_terms
from cleanroom.consent.files import rooted
from cleanroom.consent.models import ConsentEpochRow, ConsentFileRow
from cleanroom.consent.padding import filled_up
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.types import Role, SealedFile
from cleanroom.db.database import Transaction
from cleanroom.storage import ObjectStore
from crypto.keys import WrapKey


@dataclass(frozen=True)
class Old:
    """The sealed files of an epoch as they are.

    Attributes:
        id: `ce_...`.
        epoch: its number.
        place: where its files belong.
        reader: of them.
        root: over the list that the log states.
    """

    id: str
    epoch: int
    place: Place
    reader: PlaceReader
    root: str

    def rows(self) -> ChangeRows:
        """Read its changes."""
        return read_changes(self.reader, epoch=self.epoch)

    def room(self) -> int:
        """Return for how many changes its file is large enough."""
        if self.reader.has(Role.CHANGES):
            role, dtype = Role.CHANGES, CHANGE_DTYPE
        else:
            role, dtype = Role.WITHDRAWALS, WITHDRAWAL_DTYPE
        with self.reader.opened(role, 0) as sealed:
            return sealed.plaintext_size // dtype.itemsize


@dataclass(frozen=True)
class Replaced:
    """Sealed files of consents that others have taken the place of.

    Attributes:
        object_keys: of the old files, which are to go.
        file_ids: of the same.
        files_roots: over the new lists, by epoch, for the log.
    """

    object_keys: tuple[str, ...] = ()
    file_ids: tuple[str, ...] = ()
    files_roots: Mapping[str, str] = field(default_factory=dict)


Written = Mapping[str, Sequence[SealedFile]]


class ChangesAnew:
    """Writes every segment and every file of terms anew, whoever is in them, one at a time."""

    def __init__(self, old: tuple[Old, ...], *, store: ObjectStore, kek: WrapKey, clock: Clock) -> None:
        self._old = old
        self._store = store
        self._kek = kek
        self._clock = clock

    def write(self) -> Written:
        """Write the new files; `enter` puts them in the place of the old ones, or `discard` removes them."""
        erased = [no_changes()]
        for old in self._old:
            rows = old.rows()
            erased.append(rows[rows["state"] == ChangeState.ERASED])
        gone = np.concatenate(erased)
        written: dict[str, list[SealedFile]] = {}
        try:
            used: dict[int, NDArray[np.uint32]] = {}
            for old in self._old:
                rows = without_erased(old.rows(), gone)
                # As large as before: a smaller file would tell that an erased person was in it.
                written[old.id] = self._seal(old, Role.CHANGES, *filled_up(rows, usual=old.room()))
                for epoch in np.unique(rows["epoch"]).tolist():
                    lines = rows["detail"][rows["epoch"] == epoch]
                    used[epoch] = np.union1d(used.get(epoch, lines), lines)
            for old in self._old:
                if old.reader.has(Role.CONSENT_TERMS):
                    content = old.reader.read_bytes(Role.CONSENT_TERMS)
                    kept = without_terms(content, used.get(old.epoch, np.empty(0, np.uint32)))
                    written[old.id] += self._seal(old, Role.CONSENT_TERMS, np.frombuffer(kept, np.uint8))
        except BaseException:
            self.discard(written)
            raise
        return written

    def enter(self, tx: Transaction, written: Written) -> Replaced:
        """Put the new files in the place of the old ones.

        A segment that has changed or gone since keeps what it has; its new files are removed.

        Args:
            tx: holds the dataset's lock.
            written: what `write` returned.
        """
        gone: list[tuple[str, str]] = []
        roots = {}
        for old in self._old:
            row = tx.session.get(ConsentEpochRow, old.id, populate_existing=True)
            if row is None or row.object_key is None or files_root(rooted(tx, row)) != old.root:
                self.discard({old.id: written[old.id]})
                continue
            segment, *terms = written[old.id]
            gone.append((row.object_key, row.file_id or ""))
            row.role, row.object_key, row.file_id = int(segment.role), segment.object_key, segment.file_id
            row.ciphertext_sha256 = segment.ciphertext_sha256
            tx.session.flush()
            for file in terms:
                gone.append(_exchange(tx, old.id, file))
            roots[old.id] = files_root(rooted(tx, row))
        return Replaced(tuple(key for key, _ in gone), tuple(file_id for _, file_id in gone), roots)

    def discard(self, written: Written) -> None:
        """Remove new files that were not entered."""
        for files in written.values():
            for file in files:
                with suppress(OSError):
                    self._store.delete(file.object_key)

    def _seal(self, old: Old, role: Role, *blocks: NDArray[np.void] | NDArray[np.uint8]) -> list[SealedFile]:
        with PlaceWriter(self._store, old.place, kek=self._kek, clock=self._clock) as writer:
            for block in blocks:
                writer.write(role, 0, block)
        return list(writer.files)


def _exchange(tx: Transaction, epoch_id: str, file: SealedFile) -> tuple[str, str]:
    """Enter a file of terms instead of the one before; returns the old one's object key and file id."""
    rows = tx.session.query(ConsentFileRow).filter_by(epoch_id=epoch_id, role=int(file.role))
    row = rows.one()
    old = row.object_key, row.file_id
    tx.session.delete(row)
    tx.session.flush()
    tx.session.add(
        ConsentFileRow(
            id=file.id,
            epoch_id=epoch_id,
            role=int(file.role),
            column=file.column,
            file_id=file.file_id,
            bytes=file.bytes,
            ciphertext_sha256=file.ciphertext_sha256,
            object_key=file.object_key,
        )
    )
    tx.session.flush()
    return old
