"""Questions that wait for a worker, which any process completes that holds their lease."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update

from cleanroom.analyses.completing import Completing
from cleanroom.analyses.errors import EndedError
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.resuming import Resuming
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.ticks import shown_at
from cleanroom.analyses.types import Outcome
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.grants.service import Grants
from cleanroom.release.receipts import Receipts
from cleanroom.release.types import Cell
from cleanroom.storage.leases import Leases

MAX_ATTEMPTS = 3
"""A question that ends every worker that counts it must not be tried for ever."""
_PER_PARTY = 16


@dataclass(frozen=True)
class Waiting:
    """A question that nobody has completed.

    Attributes:
        id: `an_...`.
        advertiser_id: whose it is.
    """

    id: str
    advertiser_id: str


@dataclass(frozen=True)
class Counted:
    """A question that was counted and may be released at its tick; until then nobody else is at it.

    Attributes:
        reserved: the question.
        cells: its exact cells, for the gate alone.
        asked_at: when it was asked; ticks are counted from there.
        tick_ms: of the question.
        at_work: holds its lease.
    """

    reserved: Reserved
    cells: Sequence[Cell] = field(repr=False)
    asked_at: datetime
    tick_ms: int
    at_work: ExitStack

    @property
    def id(self) -> str:
        """Return the question's id."""
        return self.reserved.ticket.analysis_id


@dataclass(frozen=True)
class Queue:
    """Completes, closes and cancels reserved questions."""

    db: Database
    clock: Clock
    completing: Completing
    resuming: Resuming
    grants: Grants
    receipts: Receipts
    leases: Leases

    def waiting(self) -> tuple[Waiting, ...]:
        """Return the questions that wait: of each advertiser the oldest few, those tried before after the others."""
        rank = func.row_number().over(
            partition_by=AnalysisRow.advertiser_id, order_by=(AnalysisRow.attempts, AnalysisRow.asked_at)
        )
        ranked = (
            select(AnalysisRow.id, AnalysisRow.advertiser_id, rank.label("rank"))
            .where(AnalysisRow.status == Outcome.RESERVED.value, AnalysisRow.queued)
            .subquery()
        )
        first = select(ranked).where(ranked.c.rank <= _PER_PARTY).order_by(ranked.c.rank, ranked.c.id)
        with self.db.reading() as tx:
            return tuple(Waiting(row.id, row.advertiser_id) for row in tx.session.execute(first))

    def complete(self, analysis_id: str) -> Outcome | None:
        """Count a queued question and release its answer at its tick; see `count` and `release`."""
        counted = self.count(analysis_id)
        return self.release(counted) if isinstance(counted, Counted) else counted

    def count(self, analysis_id: str) -> Counted | Outcome | None:
        """Count a queued question, under the decision that was taken when it was asked.

        Whoever is killed before it is released is followed by the next one, under the same reservation. Whatever is
        raised counts as an attempt.

        Args:
            analysis_id: of the question.

        Returns:
            What to release; or that it was given up; None when there is nothing to do: it does not wait any more,
            somebody is at it, or the room was restored and not reconciled yet.
        """
        with ExitStack() as at_work:
            if not at_work.enter_context(self.leases.try_hold(analysis_id)):
                return None
            with self.db.transaction() as tx:
                begun = self._begin(tx, analysis_id)
            if begun is not Outcome.RESERVED:
                return begun
            with self.db.reading() as tx:
                row = tx.session.get_one(AnalysisRow, analysis_id)
                asked_at, tick = row.asked_at, row.tick_ms
                reserved = self.resuming.reserved(tx, row)
            cells = self.completing.count(reserved)
            return Counted(reserved, cells, asked_at, tick, at_work.pop_all())

    def release(self, counted: Counted) -> Outcome | None:
        """Release what was counted, at the first multiple of its tick that has not passed.

        What is released then, in the log as in the receipt, bears an instant that does not tell how long was counted.

        Args:
            counted: once; it is let go of whatever happens.

        Returns:
            What became of it; None when it was cancelled or ended otherwise meanwhile.
        """

        def wait() -> datetime:
            due = shown_at(counted.asked_at, self.clock.now(), counted.tick_ms)
            self.clock.wait_until(due)
            return due

        with counted.at_work:
            try:
                done = self.completing.release(counted.reserved, counted.cells, wait=wait)
            except EndedError:
                return None
            event = done.event if isinstance(done, Refused) else done.found.event
            if event is not None and event.proven is not None:
                self.receipts.write(counted.id, event.proven)
            return done.outcome if isinstance(done, Answered) else Outcome.REFUSED

    def _begin(self, tx: Transaction, analysis_id: str) -> Outcome | None:
        """Count another attempt, or give the question up; None when it does not wait."""
        row = tx.session.get(AnalysisRow, analysis_id, with_for_update=True)
        if row is None or not row.queued or row.status != Outcome.RESERVED:
            return None
        # The database may have forgotten withdrawals, and that this question was answered.
        if self.grants.restored(tx) is not None:
            return None
        if row.attempts >= MAX_ATTEMPTS:
            self._lose(tx, row)
            return Outcome.LOST
        row.attempts += 1
        return Outcome.RESERVED

    def cancel(self, tx: Transaction, row: AnalysisRow) -> None:
        """End a queued question without an answer; what it reserved stays spent.

        It is ended here and now, counted or not: what a worker counts of it is dropped, as only a reserved question can
        be released. One that is released at this very moment keeps its answer; that is not told before its tick.

        Args:
            tx: the caller's transaction.
            row: of a question whose outcome is not shown yet.
        """
        now = self.clock.now()
        ending = (
            update(AnalysisRow)
            .where(AnalysisRow.id == row.id, AnalysisRow.status == Outcome.RESERVED.value, AnalysisRow.queued)
            .values(status=Outcome.CANCELLED.value, finished_at=now)
        )
        ended = tx.connection.execute(ending).rowcount
        tx.session.refresh(row)
        if row.cancel_asked_at is not None:
            return
        row.cancel_asked_at = now
        # In the log too nobody reads from it whether the answer was there already.
        tx.audit(
            "analyses.cancel_asked",
            subject_id=row.id,
            organisation_id=row.advertiser_id,
            body={"grant_id": row.grant_id, "rho_micro": row.rho_micro},
        )
        if ended:
            tx.audit("analyses.cancelled", subject_id=row.id, body={"grant_id": row.grant_id})

    def recover(self, *, queued: bool) -> tuple[str, ...]:
        """Close reserved questions that nobody is at; what they reserved stays spent.

        Args:
            queued: those that wait for a worker as well.

        Returns:
            Their ids.
        """
        reserved = select(AnalysisRow.id).where(AnalysisRow.status == Outcome.RESERVED.value)
        if not queued:
            reserved = reserved.where(AnalysisRow.queued.is_(False))
        with self.db.reading() as tx:
            found = list(tx.session.scalars(reserved))
        lost = []
        for analysis_id in found:
            with self.leases.try_hold(analysis_id) as held:
                if not held:
                    continue
                with self.db.transaction() as tx:
                    row = tx.session.get_one(AnalysisRow, analysis_id, with_for_update=True)
                    if row.status == Outcome.RESERVED:
                        self._lose(tx, row)
                        lost.append(analysis_id)
        return tuple(lost)

    def _lose(self, tx: Transaction, row: AnalysisRow) -> None:
        row.status, row.finished_at = Outcome.LOST.value, self.clock.now()
        tx.audit("analyses.lost", subject_id=row.id, body={"grant_id": row.grant_id})
