"""Acts of destruction: made from the log once what it says was destroyed is seen to be gone."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select

from cleanroom.audit.log import AuditLog
from cleanroom.audit.models import AuditEvent
from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.rights.act_facts import ActFacts, Destroyed
from cleanroom.rights.errors import UnknownActError
from cleanroom.rights.models import ActRow
from cleanroom.rights.rows import act_of
from cleanroom.rights.types import Act, ActKind

KINDS: Mapping[str, ActKind] = MappingProxyType(
    {
        "datasets.version_deleted": ActKind.VERSION_DELETED,
        "datasets.deleted": ActKind.DATASET_DELETED,
        "rights.compacted": ActKind.ROWS_ERASED,
        "workspaces.destroyed": ActKind.WORKSPACE_SHREDDED,
    }
)
"""The log's events that destroy personal data."""
_AT_A_TIME = 20


@dataclass(frozen=True)
class Acts:
    """Makes acts and lists them; `catch_up` opens its own transactions."""

    db: Database
    clock: Clock
    log: AuditLog
    facts: ActFacts

    def catch_up(self) -> int:
        """Make the acts of what was destroyed since; returns how many.

        What a process that was killed has left of destroyed files is removed first. An act says only what was seen.
        """
        made = 0
        with self.db.reading() as tx:
            events = [self._read(index, record) for index, record in self._waiting(tx)]
        for event in events:
            checked = self.facts.see_gone(event)
            if checked is None:
                continue
            with self.db.transaction() as tx:
                made += self._make(tx, event, checked)
        return made

    def listed(
        self, tx: Transaction, organisation_id: str | None, *, after: str = "", limit: int
    ) -> tuple[Act, ...]:
        """List acts, the oldest first.

        Args:
            tx: any transaction.
            organisation_id: whose; None for all of the room, for its operator.
            after: the id that the first one comes after.
            limit: how many at most.
        """
        rows = select(ActRow).where(ActRow.id > after)
        if organisation_id is not None:
            rows = rows.where(ActRow.organisation_id == organisation_id)
        return tuple(act_of(row) for row in tx.session.scalars(rows.order_by(ActRow.id).limit(limit)))

    def act(self, tx: Transaction, act_id: str, *, organisation_id: str | None) -> Act:
        """Return an act; raises UnknownActError, also for one of somebody else."""
        row = tx.session.get(ActRow, act_id)
        if row is None or organisation_id not in (None, row.organisation_id):
            raise UnknownActError("There is no act with this id.", remedy="List your acts.")
        return act_of(row)

    def _waiting(self, tx: Transaction) -> list[tuple[int, bytes]]:
        rows = (
            select(AuditEvent.index, AuditEvent.record)
            .outerjoin(ActRow, ActRow.event_index == AuditEvent.index)
            .where(AuditEvent.kind.in_(KINDS), AuditEvent.organisation_id.is_not(None), ActRow.id.is_(None))
            .order_by(AuditEvent.index)
            .limit(_AT_A_TIME)
        )
        return [(index, record) for index, record in tx.session.execute(rows)]

    def _read(self, index: int, record: bytes) -> Destroyed:
        event = json.loads(record)
        return Destroyed(
            index=index,
            kind=KINDS[event["kind"]],
            organisation_id=event["organisation"],
            subject_id=event["subject"],
            at=event["at"],
            body=event["body"],
        )

    def _make(self, tx: Transaction, event: Destroyed, checked: Mapping[str, Any]) -> int:
        self.facts.accounts.lock(tx, event.organisation_id)
        made = select(ActRow.id).where(ActRow.event_index == event.index)
        if tx.session.scalar(made) is not None:
            return 0
        newest = select(func.max(ActRow.number)).where(ActRow.organisation_id == event.organisation_id)
        number, now = (tx.session.scalar(newest) or 0) + 1, self.clock.now()
        document = {
            "v": 1,
            "number": number,
            "kind": event.kind.value,
            "made_at": rfc3339(now),
            "destroyed_at": event.at,
            "log": {"origin": self.facts.origin, "verifier_key": self.log.verifier_key},
            "checked": dict(checked),
            **self.facts.document(tx, event),
        }
        sha256 = hashlib.sha256(canonical_json(document)).hexdigest()
        row = ActRow(
            id=new_id("ac", now),
            organisation_id=event.organisation_id,
            number=number,
            kind=event.kind.value,
            subject_id=event.subject_id,
            event_index=event.index,
            destroyed_at=datetime.fromisoformat(event.at),
            made_at=now,
            sha256=sha256,
            document=document,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "rights.act_made",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={
                "number": number,
                "kind": row.kind,
                "about": event.subject_id,
                "event_index": event.index,
                "sha256": sha256,
            },
        )
        return 1
