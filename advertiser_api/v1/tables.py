"""What bases and datasets have in common: registering, versions, the owner's report, publishing, deleting."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from advertiser_api.pages import Listed, Page
from advertiser_api.schemas import Given, Id, Instant, Shown
from cleanroom.datasets.types import Dataset, DatasetKind, DatasetVersion, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_dict
from cleanroom.schema.model import schema_to_dict
from cleanroom.workspaces.first_use import workspace_for

_BASE = {
    "match_keys": {"email": {"column": "email"}},
    "label": {"column": "status", "values": ["vip", "lapsed"]},
    "lawful_basis": "consent",
}


class NewTable(Given):
    """A table to register; nothing is loaded yet."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["loyalty-q3"])]
    schema_: Annotated[
        dict[str, Any],
        Field(
            alias="schema",
            description="As in a schema file; it names the lawful basis, and does not change later.",
            examples=[_BASE],
        ),
    ]
    workspace_id: Annotated[
        Id | None, Field(description="one of several; else the first, made if needed")
    ] = None

    @field_validator("schema_")
    @classmethod
    def _declares_its_basis(cls, schema: dict[str, Any]) -> dict[str, Any]:
        if "lawful_basis" not in schema:
            raise ValueError("lawful_basis is missing: say on which basis these people's data are processed")
        return schema


class TableOut(Shown):
    """A registered table, as its owner sees it."""

    id: Id
    name: str
    workspace_id: Id
    recipient: Annotated[str, Field(description="the age recipient that its files are encrypted to")]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    schema_sha256: str
    lawful_basis: str
    labels: list[str]
    current_version_id: Id | None
    created_at: Instant


class VersionOut(Shown):
    """One load of a table; its counts are for its owner alone."""

    id: Id
    number: int
    status: VersionStatus
    mode: str
    previous_version_id: Id | None
    package_id: str
    rows: int
    persons: int
    rejected: int
    over_shared: Annotated[
        int, Field(description="key values with too many holders, which wait for a decision")
    ]
    failure: Annotated[str | None, Field(description="why the load failed, as a code")]
    created_at: Instant
    loaded_at: Instant | None
    published_at: Instant | None


class OverSharedOut(Shown):
    """A key value that too many persons hold."""

    ref: str
    key: str
    holders: int


class RejectedRow(Shown):
    """A row that was left out."""

    row: int
    reason: str


class ReportOut(Shown):
    """The quality report on the owner's own file: exact, and for nobody else."""

    rows: int
    rows_accepted: int
    persons: int
    rejected: dict[str, int]
    rejected_rows: list[RejectedRow]
    invalid: dict[str, int]
    known_junk: dict[str, int]
    fill: dict[str, int]
    distinct: dict[str, int]
    over_shared: list[OverSharedOut]
    over_shared_total: int
    consent: dict[str, dict[str, int]]
    distinct_values: dict[str, int]


class Publishing(Given):
    """How to publish."""

    over_shared: Annotated[
        Literal["junk"] | None,
        Field(description="puts key values with too many holders on the junk list; matching ignores them"),
    ] = None


def register(
    room: Room, tx: Transaction, given: NewTable, *, organisation_id: str, kind: DatasetKind
) -> TableOut:
    """Register a table in an organisation's workspace, which is made with its keys if it has none."""
    schema = schema_from_dict(given.schema_)
    workspace = workspace_for(
        tx,
        accounts=room.accounts,
        workspaces=room.workspaces,
        organisation_id=organisation_id,
        workspace_id=given.workspace_id,
    )
    table = room.datasets.register(tx, workspace_id=workspace.id, kind=kind, name=given.name, schema=schema)
    return table_out(room, tx, table)


def list_tables(room: Room, page: Page, *, organisation_id: str, kind: DatasetKind) -> Listed[TableOut]:
    """List an organisation's tables of one kind."""
    with room.db.reading() as tx:
        found = room.datasets.datasets_of(
            tx, organisation_id=organisation_id, kind=kind, after=page.after, limit=page.fetch
        )
        return page.of(found, lambda table: table_out(room, tx, table), position=lambda table: table.id)


def list_versions(
    room: Room, page: Page, table_id: str, *, organisation_id: str, kind: DatasetKind
) -> Listed[VersionOut]:
    """List the versions of an organisation's table, by number."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, table_id, organisation_id=organisation_id, kind=kind)
        versions = room.datasets.versions(tx, table_id)
    rows: Sequence[DatasetVersion] = [version for version in versions if version.id > page.after]
    return page.of(rows[: page.fetch], version_out, position=lambda version: version.id)


def report_of(
    room: Room, table_id: str, version_id: str, *, organisation_id: str, kind: DatasetKind
) -> ReportOut:
    """Open the quality report of a version of an organisation's own table."""
    with room.db.reading() as tx:
        room.datasets.owned(tx, table_id, organisation_id=organisation_id, kind=kind)
        room.datasets.owned_version(tx, table_id, version_id)
        figures = room.datasets.report(tx, version_id)
    known = {name: value for name, value in figures.to_dict().items() if name in ReportOut.model_fields}
    rejected = [RejectedRow(row=row, reason=reason) for row, reason in figures.rejected_rows]
    return ReportOut.model_validate({**known, "rejected_rows": rejected})


def publish(
    room: Room,
    tx: Transaction,
    given: Publishing | None,
    table_id: str,
    version_id: str,
    *,
    organisation_id: str,
    kind: DatasetKind,
) -> VersionOut:
    """Publish a version, after its over-shared values went on the junk list if the owner says so."""
    room.datasets.owned(tx, table_id, organisation_id=organisation_id, kind=kind)
    version = room.datasets.owned_version(tx, table_id, version_id)
    if version.status is VersionStatus.AWAITING_JUNK and given is not None and given.over_shared == "junk":
        room.junk_lists.resolve_junk(tx, version_id)
    room.ingestion.publish(tx, version_id)
    return version_out(room.datasets.version(tx, version_id))


def delete(room: Room, table_id: str, *, organisation_id: str, kind: DatasetKind) -> None:
    """Delete an organisation's table for good."""
    with room.db.transaction() as tx:
        room.datasets.owned(tx, table_id, organisation_id=organisation_id, kind=kind)
        room.removing.delete(tx, table_id, organisation_id=organisation_id)


def table_out(room: Room, tx: Transaction, table: Dataset) -> TableOut:
    """Write a table."""
    return TableOut(
        id=table.id,
        name=table.name,
        workspace_id=table.workspace_id,
        recipient=room.workspaces.recipient(tx, table.workspace_id),
        schema_=schema_to_dict(table.schema),
        schema_sha256=table.schema_sha256,
        lawful_basis=table.schema.lawful_basis,
        labels=list(table.schema.label.values) if table.schema.label else [],
        current_version_id=table.current_version_id,
        created_at=table.created_at,
    )


def version_out(version: DatasetVersion) -> VersionOut:
    """Write a version."""
    return VersionOut(
        id=version.id,
        number=version.number,
        status=version.status,
        mode=version.mode,
        previous_version_id=version.previous_version_id,
        package_id=version.package_id,
        rows=version.rows,
        persons=version.persons,
        rejected=version.rejected,
        over_shared=version.over_shared,
        failure=version.failure,
        created_at=version.created_at,
        loaded_at=version.loaded_at,
        published_at=version.published_at,
    )
