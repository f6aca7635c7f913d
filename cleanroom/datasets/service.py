"""Registering datasets and bases, and finding their versions and files."""

import json
from itertools import chain
from types import SimpleNamespace
from typing import Any

from sqlalchemy import bindparam, select

from cleanroom.clock import Clock
from cleanroom.datasets.errors import (
    DatasetNameError,
    DatasetNotFoundError,
    DatasetSchemaError,
    VersionNotFoundError,
    VersionStatusError,
)
from cleanroom.datasets.files import Place, PlaceReader
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, SealedFileRow
from cleanroom.datasets.rows import dataset_of, schema_of, sealed_file, version_of, whole_dataset
from cleanroom.datasets.types import (
    WITHOUT_FILES,
    Dataset,
    DatasetKind,
    DatasetVersion,
    OwnerFigure,
    Role,
    SealedFile,
)
from cleanroom.db.base import Base
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.schema.model import Schema, schema_to_dict
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.models import WorkspaceRow, WorkspaceSecretRow, token_secret_of
from cleanroom.workspaces.rows import workspace_of
from cleanroom.workspaces.service import Workspaces

MAX_NAME_CHARACTERS = 200

# What every question runs is made once: to put a statement together takes as long as to run it.
_ONE = select(DatasetRow).where(DatasetRow.id == bindparam("id"))
# Read anew: what was read before may have changed while the lock was waited for.
_LOCKED_ROW = _ONE.with_for_update().execution_options(populate_existing=True)
_LOCKED_ROW_SHARED = _ONE.with_for_update(read=True).execution_options(populate_existing=True)
_DATASETS, _WORKSPACES, _LOADS = (
    Base.metadata.tables[model.__tablename__] for model in (DatasetRow, WorkspaceRow, DatasetVersionRow)
)
# A schema is long, and mostly known.
_PLAIN = [column for column in _DATASETS.c if column.name != "schema"]
_LOCKED = select(*_PLAIN).where(_DATASETS.c.id == bindparam("id")).with_for_update()
_LOCKED_SHARED = select(*_PLAIN).where(_DATASETS.c.id == bindparam("id")).with_for_update(read=True)
_SCHEMA = select(_DATASETS.c.schema).where(_DATASETS.c.id == bindparam("id"))
_PARTS = (_PLAIN, list(_WORKSPACES.c), list(_LOADS.c))
_WITH_CURRENT = (
    select(*(column.label(f"c{number}") for number, column in enumerate(chain(*_PARTS))))
    .join_from(_DATASETS, _WORKSPACES, _WORKSPACES.c.id == _DATASETS.c.workspace_id)
    .outerjoin(_LOADS, _LOADS.c.id == _DATASETS.c.current_version_id)
    .where(_DATASETS.c.id.in_(bindparam("ids", expanding=True)))
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
    select(*[*SealedFileRow.__table__.columns, DatasetVersionRow.files_root])
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
            DatasetNameError: the name is missing or too long.
            DatasetSchemaError: the kind or the schema does not fit.
        """
        workspace = self._workspaces.workspace(tx, workspace_id)
        title = name.strip()
        if not 0 < len(title) <= MAX_NAME_CHARACTERS:
            raise DatasetNameError(
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
        return whole_dataset(row)

    def dataset(self, tx: Transaction, dataset_id: str) -> Dataset:
        """Return a dataset, also one that was deleted: history names it; raises DatasetNotFoundError."""
        held: Dataset | None = tx.held.get(("dataset", dataset_id))
        if held is not None:
            return held
        row = tx.session.get(DatasetRow, dataset_id)
        if row is None:
            raise _not_found()
        return whole_dataset(row)

    def living(self, tx: Transaction, dataset_id: str) -> Dataset:
        """Return a dataset that was not deleted; raises DatasetNotFoundError."""
        dataset = self.dataset(tx, dataset_id)
        if dataset.deleted_at is not None:
            raise _not_found()
        return dataset

    def readable(self, tx: Transaction, dataset_id: str) -> Dataset:
        """Return a dataset whose data is there; raises DatasetNotFoundError, WorkspaceDestroyedError."""
        dataset = self.living(tx, dataset_id)
        self._workspaces.require_living(tx, dataset.workspace_id)
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
        return tuple(whole_dataset(row) for row in found)

    def lock(self, tx: Transaction, dataset_id: str, *, shared: bool = False) -> None:
        """Hold a dataset until the transaction ends, so that what is read next stays true until it commits.

        Args:
            tx: a writing transaction.
            dataset_id: which dataset; one that does not exist locks nothing.
            shared: others may hold it shared too; whoever changes it holds it alone.
        """
        locked = _LOCKED_SHARED if shared else _LOCKED
        if ("dataset", dataset_id) in tx.held:
            row = tx.connection.execute(locked, {"id": dataset_id}).one_or_none()
            tx.held["dataset", dataset_id] = self._held_dataset(tx, row)
            return
        anew = _LOCKED_ROW_SHARED if shared else _LOCKED_ROW
        tx.held["locked", dataset_id] = tx.session.scalar(anew, {"id": dataset_id})

    def hold(self, tx: Transaction, *dataset_ids: str) -> None:
        """Read datasets and bases, their workspaces and their published versions in one statement.

        What asks for one of these later in the transaction, by its id, runs no statement of its own.

        Args:
            tx: which holds them until it ends; it must not change them.
            dataset_ids: those that do not exist are passed over.
        """
        for row in tx.connection.execute(_WITH_CURRENT, {"ids": dataset_ids}):
            values = iter(row)
            dataset, workspace, version = (
                SimpleNamespace(**{column.name: next(values) for column in part}) for part in _PARTS
            )
            tx.held["dataset", dataset.id] = self._held_dataset(tx, dataset)
            tx.held["workspace", workspace.id] = workspace_of(workspace)
            if version.id is not None:
                tx.held["version", version.id] = version_of(version)

    def _held_dataset(self, tx: Transaction, row: Any) -> Dataset | None:
        if row is None:
            return None
        schema = schema_of(row, lambda: tx.connection.scalar(_SCHEMA, {"id": row.id}))
        return dataset_of(row, schema)

    def hold_versions(self, tx: Transaction, *version_ids: str) -> None:
        """Read versions, with what opening them takes, as they are now; held as by `hold`, their files besides.

        Args:
            tx: which holds them until it ends.
            version_ids: of datasets and bases.
        """
        while True:
            held = tx.session.execute(_VERSIONS, {"ids": version_ids}).all()
            rows = tx.session.execute(_FILES, {"ids": version_ids}).all()
            roots = {version.id: version.files_root for version, *_ in held}
            # What replaces files between the two statements, a rotation or an erasure, would leave the old key, or
            # the old number of persons, with the new files.
            if all(roots.get(row.version_id) == row.files_root for row in rows):
                break
        tx.held["versions", ""] = held
        tx.held |= {("version", version.id): version_of(version) for version, *_ in held}
        files = {version_id: list[SealedFile]() for version_id in version_ids}
        for row in rows:
            files[row.version_id].append(sealed_file(row))
        tx.held |= {("files", version_id): tuple(found) for version_id, found in files.items()}

    def version(self, tx: Transaction, version_id: str) -> DatasetVersion:
        """Return a version; raises VersionNotFoundError."""
        held: DatasetVersion | None = tx.held.get(("version", version_id))
        if held is not None:
            return held
        row = tx.session.get(DatasetVersionRow, version_id)
        if row is None:
            raise _version_not_found()
        return version_of(row)

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
        return tuple(version_of(row) for row in tx.session.scalars(rows.order_by(DatasetVersionRow.number)))

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


def _not_found() -> DatasetNotFoundError:
    return DatasetNotFoundError("There is no dataset with this id.", remedy="Register it first.")


def _version_not_found() -> VersionNotFoundError:
    return VersionNotFoundError(
        "There is no version with this id.", remedy="List the versions of its dataset."
    )
