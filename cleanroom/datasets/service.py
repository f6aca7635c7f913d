"""Registering datasets and bases, and finding their versions and files."""

import json
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, bindparam, delete, select

from cleanroom.clock import Clock
from cleanroom.datasets.errors import (
    DatasetNotFoundError,
    DatasetSchemaError,
    VersionNotFoundError,
    VersionStatusError,
)
from cleanroom.datasets.files import Place, PlaceReader
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, SealedFileRow
from cleanroom.datasets.types import (
    WITHOUT_FILES,
    Dataset,
    DatasetKind,
    DatasetVersion,
    OwnerFigure,
    Role,
    SealedFile,
    VersionStatus,
)
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.schema.codec import schema_from_dict
from cleanroom.schema.model import Schema, schema_to_dict
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.models import WorkspaceRow, WorkspaceSecretRow, token_secret_of
from cleanroom.workspaces.service import Workspaces

MAX_NAME_CHARACTERS = 200
_SCHEMAS = 64

# What every question runs is made once: to put a statement together takes as long as to run it.
_ONE = select(DatasetRow).where(DatasetRow.id == bindparam("id"))
# Read anew: what was read before may have changed while the lock was waited for.
_LOCKED = _ONE.with_for_update().execution_options(populate_existing=True)
_LOCKED_SHARED = _ONE.with_for_update(read=True).execution_options(populate_existing=True)
_WITH_CURRENT = (
    select(DatasetRow, WorkspaceRow, DatasetVersionRow)
    .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
    .outerjoin(DatasetVersionRow, DatasetVersionRow.id == DatasetRow.current_version_id)
    .where(DatasetRow.id.in_(bindparam("ids", expanding=True)))
)
_VERSIONS = (
    select(DatasetVersionRow, DatasetRow, WorkspaceRow, WorkspaceSecretRow)
    .join(DatasetRow, DatasetRow.id == DatasetVersionRow.dataset_id)
    .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
    .outerjoin(WorkspaceSecretRow, token_secret_of(DatasetVersionRow.token_key_version))
    .where(DatasetVersionRow.id.in_(bindparam("ids", expanding=True)))
    .execution_options(populate_existing=True)
)
_FILES = (
    select(*[*SealedFileRow.__table__.columns, DatasetVersionRow.token_key_version])
    .join(DatasetVersionRow, DatasetVersionRow.id == SealedFileRow.version_id)
    .where(SealedFileRow.version_id.in_(bindparam("ids", expanding=True)))
    .order_by(SealedFileRow.version_id, SealedFileRow.role, SealedFileRow.column)
)


class Datasets:
    """The service of the datasets slice."""

    def __init__(self, *, workspaces: Workspaces, store: ObjectStore, clock: Clock) -> None:
        self._workspaces = workspaces
        self._store = store
        self._clock = clock

    def register(
        self, tx: Transaction, *, workspace_id: str, kind: DatasetKind | str, name: str, schema: Schema
    ) -> Dataset:
        """Register a table; nothing is loaded yet.

        Args:
            tx: the caller's transaction.
            workspace_id: whose table it is.
            kind: `dataset` of a provider, or `base` of an advertiser.
            name: 1 to 200 characters.
            schema: what its owner declares; it does not change later.

        Returns:
            The dataset, without a version.

        Raises:
            UnknownWorkspaceError: there is no such workspace.
            DatasetSchemaError: the kind, the name or the schema does not fit.
        """
        workspace = self._workspaces.workspace(tx, workspace_id)
        title = name.strip()
        if not 0 < len(title) <= MAX_NAME_CHARACTERS:
            raise DatasetSchemaError(
                f"A dataset's name has 1 to {MAX_NAME_CHARACTERS} characters.",
                remedy="Give it a name of that length.",
            )
        if kind not in set(DatasetKind):
            raise DatasetSchemaError("The kind is not known.", remedy=f"Use one of {', '.join(DatasetKind)}.")
        if kind == DatasetKind.BASE and (schema.attributes or schema.consents):
            raise DatasetSchemaError(
                "A base has match keys and a label only.",
                remedy="Remove attributes and consent from its schema.",
            )
        if kind == DatasetKind.DATASET and schema.label:
            raise DatasetSchemaError("Only a base has a label.", remedy="Declare the column as an attribute.")
        row = DatasetRow(
            id=new_id("ds", self._clock.now()),
            workspace_id=workspace_id,
            kind=DatasetKind(kind).value,
            name=title,
            schema=schema_to_dict(schema),
            schema_sha256=schema.sha256(),
            current_version_id=None,
            created_at=self._clock.now(),
            deleted_at=None,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "datasets.registered",
            subject_id=row.id,
            organisation_id=workspace.organisation_id,
            body={
                "workspace_id": workspace_id,
                "kind": row.kind,
                "name": title,
                "schema_sha256": row.schema_sha256,
            },
        )
        return _dataset(row)

    def dataset(self, tx: Transaction, dataset_id: str) -> Dataset:
        """Return a dataset, also one that was deleted: history names it; raises DatasetNotFoundError."""
        row = tx.session.get(DatasetRow, dataset_id)
        if row is None:
            raise _not_found()
        return _dataset(row)

    def living(self, tx: Transaction, dataset_id: str) -> Dataset:
        """Return a dataset that was not deleted; raises DatasetNotFoundError."""
        dataset = self.dataset(tx, dataset_id)
        if dataset.deleted_at is not None:
            raise _not_found()
        return dataset

    def owned(self, tx: Transaction, dataset_id: str, *, organisation_id: str, kind: DatasetKind) -> Dataset:
        """Return an organisation's own dataset or base.

        Raises:
            DatasetNotFoundError: there is none, it was deleted, it is of the other kind, or it is somebody else's: one
                answer for all, which tells nothing about others.
        """
        dataset = self.living(tx, dataset_id)
        workspace = self._workspaces.workspace(tx, dataset.workspace_id)
        if workspace.organisation_id != organisation_id or dataset.kind is not kind:
            raise _not_found()
        return dataset

    def owned_version(self, tx: Transaction, dataset_id: str, version_id: str) -> DatasetVersion:
        """Return a version of a dataset; raises VersionNotFoundError, also for one of another dataset."""
        version = self.version(tx, version_id)
        if version.dataset_id != dataset_id:
            raise _version_not_found()
        return version

    def datasets_of(
        self,
        tx: Transaction,
        *,
        organisation_id: str,
        kind: DatasetKind,
        after: str = "",
        limit: int,
    ) -> tuple[Dataset, ...]:
        """List an organisation's datasets or bases, the oldest first, without those that were deleted.

        Args:
            tx: any transaction.
            organisation_id: whose.
            kind: datasets or bases.
            after: the id that the first one comes after.
            limit: how many at most.
        """
        rows = (
            select(DatasetRow)
            .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
            .where(
                WorkspaceRow.organisation_id == organisation_id,
                DatasetRow.kind == kind.value,
                DatasetRow.deleted_at.is_(None),
                DatasetRow.id > after,
            )
        )
        found = tx.session.scalars(rows.order_by(DatasetRow.id).limit(limit))
        return tuple(_dataset(row) for row in found)

    def lock(self, tx: Transaction, dataset_id: str, *, shared: bool = False) -> None:
        """Hold a dataset until the transaction ends, so that what is read next stays true until it commits.

        Args:
            tx: a writing transaction.
            dataset_id: which dataset; one that does not exist locks nothing.
            shared: others may hold it shared too; whoever changes it holds it alone.
        """
        locked = _LOCKED_SHARED if shared else _LOCKED
        tx.held["dataset", dataset_id] = tx.session.scalar(locked, {"id": dataset_id})

    def hold(self, tx: Transaction, *dataset_ids: str) -> None:
        """Read datasets and bases, their workspaces and their published versions in one statement.

        The session finds rows again as long as somebody holds them: what asks for one of these later in the
        transaction, by its id, runs no statement of its own.

        Args:
            tx: which holds them until it ends.
            dataset_ids: those that do not exist are passed over.
        """
        tx.held["datasets", ""] = tx.session.execute(_WITH_CURRENT, {"ids": dataset_ids}).all()

    def hold_versions(self, tx: Transaction, *version_ids: str) -> None:
        """Read versions, with what opening them takes, as they are now; held as by `hold`, their files besides.

        Args:
            tx: which holds them until it ends.
            version_ids: of datasets and bases.
        """
        while True:
            held = tx.session.execute(_VERSIONS, {"ids": version_ids}).all()
            rows = tx.session.execute(_FILES, {"ids": version_ids}).all()
            keys = {version.id: version.token_key_version for version, *_ in held}
            # A rotation that ends between the two statements would leave the old key with files of the new one.
            if all(keys.get(row.version_id) == row.token_key_version for row in rows):
                break
        tx.held["versions", ""] = held
        files = {version_id: list[SealedFile]() for version_id in version_ids}
        for row in rows:
            files[row.version_id].append(sealed_file(row))
        tx.held |= {("files", version_id): tuple(found) for version_id, found in files.items()}

    def version(self, tx: Transaction, version_id: str) -> DatasetVersion:
        """Return a version; raises VersionNotFoundError."""
        row = tx.session.get(DatasetVersionRow, version_id)
        if row is None:
            raise _version_not_found()
        return _version(row)

    def current(self, tx: Transaction, dataset_id: str) -> DatasetVersion:
        """Return the published version; raises VersionNotFoundError when there is none yet."""
        dataset = self.dataset(tx, dataset_id)
        if dataset.current_version_id is None:
            raise VersionNotFoundError(
                "The dataset has no published version.", remedy="Load a file and publish it."
            )
        return self.version(tx, dataset.current_version_id)

    def versions(self, tx: Transaction, dataset_id: str) -> tuple[DatasetVersion, ...]:
        """Return all versions of a dataset, by number."""
        rows = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset_id)
        return tuple(_version(row) for row in tx.session.scalars(rows.order_by(DatasetVersionRow.number)))

    def files(self, tx: Transaction, version_id: str) -> tuple[SealedFile, ...]:
        """Return the sealed files of a version."""
        held: tuple[SealedFile, ...] | None = tx.held.get(("files", version_id))
        if held is not None:
            return held
        return tuple(sealed_file(row) for row in tx.session.execute(_FILES, {"ids": [version_id]}))

    def place(self, tx: Transaction, version_id: str) -> Place:
        """Return where a version's files belong."""
        version = self.version(tx, version_id)
        return Place(self.dataset(tx, version.dataset_id).workspace_id, version.dataset_id, version_id)

    def reader(self, tx: Transaction, version_id: str) -> PlaceReader:
        """Return a reader of a version's files; it may outlive the transaction."""
        place = self.place(tx, version_id)
        kek = self._workspaces.kek(tx, place.workspace_id)
        return PlaceReader(self._store, place, self.files(tx, version_id), kek=kek)

    def report(self, tx: Transaction, version_id: str) -> OwnerFigure:
        """Open the quality report of a version, for its owner alone.

        Raises:
            VersionNotFoundError: there is no such version.
            VersionStatusError: it is not loaded yet, or never was, or it was deleted.
        """
        if (status := self.version(tx, version_id).status) in WITHOUT_FILES:
            raise VersionStatusError(
                f"A version that is {status} has no report.",
                remedy="Wait until it is loaded, or load it again.",
            )
        return OwnerFigure.from_dict(json.loads(self.reader(tx, version_id).read_bytes(Role.REPORT)))


def add_files(tx: Transaction, version_id: str, files: "tuple[SealedFile, ...] | list[SealedFile]") -> None:
    """Enter sealed files into the catalogue of a version."""
    tx.session.add_all(
        SealedFileRow(
            id=file.id,
            version_id=version_id,
            role=int(file.role),
            column=file.column,
            file_id=file.file_id,
            bytes=file.bytes,
            ciphertext_sha256=file.ciphertext_sha256,
            object_key=file.object_key,
        )
        for file in files
    )
    tx.session.flush()


def remove_files(tx: Transaction, dataset_id: str) -> tuple[SealedFile, ...]:
    """Strike every sealed file of a dataset from the catalogue; returns them, to be removed from the store."""
    of_it = select(DatasetVersionRow.id).where(DatasetVersionRow.dataset_id == dataset_id)
    rows = tx.session.scalars(select(SealedFileRow).where(SealedFileRow.version_id.in_(of_it))).all()
    files = tuple(sealed_file(row) for row in rows)
    tx.session.execute(delete(SealedFileRow).where(SealedFileRow.version_id.in_(of_it)))
    return files


def sealed_file(row: SealedFileRow | Row[Any]) -> SealedFile:
    """Return a sealed file as SQL names it; raises ValueError for a role that does not exist."""
    return SealedFile(
        id=row.id,
        role=Role(row.role),
        column=row.column,
        file_id=row.file_id,
        bytes=row.bytes,
        ciphertext_sha256=row.ciphertext_sha256,
        object_key=row.object_key,
    )


def _not_found() -> DatasetNotFoundError:
    return DatasetNotFoundError("There is no dataset with this id.", remedy="Register it first.")


def _version_not_found() -> VersionNotFoundError:
    return VersionNotFoundError(
        "There is no version with this id.", remedy="List the versions of its dataset."
    )


@lru_cache(maxsize=_SCHEMAS)
def _schema(text: str) -> Schema:
    """Read a stored schema; each question meets two, and checking what was checked when it came in takes longest."""
    return schema_from_dict(json.loads(text))


def _dataset(row: DatasetRow) -> Dataset:
    return Dataset(
        id=row.id,
        workspace_id=row.workspace_id,
        kind=DatasetKind(row.kind),
        name=row.name,
        schema=_schema(json.dumps(row.schema)),
        schema_sha256=row.schema_sha256,
        current_version_id=row.current_version_id,
        created_at=row.created_at,
        deleted_at=row.deleted_at,
    )


def _version(row: DatasetVersionRow) -> DatasetVersion:
    return DatasetVersion(
        id=row.id,
        dataset_id=row.dataset_id,
        number=row.number,
        status=VersionStatus(row.status),
        mode=row.mode,
        previous_version_id=row.previous_version_id,
        package_id=row.package_id,
        rows=row.rows,
        persons=row.persons,
        rejected=row.rejected,
        over_shared=row.over_shared,
        token_key_version=row.token_key_version,
        fingerprint=row.fingerprint,
        files_root=row.files_root,
        failure=row.failure,
        created_at=row.created_at,
        loaded_at=row.loaded_at,
        published_at=row.published_at,
    )
