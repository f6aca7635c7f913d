"""Requests to erase and acts of destruction in pages, in few statements; who is meant stands in none of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select

from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.db.database import Transaction
from cleanroom.rights.errors import UnknownErasureError
from cleanroom.rights.models import ActRow, CompactionRow, ErasureRow
from cleanroom.rights.rows import compaction_of, erasure_of
from cleanroom.rights.schedule import next_passes
from cleanroom.rights.types import ActKind, Compaction, Erasure, ErasureState

SORTS = ("asked", "erased")


@dataclass(frozen=True)
class ListedErasure:
    """A request with the pass over files that belongs to it.

    Attributes:
        erasure: the request.
        ran: the pass that carried it out, or the next one that is to; None while none is planned.
    """

    erasure: Erasure
    ran: Compaction | None


@dataclass(frozen=True)
class ListedAct:
    """An act without what it says in full.

    Attributes:
        id: `ac_...`.
        organisation_id: whose data they were.
        number: counts the organisation's acts.
        kind: what was destroyed.
        subject_id: id of the version, the dataset, the pass or the workspace.
        about: id of the dataset or the workspace that it was, or was of.
        version: number of the version; None for anything else.
        event_index: of the log's event that destroyed it.
        destroyed_at: when.
        made_at: when the act was made.
    """

    id: str
    organisation_id: str
    number: int
    kind: ActKind
    subject_id: str
    about: str
    version: int | None
    event_index: int
    destroyed_at: datetime
    made_at: datetime


def erasures(
    tx: Transaction,
    organisation_id: str | None,
    *,
    state: ErasureState | None = None,
    dataset_id: str | None = None,
    sort: str = "asked",
    descending: bool = True,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[ListedErasure, ...], int]:
    """Return a page of requests over any table of people, and how many there are in all.

    Args:
        tx: any transaction.
        organisation_id: whose; None for all of the room, for its operator.
        state: in this state alone.
        dataset_id: over this dataset or base alone.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.
    """
    wanted = [] if organisation_id is None else [ErasureRow.organisation_id == organisation_id]
    if state is not None:
        wanted.append(ErasureRow.state == state.value)
    if dataset_id is not None:
        wanted.append(ErasureRow.dataset_id == dataset_id)
    total = tx.session.scalar(select(func.count()).select_from(ErasureRow).where(*wanted)) or 0
    order = ErasureRow.erased_at if sort == "erased" else ErasureRow.asked_at
    rows = (
        select(ErasureRow)
        .where(*wanted)
        # What is not erased yet comes after all that is, on either database.
        .order_by(order.is_(None), order.desc() if descending else order, ErasureRow.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return _with_passes(tx, [erasure_of(row) for row in tx.session.scalars(rows)]), int(total)


def erasure(tx: Transaction, erasure_id: str, *, organisation_id: str | None) -> ListedErasure:
    """Return a request by its id alone; raises UnknownErasureError, also for one of somebody else.

    Args:
        tx: any transaction.
        erasure_id: which.
        organisation_id: whose it has to be; None for anybody's.
    """
    row = tx.session.get(ErasureRow, erasure_id)
    if row is None or organisation_id not in (None, row.organisation_id):
        raise UnknownErasureError("There is no request with this id.", remedy="List the requests.")
    return _with_passes(tx, [erasure_of(row)])[0]


def asked_before(tx: Transaction, organisation_id: str | None, instant: datetime) -> int:
    """Count the requests that are older than an instant and not carried out.

    Args:
        tx: any transaction.
        organisation_id: whose; None for everybody's.
        instant: from which on a request is young enough to wait.
    """
    rows = (
        select(func.count())
        .select_from(ErasureRow)
        .where(ErasureRow.state == ErasureState.EXCLUDED.value, ErasureRow.asked_at < instant)
    )
    if organisation_id is not None:
        rows = rows.where(ErasureRow.organisation_id == organisation_id)
    return int(tx.session.scalar(rows) or 0)


def asked_about(tx: Transaction, organisation_id: str | None, *, limit: int) -> dict[str, str]:
    """Return names of the tables of people over which there are requests, by id, in the order of the names.

    Args:
        tx: any transaction.
        organisation_id: whose; None for everybody's.
        limit: how many at most.
    """
    asked = select(ErasureRow.dataset_id)
    if organisation_id is not None:
        asked = asked.where(ErasureRow.organisation_id == organisation_id)
    rows = select(DatasetRow.id, DatasetRow.name).where(DatasetRow.id.in_(asked))
    return dict(tx.session.execute(rows.order_by(DatasetRow.name, DatasetRow.id).limit(limit)).all())


def acts(
    tx: Transaction,
    organisation_id: str | None,
    *,
    kind: ActKind | None = None,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[ListedAct, ...], int]:
    """Return a page of acts, the newest first, and how many there are in all.

    Args:
        tx: any transaction.
        organisation_id: whose; None for all of the room, for its operator.
        kind: of this kind alone.
        offset: how many to pass over.
        limit: how many at most.
    """
    wanted = [] if organisation_id is None else [ActRow.organisation_id == organisation_id]
    if kind is not None:
        wanted.append(ActRow.kind == kind.value)
    total = tx.session.scalar(select(func.count()).select_from(ActRow).where(*wanted)) or 0
    # Without the documents: each may hold hundreds of the log's records.
    rows = tx.session.execute(
        select(
            ActRow.id,
            ActRow.organisation_id,
            ActRow.number,
            ActRow.kind,
            ActRow.subject_id,
            ActRow.event_index,
            ActRow.destroyed_at,
            ActRow.made_at,
        )
        .where(*wanted)
        .order_by(ActRow.id.desc())
        .offset(offset)
        .limit(limit)
    ).all()
    about = _about(tx, {row.subject_id for row in rows})
    found = tuple(
        ListedAct(
            id=row.id,
            organisation_id=row.organisation_id,
            number=row.number,
            kind=ActKind(row.kind),
            subject_id=row.subject_id,
            about=about[row.subject_id][0] if row.subject_id in about else row.subject_id,
            version=about[row.subject_id][1] if row.subject_id in about else None,
            event_index=row.event_index,
            destroyed_at=row.destroyed_at,
            made_at=row.made_at,
        )
        for row in rows
    )
    return found, int(total)


def _with_passes(tx: Transaction, found: Iterable[Erasure]) -> tuple[ListedErasure, ...]:
    found = list(found)
    done = {one.compaction_id for one in found if one.compaction_id is not None}
    rows = select(CompactionRow).where(CompactionRow.id.in_(sorted(done)))
    ran = {row.id: compaction_of(row) for row in tx.session.scalars(rows)} if done else {}
    planned = next_passes(tx, {one.dataset_id for one in found if one.state is not ErasureState.ERASED})
    listed = []
    for one in found:
        if one.state is ErasureState.ERASED:
            listed.append(ListedErasure(one, ran.get(one.compaction_id or "")))
            continue
        coming = planned.get(one.dataset_id)
        listed.append(ListedErasure(replace(one, erase_by=coming.due_at if coming else None), coming))
    return tuple(listed)


def _about(tx: Transaction, subject_ids: Iterable[str]) -> dict[str, tuple[str, int | None]]:
    """Return of which dataset versions and passes are, with the number of the version."""
    wanted = sorted(subject_ids)
    if not wanted:
        return {}
    versions = select(DatasetVersionRow.id, DatasetVersionRow.dataset_id, DatasetVersionRow.number)
    found: dict[str, tuple[str, int | None]] = {
        version_id: (dataset_id, number)
        for version_id, dataset_id, number in tx.session.execute(
            versions.where(DatasetVersionRow.id.in_(wanted))
        )
    }
    passes = select(CompactionRow.id, CompactionRow.dataset_id).where(CompactionRow.id.in_(wanted))
    return found | {pass_id: (dataset_id, None) for pass_id, dataset_id in tx.session.execute(passes)}
