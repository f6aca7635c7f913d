"""Alarms in pages, with names, in few statements."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from cleanroom.access.models import ClientRow, UserRow
from cleanroom.accounts.models import OrganisationRow
from cleanroom.alarms.errors import UnknownAlarmError
from cleanroom.alarms.models import AlarmRow
from cleanroom.alarms.types import Alarm, AlarmKind, AlarmState, Whose
from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction

SORTS = ("raised", "last", "kind", "occurrences")


def alarms(
    tx: Transaction,
    whose: Whose,
    *,
    kind: AlarmKind | None = None,
    only_open: bool = False,
    sort: str = "raised",
    descending: bool = True,
    offset: int = 0,
    limit: int = 20,
) -> tuple[tuple[Alarm, ...], int]:
    """Return a page of alarms, and how many there are in all.

    Args:
        tx: any transaction.
        whose: that are looked at.
        kind: of this kind alone.
        only_open: only those that nobody has acknowledged.
        sort: one of `SORTS`; the first one for any other text.
        descending: the other way round.
        offset: how many to pass over.
        limit: how many at most.
    """
    wanted = _wanted(
        whose, kinds=() if kind is None else (kind,), state=AlarmState.OPEN if only_open else None
    )
    total = tx.session.scalar(select(func.count()).select_from(AlarmRow).where(*wanted)) or 0
    order = {"last": AlarmRow.last_at, "kind": AlarmRow.kind, "occurrences": AlarmRow.occurrences}.get(
        sort, AlarmRow.raised_at
    )
    rows = tx.session.scalars(
        select(AlarmRow)
        .where(*wanted)
        .order_by(order.desc() if descending else order, AlarmRow.id.desc())
        .offset(offset)
        .limit(limit)
    ).all()
    return _named(tx, rows), int(total)


def newest_alarms(
    tx: Transaction,
    whose: Whose,
    *,
    kinds: Collection[AlarmKind] = (),
    state: AlarmState | None = None,
    before: str = "",
    limit: int = 50,
) -> tuple[Alarm, ...]:
    """Return the next alarms, the newest first; whoever goes on at the last one's id misses none and gets none twice.

    Args:
        tx: any transaction.
        whose: that are looked at.
        kinds: of these alone; of every kind when empty.
        state: only open ones, or only those that somebody has acknowledged; both when None.
        before: the id that they come after in this order; empty for the newest.
        limit: how many at most.
    """
    wanted = _wanted(whose, kinds=kinds, state=state)
    if before:
        wanted.append(AlarmRow.id < before)
    rows = select(AlarmRow).where(*wanted).order_by(AlarmRow.id.desc()).limit(limit)
    return _named(tx, tx.session.scalars(rows).all())


def open_alarms(tx: Transaction, whose: Whose) -> int:
    """Count the alarms that nobody has acknowledged."""
    rows = select(func.count()).select_from(AlarmRow).where(*_wanted(whose, state=AlarmState.OPEN))
    return int(tx.session.scalar(rows) or 0)


def alarm(tx: Transaction, alarm_id: str, whose: Whose) -> Alarm:
    """Return one alarm; raises UnknownAlarmError."""
    row = tx.session.scalars(select(AlarmRow).where(AlarmRow.id == alarm_id, *_wanted(whose))).one_or_none()
    if row is None:
        raise UnknownAlarmError("There is no alarm with this id.", remedy="List the alarms.")
    return _named(tx, [row])[0]


def _wanted(
    whose: Whose, *, kinds: Collection[AlarmKind] = (), state: AlarmState | None = None
) -> list[ColumnElement[bool]]:
    wanted = [] if whose.whole_room else [AlarmRow.organisation_id == whose.organisation_id]
    if kinds:
        wanted.append(AlarmRow.kind.in_([kind.value for kind in kinds]))
    if state is not None:
        is_open = AlarmRow.acknowledged_at.is_(None)
        wanted.append(is_open if state is AlarmState.OPEN else ~is_open)
    return wanted


def _named(tx: Transaction, rows: Sequence[AlarmRow]) -> tuple[Alarm, ...]:
    parties = {one for row in rows for one in (row.organisation_id, row.party_id) if one is not None}
    names = _names(tx, OrganisationRow.id, OrganisationRow.name, parties)
    datasets = {row.dataset_id for row in rows if row.dataset_id is not None}
    names |= _names(tx, DatasetRow.id, DatasetRow.name, datasets)
    lookers = {row.acknowledged_by for row in rows if row.acknowledged_by is not None}
    names |= _names(tx, UserRow.id, UserRow.email, lookers)
    names |= _names(tx, ClientRow.id, ClientRow.name, lookers)
    return tuple(
        Alarm(
            id=row.id,
            kind=AlarmKind(row.kind),
            organisation_id=row.organisation_id,
            organisation=names.get(row.organisation_id or "", ""),
            party_id=row.party_id,
            party=names.get(row.party_id or "", ""),
            dataset_id=row.dataset_id,
            dataset=names.get(row.dataset_id or "", ""),
            raised_at=row.raised_at,
            last_at=row.last_at,
            first_index=row.first_index,
            last_index=row.last_index,
            occurrences=row.occurrences,
            acknowledged_at=row.acknowledged_at,
            acknowledged_by_id=row.acknowledged_by,
            acknowledged_by=names.get(row.acknowledged_by or ""),
            note=row.note,
        )
        for row in rows
    )


def _names(
    tx: Transaction, id_: InstrumentedAttribute[str], name: InstrumentedAttribute[str], ids: set[str]
) -> dict[str, str]:
    if not ids:
        return {}
    return dict(tx.session.execute(select(id_, name).where(id_.in_(sorted(ids)))).all())
