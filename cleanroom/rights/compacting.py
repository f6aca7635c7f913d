"""Passes over the files of a dataset: done one at a time by a worker, each version switched by itself.

Killed anywhere, a version has its old files or its new ones. The next worker goes on with the versions that are left.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ingestion.metering import Tell, now_and_then
from cleanroom.rights.errors import CompactionBusyError
from cleanroom.rights.models import CompactionRow
from cleanroom.rights.one_pass import OnePass
from cleanroom.rights.rows import compaction_of
from cleanroom.rights.schedule import schedule, uncovered
from cleanroom.rights.types import OPEN, Compaction, PassState, Why
from cleanroom.storage.leases import Leases

MAX_FAILURES = 5
RETRY_AFTER = timedelta(seconds=30)
_OPEN = [state.value for state in OPEN]


@dataclass(frozen=True)
class Compactions:
    """Plans passes and does them; opens its own transactions.

    Attributes:
        wait: how long requests are gathered before their pass begins.
    """

    db: Database
    clock: Clock
    one_pass: OnePass
    leases: Leases
    wait: timedelta

    def cover(self) -> None:
        """Plan passes for versions that were loaded since somebody was erased."""
        with self.db.reading() as tx:
            found = uncovered(tx)
        for dataset_id, organisation_id in found:
            with self.db.transaction() as tx:
                self.one_pass.datasets.lock(tx, dataset_id)
                if (dataset_id, organisation_id) in uncovered(tx):
                    schedule(
                        tx,
                        self.clock,
                        dataset_id,
                        organisation_id=organisation_id,
                        why=Why.ERASURE,
                        due_at=self.clock.now() + self.wait,
                    )

    def work(self) -> bool:
        """Do one pass that is due, if there is one; returns whether there was."""
        due = (
            select(CompactionRow.id)
            .where(CompactionRow.state.in_(_OPEN), CompactionRow.due_at <= self.clock.now())
            .order_by(CompactionRow.due_at, CompactionRow.id)
        )
        with self.db.reading() as tx:
            waiting = tx.session.scalars(due.limit(20)).all()
        return any(self.run(compaction_id) is not None for compaction_id in waiting)

    def of(
        self, tx: Transaction, dataset_id: str, *, before: str = "", limit: int = 20
    ) -> tuple[Compaction, ...]:
        """List the passes of a dataset, the newest first, before a pass's id."""
        rows = select(CompactionRow).where(CompactionRow.dataset_id == dataset_id)
        if before:
            rows = rows.where(CompactionRow.id < before)
        found = tx.session.scalars(rows.order_by(CompactionRow.id.desc()).limit(limit))
        return tuple(compaction_of(row) for row in found)

    def run(self, compaction_id: str, *, watch: Tell | None = None) -> Compaction | None:
        """Do a pass, from its beginning or from where a killed worker left it.

        Args:
            compaction_id: one that was planned.
            watch: is told how much is done, of how much.

        Returns:
            What became of it; None when somebody else is at it, or it has ended.

        Raises:
            Exception: whatever it met; it is tried again later, and given up after several times.
        """
        with self.leases.try_hold(compaction_id) as held:
            begun = self._begin(compaction_id) if held else None
            if begun is None:
                return None
            try:
                self.one_pass.run(begun, tell=now_and_then(partial(self._note, compaction_id), watch))
            except CompactionBusyError as error:
                self._failed(compaction_id, error.code, counts=False)
            except Exception as error:
                with suppress(Exception):
                    self._failed(compaction_id, getattr(error, "code", type(error).__name__), counts=True)
                raise
            with self.db.reading() as tx:
                return compaction_of(tx.session.get_one(CompactionRow, compaction_id))

    def _begin(self, compaction_id: str) -> Compaction | None:
        with self.db.transaction() as tx:
            row = _locked(tx, compaction_id)
            if row is None or row.state not in _OPEN:
                return None
            row.state, row.done, row.total = PassState.RUNNING.value, 0, 0
            row.started_at = row.started_at or self.clock.now()
            tx.session.flush()
            return compaction_of(row)

    def _note(self, compaction_id: str, done: int, total: int) -> None:
        with self.db.transaction() as tx:
            row = tx.session.get_one(CompactionRow, compaction_id)
            row.done, row.total = done, total

    def _failed(self, compaction_id: str, code: str, *, counts: bool) -> None:
        with self.db.transaction() as tx:
            row = _locked(tx, compaction_id)
            if row is None or row.state != PassState.RUNNING:
                return
            row.failures += counts
            row.failure = code[:80]
            if row.failures >= MAX_FAILURES:
                row.state, row.ended_at = PassState.FAILED.value, self.clock.now()
                tx.session.flush()
                tx.audit(
                    "rights.compaction_failed",
                    subject_id=row.id,
                    organisation_id=row.organisation_id,
                    body={"dataset_id": row.dataset_id, "failure": row.failure},
                )
            else:
                row.state, row.due_at = PassState.WAITING.value, self.clock.now() + RETRY_AFTER


def _locked(tx: Transaction, compaction_id: str) -> CompactionRow | None:
    return tx.session.get(CompactionRow, compaction_id, with_for_update=True, populate_existing=True)
