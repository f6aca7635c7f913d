"""Looking through the log, newest first, by what events are and whose; and one event with its proof."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, or_, select

from cleanroom.audit.errors import UnknownEventError
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.reader import AuditReader
from cleanroom.db.database import Transaction
from crypto.checkpoint import open_note

Rows = TypeVar("Rows", bound=Select[*tuple[Any, ...]])
MAX_PAGE = 500


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; what is left out does not narrow.

    Attributes:
        organisation_id: whose; None for everybody's, the room's own included, which is the operator's to see.
        kinds: of these kinds; one that ends in a dot, such as `grants.`, stands for all that begin so.
        subject_id: about this very thing.
        dataset_id: about this dataset or base, or something that was done to it or asked of it.
        since: recorded at this instant or later.
        until: recorded before this instant.
    """

    organisation_id: str | None = None
    kinds: Collection[str] = ()
    subject_id: str | None = None
    dataset_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def narrow(self, rows: Rows) -> Rows:
        """Add the conditions to a selection of `AuditEvent`."""
        conditions: list[ColumnElement[bool]] = []
        if self.organisation_id is not None:
            conditions.append(AuditEvent.organisation_id == self.organisation_id)
        if self.kinds:
            exact = [kind for kind in self.kinds if not kind.endswith(".")]
            begins = [kind for kind in self.kinds if kind.endswith(".")]
            starts = [AuditEvent.kind.startswith(beginning, autoescape=True) for beginning in begins]
            conditions.append(or_(AuditEvent.kind.in_(exact), *starts))
        if self.subject_id is not None:
            conditions.append(AuditEvent.subject_id == self.subject_id)
        if self.dataset_id is not None:
            conditions.append(AuditEvent.dataset_id == self.dataset_id)
        if self.since is not None:
            conditions.append(AuditEvent.recorded_at >= self.since)
        if self.until is not None:
            conditions.append(AuditEvent.recorded_at < self.until)
        return rows.where(*conditions)


@dataclass(frozen=True)
class LoggedEvent:
    """One event as it stands in the log.

    Attributes:
        index: its place.
        at: when it was recorded, as the record spells it: RFC 3339 in UTC.
        kind: `slice.what_happened`.
        organisation_id: whose; None for the room's own.
        subject_id: what it is about.
        dataset_id: the dataset or base that it is about; None when it is about none.
        body: its facts.
        record: canonical JSON, the very bytes that its leaf hashes.
    """

    index: int
    at: str
    kind: str
    organisation_id: str | None
    subject_id: str
    dataset_id: str | None
    body: Mapping[str, Any]
    record: bytes


@dataclass(frozen=True)
class EventPage:
    """A page of events, newest first.

    Attributes:
        events: the events.
        older: pass it as `before` for the next page of older ones; None when there are none.
        newer: pass it as `after` for the page of newer ones; None when there are none.
    """

    events: tuple[LoggedEvent, ...]
    older: int | None
    newer: int | None


@dataclass(frozen=True)
class ProvenEvent:
    """An event with what proves it against the signed head.

    Attributes:
        event: the event.
        size: of the log that the proof leads to.
        root: of that log, 32 bytes.
        proof: sibling hashes, lowest first, 32 bytes each.
        checkpoint: the signed head.
    """

    event: LoggedEvent
    size: int
    root: bytes
    proof: tuple[bytes, ...]
    checkpoint: str


def page_of_events(
    tx: Transaction,
    wanted: EventFilter,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> EventPage:
    """Return a page of events, newest first; pages go by index, so that events that come meanwhile shift nothing.

    Args:
        tx: any transaction.
        wanted: which.
        before: only those of a smaller index.
        after: the ones that come next after this index; not both.
        limit: how many at most, up to `MAX_PAGE`.
    """
    limit = max(1, min(limit, MAX_PAGE))
    rows = wanted.narrow(select(AuditEvent.index, AuditEvent.record, AuditEvent.dataset_id))
    if after is not None:
        page = rows.where(AuditEvent.index > after).order_by(AuditEvent.index)
        found = list(tx.session.execute(page.limit(limit + 1)))
        more_newer, shown = len(found) > limit, found[:limit][::-1]
        more_older = _any(tx, wanted, AuditEvent.index <= after)
    else:
        page = rows if before is None else rows.where(AuditEvent.index < before)
        found = list(tx.session.execute(page.order_by(AuditEvent.index.desc()).limit(limit + 1)))
        more_older, shown = len(found) > limit, found[:limit]
        more_newer = before is not None and _any(tx, wanted, AuditEvent.index >= before)
    events = tuple(_event(index, record, dataset_id) for index, record, dataset_id in shown)
    return EventPage(
        events,
        older=events[-1].index if events and more_older else None,
        newer=events[0].index if events and more_newer else None,
    )


def prove_event(
    tx: Transaction, index: int, *, organisation_id: str | None, verifier_key: str
) -> ProvenEvent:
    """Return one event and its proof against the newest head.

    Args:
        tx: any transaction.
        index: its place in the log.
        organisation_id: whose it has to be; None for anybody's.
        verifier_key: the room's.

    Raises:
        UnknownEventError: there is no such event, or it is another organisation's.
    """
    reader = AuditReader()
    if organisation_id is not None and reader.owner(tx, index) != organisation_id:
        raise UnknownEventError("The log has no event of this index.", remedy="Ask for a smaller index.")
    record, note = reader.record(tx, index), reader.head(tx)
    head = open_note(note, verifier_key)
    dataset_id = tx.session.scalar(select(AuditEvent.dataset_id).where(AuditEvent.index == index))
    return ProvenEvent(
        event=_event(index, record, dataset_id),
        size=head.size,
        root=head.root,
        proof=tuple(reader.inclusion(tx, index, head.size)),
        checkpoint=note,
    )


def _any(tx: Transaction, wanted: EventFilter, condition: ColumnElement[bool]) -> bool:
    rows = wanted.narrow(select(AuditEvent.index)).where(condition).limit(1)
    return tx.session.scalar(rows) is not None


def _event(index: int, record: bytes, dataset_id: str | None) -> LoggedEvent:
    content = json.loads(record)
    return LoggedEvent(
        index=index,
        at=content["at"],
        kind=content["kind"],
        organisation_id=content["organisation"],
        subject_id=content["subject"],
        dataset_id=dataset_id,
        body=content["body"],
        record=record,
    )
