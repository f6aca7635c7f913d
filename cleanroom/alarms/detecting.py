"""From the log to alarms, behind a cursor: whatever is committed is looked at once, wherever a worker is killed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cleanroom.alarms.models import AlarmRow, AlarmStateRow, AlarmWatchRow
from cleanroom.alarms.patterns import Habit, burst, outside
from cleanroom.alarms.sightings import KINDS, sightings
from cleanroom.alarms.types import AlarmKind, Seen, Sighting
from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.settings.alarms import AlarmSettings

PER_BATCH = 200
FRESH = timedelta(days=7)
"""What happened longer ago raises nothing: after an upgrade nobody gets a year's alarms."""
FORGOTTEN_AFTER = timedelta(days=400)
"""What a detector remembers of a party that it has not seen for so long goes."""
RAISED = "alarms.raised"
_AT_ONCE = (AlarmKind.DIFFERENCE, AlarmKind.WITNESS, AlarmKind.WITNESS_AWAY, AlarmKind.DAMAGED)
"""One event is the whole pattern."""
_STATE = 1
_FAR = 1000
_MINUTE = 60


@dataclass(frozen=True)
class Detecting:
    """Reads the log and raises alarms."""

    clock: Clock
    log: AuditLog
    settings: AlarmSettings

    def catch_up(self, db: Database) -> None:
        """Look at what the log holds, a transaction for each batch; where there is nothing it only reads."""
        with db.reading() as tx:
            due = self._behind(tx)
        while due:
            with db.transaction() as tx:
                due = self.look(tx) == PER_BATCH

    def look(self, tx: Transaction, *, limit: int = PER_BATCH) -> int:
        """Look at the events since the last time.

        Args:
            tx: the caller's transaction; alarms, what detectors remember and the cursor are kept or lost together.
            limit: how many events to read at most; call again while there are more.

        Returns:
            How many were read.
        """
        state = self._lock(tx)
        # Read first: whatever is committed meanwhile lies behind it, and is read the next time.
        size = self.log.size(tx)
        events = self._events(tx, state.next_index, size, limit)
        for index, record in events:
            event = _seen(index, record)
            for sighting in sightings(tx, event):
                if self._complete(tx, sighting, event) and event.at >= self.clock.now() - FRESH:
                    self._raise(tx, sighting, event)
        state.next_index = events[-1][0] + 1 if len(events) == limit else size
        tx.session.flush()
        return len(events)

    def sweep(self, tx: Transaction) -> None:
        """Forget what was remembered of parties not seen for long; alarms stay."""
        old = AlarmWatchRow.seen_at < self.clock.now() - FORGOTTEN_AFTER
        tx.session.execute(delete(AlarmWatchRow).where(old))

    def _complete(self, tx: Transaction, sighting: Sighting, event: Seen) -> bool:
        """Count a sighting; returns whether it completes a pattern."""
        if sighting.kind in _AT_ONCE:
            return True
        if sighting.kind is AlarmKind.ODD_HOURS:
            return self._odd(tx, sighting, event)
        limit, window = self._burst_of(sighting.kind)
        row = _watch(tx, sighting.watch, event.at)
        times: Sequence[float] = row.data.get("times", ())
        kept, complete = burst(times, event.at.timestamp(), window=window, limit=limit)
        row.data = {"times": kept}
        return complete

    def _burst_of(self, kind: AlarmKind) -> tuple[int, int]:
        wanted = self.settings
        return {
            AlarmKind.REFUSALS: (wanted.refusals, wanted.refusals_minutes * _MINUTE),
            AlarmKind.BUDGET_RACE: (wanted.race, wanted.race_seconds),
            AlarmKind.SIGN_IN: (wanted.sign_ins, wanted.sign_ins_minutes * _MINUTE),
            AlarmKind.BULK: (wanted.bulk, wanted.bulk_minutes * _MINUTE),
        }[kind]

    def _odd(self, tx: Transaction, sighting: Sighting, event: Seen) -> bool:
        local = event.at.astimezone(self.settings.zone)
        if self.settings.hours is not None:
            return outside(local.hour, *self.settings.hours)
        row = _watch(tx, sighting.watch, event.at)
        habit = Habit.from_data(row.data)
        row.data = habit.seen(local).to_data()
        return habit.unusual(local.hour)

    def _raise(self, tx: Transaction, sighting: Sighting, event: Seen) -> None:
        """Raise an alarm, or add to the one that is open for the same."""
        same = select(AlarmRow).where(
            AlarmRow.kind == sighting.kind.value,
            AlarmRow.organisation_id == sighting.organisation_id,
            AlarmRow.party_id == sighting.party_id,
            AlarmRow.dataset_id == sighting.dataset_id,
            AlarmRow.acknowledged_at.is_(None),
        )
        row = tx.session.scalars(same).first()
        if row is not None:
            row.occurrences += 1
            row.last_at, row.last_index = event.at, event.index
            return
        row = AlarmRow(
            id=new_id("al", self.clock.now()),
            kind=sighting.kind.value,
            organisation_id=sighting.organisation_id,
            party_id=sighting.party_id,
            dataset_id=sighting.dataset_id,
            raised_at=event.at,
            last_at=event.at,
            first_index=event.index,
            last_index=event.index,
            occurrences=1,
            acknowledged_at=None,
            acknowledged_by=None,
            note="",
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            RAISED,
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={
                "alarm": row.kind,
                "party_id": row.party_id,
                "dataset_id": row.dataset_id,
                "event": event.index,
                "at": rfc3339(event.at),
            },
        )

    def _lock(self, tx: Transaction) -> AlarmStateRow:
        dialect = sqlite if tx.session.get_bind().dialect.name == "sqlite" else postgresql
        first = dialect.insert(AlarmStateRow).values(id=_STATE, next_index=0)
        tx.session.execute(first.on_conflict_do_nothing())
        return tx.session.get_one(AlarmStateRow, _STATE, with_for_update=True, populate_existing=True)

    def _behind(self, tx: Transaction) -> bool:
        state = tx.session.get(AlarmStateRow, _STATE)
        reached, size = state.next_index if state is not None else 0, self.log.size(tx)
        # Among many events that tell nothing the next look would begin at the same place, and take ever longer.
        return size - reached > _FAR or bool(self._events(tx, reached, size, 1))

    def _events(self, tx: Transaction, first: int, size: int, limit: int) -> list[tuple[int, bytes]]:
        found = self.log.events(tx, organisation_id=None, kinds=KINDS, after=first - 1, limit=limit)
        return [(index, record) for index, record in found if index < size]


def _watch(tx: Transaction, key: str, at: datetime) -> AlarmWatchRow:
    """Return what is remembered under a name; it is kept alive, so that a batch reads it once."""
    row: AlarmWatchRow | None = tx.held.get(("alarms watch", key)) or tx.session.get(AlarmWatchRow, key)
    if row is None:
        row = AlarmWatchRow(key=key, data={}, seen_at=at)
        tx.session.add(row)
    tx.held["alarms watch", key] = row
    row.seen_at = at
    return row


def _seen(index: int, record: bytes) -> Seen:
    event = json.loads(record)
    return Seen(
        index=index,
        kind=event["kind"],
        at=datetime.fromisoformat(event["at"]),
        organisation_id=event["organisation"],
        subject_id=event["subject"],
        body=event["body"],
    )
