"""Rotating a workspace's keys: tokens move to a new token secret, sealed files to a new key-encryption key."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from sqlalchemy import Select, select

from cleanroom.clock import Clock
from cleanroom.consent import optout_rotation
from cleanroom.consent.changes import CHANGE_DTYPE, PERSON, WITHDRAWAL_DTYPE
from cleanroom.consent.files import rooted
from cleanroom.consent.models import ConsentEpochRow
from cleanroom.consent.optout_rotation import MovedOptOut, Rekey
from cleanroom.consent.padding import PADDING
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter, files_root
from cleanroom.datasets.holders import HolderWriter, read_holders
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, SealedFileRow
from cleanroom.datasets.rows import add_files
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.tokens import PERSON_KEY, halves_of, token_key, tokens_of
from cleanroom.datasets.types import WITHOUT_FILES, Dataset, Role, SealedFile, VersionStatus
from cleanroom.db.database import Database, Transaction
from cleanroom.ingestion.columns import sort_values
from cleanroom.ingestion.errors import RotationError
from cleanroom.ingestion.metering import Finish, Meter, Tell, nothing_more, unheard
from cleanroom.ingestion.records import VALUE_DTYPE
from cleanroom.ingestion.spill import SealedSpill
from cleanroom.ingestion.spool import Records, Spool, bucket_bits, bucket_of
from cleanroom.storage import ObjectStore
from cleanroom.storage.leases import Leases
from cleanroom.storage.removing import delete_after_commit
from cleanroom.workspaces.service import Workspaces
from cleanroom.workspaces.types import KekRotation
from crypto.keys import KeyProvider, WrapKey
from crypto.sealed import rewrap
from crypto.tokens import retokenise

_BLOCK = 1 << 20
_TOKEN_ROLES = (Role.PERSON_HI, Role.PERSON_LO, Role.KEY_HI, Role.KEY_LO, Role.KEY_PERSON, Role.JUNK)


@dataclass(frozen=True)
class _Moved:
    """A version or a segment of changes to be moved."""

    dataset: Dataset
    place: Place
    reader: PlaceReader
    files_root: str | None


@dataclass(frozen=True)
class _Work:
    """Everything of a workspace that stands under its token secret."""

    kek: WrapKey
    old_version: int
    old_secret: bytes
    new_version: int
    new_secret: bytes
    versions: tuple[_Moved, ...]
    epochs: tuple[_Moved, ...]
    opt_outs: tuple[MovedOptOut, ...]

    @property
    def roots(self) -> dict[str, str | None]:
        """The hash over each list of files that is moved, by what it belongs to."""
        moved = {one.place.version_id: one.files_root for one in (*self.versions, *self.epochs)}
        return moved | optout_rotation.roots_of(self.opt_outs)


class Rotation:
    """Rotates the keys of a workspace; opens its own transactions, and none while it rewrites files."""

    def __init__(
        self,
        *,
        db: Database,
        workspaces: Workspaces,
        datasets: Datasets,
        store: ObjectStore,
        keys: KeyProvider,
        leases: Leases,
        clock: Clock,
        memory_bytes: int,
    ) -> None:
        self._db = db
        self._workspaces = workspaces
        self._datasets = datasets
        self._store = store
        self._keys = keys
        self._leases = leases
        self._clock = clock
        self._memory_bytes = memory_bytes

    def rotate_token_key(
        self, workspace_id: str, *, tell: Tell = unheard, finish: Finish = nothing_more
    ) -> int:
        """Replace a workspace's token secret: every token is inverted, encrypted anew and sorted again.

        No raw data is needed. The switch is one transaction; killed before it, the old secret stays in use and
        the new files are swept. The order of persons, their attributes and a base's fingerprint stay.

        Args:
            workspace_id: which.
            tell: is told of rows done, and of all rows.
            finish: writes into the transaction that switches, to be kept or lost with it.

        Returns:
            The version of the new secret.

        Raises:
            RotationError: a load is running, another rotation is, or something changed meanwhile.
        """
        with self._leases.try_hold(workspace_id) as held:
            if not held:
                raise RotationError("A rotation of this workspace is running.", remedy="Wait for it.")
            with self._db.transaction() as tx:
                work = self._collect(tx, workspace_id)
            meter = Meter(sum(_rows(version) for version in work.versions), tell)
            meter.add(0)
            written: list[tuple[Place, list[SealedFile]]] = []
            try:
                written += [
                    (version.place, self._version_files(work, version, meter)) for version in work.versions
                ]
                written += [(epoch.place, self._epoch_files(work, epoch)) for epoch in work.epochs]
                rekey, kek = _rekeyer(work, workspace_id), work.kek
                for one in work.opt_outs:
                    files = optout_rotation.move(one, rekey, self._store, kek=kek, clock=self._clock)
                    written.append((one.place, files))
                with self._db.transaction() as tx:
                    self._switch(tx, workspace_id, work, written)
                    finish(tx)
            except BaseException:
                for _, files in written:
                    for file in files:
                        with suppress(Exception):
                            self._store.delete(file.object_key)
                raise
        return work.new_version

    def rotate_kek(self, workspace_id: str, *, tell: Tell = unheard, finish: Finish = nothing_more) -> None:
        """Replace a workspace's key-encryption key and wrap the data key of every sealed file anew.

        Chunks, hashes and roots stay as they are. Killed at any point it is simply run again.

        Args:
            workspace_id: which.
            tell: is told of files done, and of all files.
            finish: writes into the transaction that ends it, to be kept or lost with it.

        Raises:
            RotationError: a load is running, or another rotation is.
        """
        with self._leases.try_hold(workspace_id) as held:
            if not held:
                raise RotationError("A rotation of this workspace is running.", remedy="Wait for it.")
            with self._db.transaction() as tx:
                # Whoever writes files holds its dataset: who is not done yet is waited for, and who comes later
                # gets the new key.
                self._lock_datasets(tx, workspace_id)
                self._refuse_loads(tx, workspace_id)
                rotation = self._workspaces.begin_kek_rotation(tx, workspace_id)
            moved: set[str] = set()
            self._rewrap(workspace_id, rotation, moved, tell)
            with self._db.transaction() as tx:
                self._lock_datasets(tx, workspace_id)
                self._refuse_loads(tx, workspace_id)
                # Once more, for files that came since; most of them stand under the new key already.
                self._rewrap(workspace_id, rotation, moved, unheard)
                self._workspaces.finish_kek_rotation(tx, workspace_id)
                finish(tx)

    def _lock_datasets(self, tx: Transaction, workspace_id: str) -> list[str]:
        ids = list(tx.session.scalars(_dataset_ids(workspace_id).order_by(DatasetRow.id).with_for_update()))
        tx.session.expire_all()
        return ids

    def _rewrap(self, workspace_id: str, rotation: KekRotation, moved: set[str], tell: Tell) -> None:
        keys = list(self._store.keys(f"{workspace_id}/"))
        meter = Meter(len(keys), tell)
        for key in keys:
            meter.add(1)
            if key not in moved:
                path = self._store.path(key)
                rewrap(path, keys=self._keys, old=rotation.old_kek_id, new=rotation.new_kek_id)
                moved.add(key)

    def _collect(self, tx: Transaction, workspace_id: str) -> _Work:
        self._refuse_loads(tx, workspace_id)
        keys = self._workspaces.secrets(tx, workspace_id)
        new_version = self._workspaces.add_token_secret(tx, workspace_id)
        versions, epochs = [], []
        for dataset_id in tx.session.scalars(_dataset_ids(workspace_id)):
            dataset = self._datasets.dataset(tx, dataset_id)
            for version in self._datasets.versions(tx, dataset_id):
                if version.status not in WITHOUT_FILES:
                    place = Place(workspace_id, dataset_id, version.id)
                    reader = self._datasets.reader(tx, version.id)
                    versions.append(_Moved(dataset, place, reader, version.files_root))
            for row in tx.session.scalars(_segments(dataset_id)):
                place = Place(workspace_id, dataset_id, row.id)
                files = rooted(tx, row)
                reader = PlaceReader(self._store, place, files, kek=keys.kek)
                epochs.append(_Moved(dataset, place, reader, files_root(files)))
        return _Work(
            kek=keys.kek,
            old_version=keys.token_version,
            old_secret=keys.token_secret,
            new_version=new_version,
            new_secret=self._workspaces.token_secret(tx, workspace_id, new_version),
            versions=tuple(versions),
            epochs=tuple(epochs),
            opt_outs=optout_rotation.to_be_moved(tx, workspace_id),
        )

    def _refuse_loads(self, tx: Transaction, workspace_id: str) -> None:
        loading = select(DatasetVersionRow.id).where(
            DatasetVersionRow.dataset_id.in_(_dataset_ids(workspace_id)),
            DatasetVersionRow.status == VersionStatus.LOADING.value,
        )
        if tx.session.scalars(loading.limit(1)).first() is not None:
            raise RotationError("A load into this workspace is running.", remedy="Wait until it has ended.")

    def _version_files(self, work: _Work, version: _Moved, meter: Meter) -> list[SealedFile]:
        names = version.dataset.schema.key_names
        reader = version.reader
        rekey = _rekeyer(work, version.place.workspace_id)
        spill = SealedSpill(self._store, version.place, kek=work.kek, clock=self._clock)
        with PlaceWriter(self._store, version.place, kek=work.kek, clock=self._clock) as writer:
            if reader.has(Role.PERSON_HI):
                for block in _blocks(reader, Role.PERSON_HI, Role.PERSON_LO, 0, held=False):
                    moved = rekey(PERSON_KEY, block)
                    writer.write(Role.PERSON_HI, 0, moved["hi"])
                    writer.write(Role.PERSON_LO, 0, moved["lo"])
                    meter.add(len(block))
            for column, name in enumerate(names):
                self._sort_key(writer, reader, column, partial(rekey, name), spill)
                meter.add(_held(reader, column))
            for column in (0, 1):
                junk = reader.read(Role.JUNK, column, JUNK_DTYPE).copy()
                for position, name in enumerate(names):
                    own = junk["key"] == position
                    junk[own] = rekey(name, junk[own])
                writer.write(Role.JUNK, column, junk)
        return writer.files

    def _sort_key(
        self,
        writer: PlaceWriter,
        reader: PlaceReader,
        column: int,
        rekey: Callable[[Records], Records],
        spill: SealedSpill,
    ) -> None:
        total = _held(reader, column) * VALUE_DTYPE.itemsize
        bits = bucket_bits(total, bucket_bytes=self._memory_bytes // 32)
        spool = Spool(VALUE_DTYPE, buckets=1 << bits, memory_bytes=self._memory_bytes // 2, spill=spill)
        try:
            for block in _blocks(reader, Role.KEY_HI, Role.KEY_LO, column, held=True):
                moved = rekey(block)
                spool.add(moved, bucket_of(moved["hi"], bits))
            holders = HolderWriter(writer, column)
            for bucket in range(spool.buckets):
                values = spool.read(bucket)
                hi, lo, person = sort_values(values["hi"], values["lo"], values["seq"])
                writer.write(Role.KEY_HI, column, hi)
                writer.write(Role.KEY_LO, column, lo)
                holders.write(person)
        finally:
            spool.close()

    def _epoch_files(self, work: _Work, epoch: _Moved) -> list[SealedFile]:
        names = epoch.dataset.schema.key_names
        rekey = _rekeyer(work, epoch.place.workspace_id)
        role = Role.CHANGES if epoch.reader.has(Role.CHANGES) else Role.WITHDRAWALS
        dtype = CHANGE_DTYPE if role is Role.CHANGES else WITHDRAWAL_DTYPE
        changes = epoch.reader.read(role, 0, dtype).copy()
        # What fills the file up stays as it is, and the file as large.
        for column in set(np.unique(changes["key"]).tolist()) - {PADDING}:
            own = changes["key"] == column
            changes[own] = rekey(PERSON_KEY if column == PERSON else names[column], changes[own])
        # Terms hold no token, and overlays name people by their position, which a rotation keeps.
        with PlaceWriter(self._store, epoch.place, kek=work.kek, clock=self._clock) as writer:
            writer.write(role, 0, changes)
        return writer.files

    def _switch(
        self,
        tx: Transaction,
        workspace_id: str,
        work: _Work,
        written: Sequence[tuple[Place, list[SealedFile]]],
    ) -> None:
        ids = self._lock_datasets(tx, workspace_id)
        # Whoever adds to a list holds the workspace.
        self._workspaces.lock(tx, workspace_id)
        self._refuse_loads(tx, workspace_id)
        live = select(DatasetVersionRow).where(
            DatasetVersionRow.dataset_id.in_(ids), DatasetVersionRow.status.not_in(WITHOUT_FILES)
        )
        versions = {row.id: row for row in tx.session.scalars(live)}
        epochs = {row.id: row for dataset_id in ids for row in tx.session.scalars(_segments(dataset_id))}
        roots = {row.id: row.files_root for row in versions.values()}
        roots |= {row.id: files_root(rooted(tx, row)) for row in epochs.values()}
        roots |= optout_rotation.roots_of(optout_rotation.to_be_moved(tx, workspace_id))
        # A decision about junk replaces files too, and would be undone.
        if roots != work.roots:
            raise RotationError("Datasets changed during the rotation.", remedy="Run it again.")
        listed = optout_rotation.roots_of(work.opt_outs)
        moved = {place.version_id: files[0] for place, files in written if place.version_id in listed}
        replaced = optout_rotation.switch(tx, moved, work.new_version)
        for place, files in (one for one in written if one[0].version_id not in moved):
            if place.version_id in epochs:
                row = epochs[place.version_id]
                assert row.object_key is not None
                replaced.append(row.object_key)
                row.object_key, row.file_id = files[0].object_key, files[0].file_id
                row.ciphertext_sha256, row.token_key_version = files[0].ciphertext_sha256, work.new_version
                continue
            stale = select(SealedFileRow).where(
                SealedFileRow.version_id == place.version_id,
                SealedFileRow.role.in_([int(role) for role in _TOKEN_ROLES]),
            )
            for file in tx.session.scalars(stale).all():
                replaced.append(file.object_key)
                tx.session.delete(file)
            tx.session.flush()
            add_files(tx, place.version_id, files)
            version = versions[place.version_id]
            version.token_key_version = work.new_version
            version.files_root = files_root(self._datasets.files(tx, version.id))
        self._workspaces.switch_token_secret(tx, workspace_id, work.new_version)
        tx.session.flush()
        tx.audit(
            "ingestion.token_key_rotated",
            subject_id=workspace_id,
            organisation_id=self._workspaces.workspace(tx, workspace_id).organisation_id,
            body={
                "from_version": work.old_version,
                "to_version": work.new_version,
                "files_roots": {row.id: row.files_root for row in versions.values()}
                | {row.id: files_root(rooted(tx, row)) for row in epochs.values()}
                | {row_id: files_root([file]) for row_id, file in moved.items()},
            },
        )
        delete_after_commit(tx, self._store, replaced)


def _held(reader: PlaceReader, column: int) -> int:
    return reader.size(Role.KEY_HI, column) // 8


def _rows(version: _Moved) -> int:
    """Return how many tokens a version holds, of persons and of match keys."""
    reader = version.reader
    persons = reader.size(Role.PERSON_HI, 0) // 8 if reader.has(Role.PERSON_HI) else 0
    return persons + sum(_held(reader, column) for column in range(len(version.dataset.schema.key_names)))


def _dataset_ids(workspace_id: str) -> Select[str]:
    return select(DatasetRow.id).where(DatasetRow.workspace_id == workspace_id)


def _segments(dataset_id: str) -> Select[ConsentEpochRow]:
    return select(ConsentEpochRow).where(
        ConsentEpochRow.dataset_id == dataset_id, ConsentEpochRow.object_key.is_not(None)
    )


def _rekeyer(work: _Work, workspace_id: str) -> Rekey:
    def rekey(key: str, records: Records) -> Records:
        old, new = (
            token_key(secret, workspace_id=workspace_id, version=version, key=key)
            for secret, version in ((work.old_secret, work.old_version), (work.new_secret, work.new_version))
        )
        halves = halves_of(retokenise(tokens_of(records["hi"], records["lo"]), old_key=old, new_key=new))
        moved = records.copy()
        moved["hi"], moved["lo"] = halves[:, 0], halves[:, 1]
        return moved

    return rekey


def _blocks(reader: PlaceReader, hi: Role, lo: Role, column: int, *, held: bool) -> Iterator[Records]:
    start = 0
    while (first := reader.read_rows(hi, column, "<u8", start, start + _BLOCK)).size:
        block = np.zeros(first.size, VALUE_DTYPE)
        block["hi"] = first
        block["lo"] = reader.read_rows(lo, column, "<u8", start, start + _BLOCK)
        if held:
            block["seq"] = read_holders(reader, column, start, start + _BLOCK)
        yield block
        start += _BLOCK
