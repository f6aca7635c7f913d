"""What an incident affects, found in SQL and in the log: data, what was released from it, and who is concerned."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from cleanroom.access.models import ClientRow
from cleanroom.accounts.models import EnrolledKeyRow, OrganisationRow
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.parties import asked_through
from cleanroom.analyses.types import Outcome
from cleanroom.audit.models import AuditEvent
from cleanroom.client.receipts import KINDS
from cleanroom.datasets.models import DatasetRow, DatasetVersionRow, PackageRow
from cleanroom.db.database import Transaction
from cleanroom.incidents.errors import IncidentScopeError
from cleanroom.incidents.types import Scope
from cleanroom.marketplace.models import EntitlementRow
from cleanroom.workspaces.models import WorkspaceRow

_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Named:
    """Something that is affected.

    Attributes:
        id: of a dataset or an organisation.
        name: what people call it.
        organisation_id: whose it is; an organisation's own id.
        kind: dataset or base; of an organisation, its kind.
    """

    id: str
    name: str
    organisation_id: str
    kind: str


@dataclass(frozen=True)
class AffectedVersion:
    """A version of an affected dataset; of how many people it is, is its owner's to know, and stands nowhere here."""

    id: str
    dataset_id: str
    number: int
    published_at: datetime | None


@dataclass(frozen=True)
class AffectedRelease:
    """An answer that left the room; its receipt has the number that it has in the log.

    One that was given again is not listed again: the same party has had it, under the same receipt.

    Attributes:
        analysis_id: names the receipt.
        index: of its record in the log.
        dataset_id: about which dataset.
        version_id: about which version of it.
        base_id: the asker's; None to an owner of data, who sees who asked, not with what.
        base_version_id: which version of that; likewise.
        advertiser_id: to whom it went.
        agency_id: through whom.
        kind: of the question.
        asked_at: when. What it came to, and what it cost, is the asker's to know.
    """

    analysis_id: str
    index: int
    dataset_id: str
    version_id: str | None
    base_id: str | None
    base_version_id: str | None
    advertiser_id: str
    agency_id: str | None
    kind: str
    asked_at: datetime


@dataclass(frozen=True)
class AffectedEntitlement:
    """A right to use affected data that was in force in the incident's time."""

    id: str
    dataset_id: str
    advertiser_id: str
    agency_id: str | None
    valid_from: datetime
    expires_at: datetime
    state: str


@dataclass(frozen=True)
class Affected:
    """What a scope comes to.

    Attributes:
        datasets: tables and bases.
        versions: of them.
        entitlements: rights to use them.
        organisations: whose data it is, to whom answers went, and who holds rights.
        releases: how many answers left the room.
        first_release_at: since when, by the instants of asking; None when there are none.
        last_release_at: until when.
    """

    datasets: tuple[Named, ...]
    versions: tuple[AffectedVersion, ...]
    entitlements: tuple[AffectedEntitlement, ...]
    organisations: tuple[Named, ...]
    releases: int
    first_release_at: datetime | None
    last_release_at: datetime | None


def require_scope(tx: Transaction, scope: Scope, *, within: str | None) -> None:
    """Check that a scope names something, and nothing that an organisation has not.

    Args:
        tx: any transaction.
        scope: as entered.
        within: whose data it may be about; None for everybody's.

    Raises:
        IncidentScopeError: it names nothing, a range whose end comes before its beginning, or something unknown.
    """
    if scope == Scope():
        raise _bad("A scope names data, a key, a client or a time.")
    if scope.version_from is not None or scope.version_to is not None:
        first, last = scope.version_from or 1, scope.version_to or scope.version_from or 1
        if scope.dataset_id is None or not 1 <= first <= last:
            raise _bad("Versions are those of one dataset, from the first to the last.")
    if scope.since is not None and scope.until is not None and scope.since >= scope.until:
        raise _bad("The time ends before it begins.")
    found: list[str | None] = []
    for wanted, owner in (
        (
            scope.workspace_id,
            select(WorkspaceRow.organisation_id).where(WorkspaceRow.id == scope.workspace_id),
        ),
        (
            scope.signer_key_id,
            select(EnrolledKeyRow.organisation_id).where(EnrolledKeyRow.id == scope.signer_key_id),
        ),
        (scope.client_id, _client(scope)),
    ):
        if wanted is not None:
            found.append(tx.session.scalar(owner))
    if scope.dataset_id is not None:
        of_dataset = select(WorkspaceRow.organisation_id).join(
            DatasetRow, DatasetRow.workspace_id == WorkspaceRow.id
        )
        found.append(tx.session.scalar(of_dataset.where(DatasetRow.id == scope.dataset_id)))
    if None in found or (within is not None and set(found) - {within}):
        raise _bad("The scope names something that is not there.")


def affected(tx: Transaction, scope: Scope | None, *, within: str | None) -> Affected:
    """Find what a scope comes to, as far as it is one organisation's.

    Args:
        tx: any transaction.
        scope: of the incident.
        within: whose part of it; None for all.

    Raises:
        IncidentScopeError: the incident has no scope yet.
    """
    scope, session = _known(scope), tx.session
    chosen = _datasets(scope, within)
    named = (
        select(DatasetRow.id, DatasetRow.name, WorkspaceRow.organisation_id, DatasetRow.kind)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(DatasetRow.id.in_(chosen))
        .order_by(DatasetRow.id)
    )
    datasets = tuple(Named(*row) for row in session.execute(named))
    entitled = (
        select(EntitlementRow)
        .where(
            EntitlementRow.dataset_id.in_(_datasets(scope, None)),
            *_party(EntitlementRow, within),
            *_in_force(scope),
        )
        .order_by(EntitlementRow.id)
    )
    entitlements = tuple(
        AffectedEntitlement(
            row.id,
            row.dataset_id,
            row.advertiser_id,
            row.agency_id,
            row.valid_from,
            row.expires_at,
            row.state,
        )
        for row in session.scalars(entitled)
    )
    count, first, last, parties = 0, None, None, set[str]()
    if scope.of_versions:
        for release in _streamed(tx, scope, within):
            count, last = count + 1, release.asked_at
            first = first or release.asked_at
            parties |= {release.advertiser_id, release.agency_id or release.advertiser_id}
    else:
        matching = _releases(scope, within).subquery()
        count, first, last = session.execute(
            select(func.count(), func.min(matching.c.asked_at), func.max(matching.c.asked_at))
        ).one()
        for party in (matching.c.advertiser_id, matching.c.agency_id):
            parties |= {one for one in session.scalars(select(party).distinct()) if one is not None}
    parties |= {one.organisation_id for one in datasets}
    for entitlement in entitlements:
        parties |= {entitlement.advertiser_id, entitlement.agency_id or entitlement.advertiser_id}
    return Affected(
        datasets=datasets,
        versions=_versions(tx, scope, chosen),
        entitlements=entitlements,
        organisations=_organisations(tx, parties),
        releases=count,
        first_release_at=first,
        last_release_at=last,
    )


def released(
    tx: Transaction, scope: Scope | None, *, within: str | None, offset: int = 0, limit: int = 50
) -> tuple[AffectedRelease, ...]:
    """Return a page of the answers that a scope comes to, in the order in which they were asked for.

    Args:
        tx: any transaction.
        scope: of the incident.
        within: whose part of it; None for all.
        offset: how many to pass over.
        limit: how many at most.

    Raises:
        IncidentScopeError: the incident has no scope yet.
    """
    scope = _known(scope)
    if scope.of_versions:
        return tuple(islice(_streamed(tx, scope, within), offset, offset + limit))
    page = _releases(scope, within).order_by(AnalysisRow.id).offset(offset).limit(limit)
    return tuple(_read(tx.session.execute(page), within))


def all_released(tx: Transaction, scope: Scope | None, *, within: str | None) -> Iterator[AffectedRelease]:
    """Return every answer that a scope comes to, without holding them all."""
    return _streamed(tx, _known(scope), within)


def _known(scope: Scope | None) -> Scope:
    if scope is None:
        raise _bad("It is not entered yet which data the incident is about.")
    return scope


def _bad(text: str) -> IncidentScopeError:
    return IncidentScopeError(
        text, remedy="Name a workspace, a dataset, its versions, a key, a client, or a time."
    )


def _datasets(scope: Scope, within: str | None) -> Select[str]:
    """Choose the datasets that a scope names: all, where it names but a time."""
    chosen = select(DatasetRow.id).join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
    if within is not None:
        chosen = chosen.where(WorkspaceRow.organisation_id == within)
    if scope.workspace_id is not None:
        chosen = chosen.where(WorkspaceRow.id == scope.workspace_id)
    if scope.dataset_id is not None:
        chosen = chosen.where(DatasetRow.id == scope.dataset_id)
    if scope.signer_key_id is not None:
        signed = select(PackageRow.dataset_id).where(PackageRow.signer_key_id == scope.signer_key_id)
        chosen = chosen.where(DatasetRow.id.in_(signed))
    if scope.of_client_alone:
        chosen = chosen.where(WorkspaceRow.organisation_id.in_(_client(scope)))
    if scope.until is not None:
        chosen = chosen.where(DatasetRow.created_at < scope.until)
    return chosen


def _client(scope: Scope) -> Select[str]:
    return select(ClientRow.organisation_id).where(ClientRow.id == scope.client_id)


def _versions(tx: Transaction, scope: Scope, chosen: Select[str]) -> tuple[AffectedVersion, ...]:
    """Find the versions that a scope names and that were there before its time was over."""
    found = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id.in_(chosen), *_of_versions(scope))
    if scope.until is not None:
        found = found.where(DatasetVersionRow.created_at < scope.until)
    rows = tx.session.scalars(found.order_by(DatasetVersionRow.dataset_id, DatasetVersionRow.number))
    return tuple(AffectedVersion(row.id, row.dataset_id, row.number, row.published_at) for row in rows)


def _of_versions(scope: Scope) -> Iterator[ColumnElement[bool]]:
    if scope.version_from is not None:
        yield DatasetVersionRow.number >= scope.version_from
    if scope.version_to is not None:
        yield DatasetVersionRow.number <= scope.version_to
    if scope.signer_key_id is not None:
        signed = select(PackageRow.version_id).where(PackageRow.signer_key_id == scope.signer_key_id)
        yield DatasetVersionRow.id.in_(signed)


def _releases(scope: Scope, within: str | None) -> Select[AnalysisRow, int, bytes]:
    """Choose answers about the datasets of a scope, or with its bases, whatever their version."""
    of_data = _datasets(scope, None)
    touched = or_(AnalysisRow.dataset_id.in_(of_data), AnalysisRow.base_id.in_(of_data))
    if scope.client_id is not None:
        # What the organisation's programs asked for may be about others' data.
        asked = or_(AnalysisRow.advertiser_id.in_(_client(scope)), AnalysisRow.agency_id.in_(_client(scope)))
        touched = or_(touched, asked) if scope.of_client_alone else and_(touched, asked)
    found = (
        select(AnalysisRow, AuditEvent.index, AuditEvent.record)
        .join(AuditEvent, and_(AuditEvent.subject_id == AnalysisRow.id, AuditEvent.kind.in_(KINDS)))
        .where(AnalysisRow.status == Outcome.RELEASED.value, touched, *_party(AnalysisRow, within))
    )
    if scope.since is not None:
        found = found.where(AnalysisRow.asked_at >= scope.since)
    if scope.until is not None:
        found = found.where(AnalysisRow.asked_at < scope.until)
    return found


def _party(table: Any, within: str | None) -> Iterator[ColumnElement[bool]]:
    """Limit answers or rights to those of one organisation: about its data, or its own."""
    if within is not None:
        own = _datasets(Scope(), within)
        through = asked_through(within) if table is AnalysisRow else table.agency_id == within
        yield or_(table.dataset_id.in_(own), table.advertiser_id == within, through)


def _in_force(scope: Scope) -> Iterator[ColumnElement[bool]]:
    if scope.until is not None:
        yield EntitlementRow.valid_from < scope.until
    if scope.since is not None:
        yield EntitlementRow.expires_at > scope.since
        yield or_(EntitlementRow.ended_at.is_(None), EntitlementRow.ended_at > scope.since)


def _streamed(tx: Transaction, scope: Scope, within: str | None) -> Iterator[AffectedRelease]:
    """Read the answers one by one; which version they are about, the log alone knows."""
    found = _releases(scope, within).order_by(AnalysisRow.id).execution_options(yield_per=_ROWS_AT_ONCE)
    releases = _read(tx.session.execute(found), within)
    if not scope.of_versions:
        yield from releases
        return
    versions = {one.id for one in _versions(tx, scope, _datasets(scope, None))}
    for release in releases:
        if versions & {release.version_id, release.base_version_id}:
            yield release


def _read(rows: Iterable[Any], within: str | None) -> Iterator[AffectedRelease]:
    for row, index, record in rows:
        asker = within in (None, row.advertiser_id, row.agency_id)
        yield AffectedRelease(
            analysis_id=row.id,
            index=index,
            dataset_id=row.dataset_id,
            version_id=json.loads(record)["body"].get("dataset_version_id"),
            base_id=row.base_id if asker else None,
            base_version_id=row.base_version_id if asker else None,
            advertiser_id=row.advertiser_id,
            agency_id=row.agency_id,
            kind=str(row.question.get("kind", "")),
            asked_at=row.asked_at,
        )


def _organisations(tx: Transaction, parties: set[str]) -> tuple[Named, ...]:
    rows = select(OrganisationRow.id, OrganisationRow.name, OrganisationRow.kind).order_by(OrganisationRow.id)
    found = tx.session.execute(rows).all()
    return tuple(Named(id_, name, id_, kind) for id_, name, kind in found if id_ in parties)
