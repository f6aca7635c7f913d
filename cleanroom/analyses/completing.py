"""The second half of a question: count without a lock, then release in one transaction (T2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update

from cleanroom.analyses.cells import exact_cells
from cleanroom.analyses.entering import Refusals
from cleanroom.analyses.errors import EndedError
from cleanroom.analyses.models import AnalysisRow
from cleanroom.analyses.steps import Answered, Refused, Reserved
from cleanroom.analyses.types import Outcome
from cleanroom.clock import Clock
from cleanroom.consent.service import Consents
from cleanroom.datasets.files import FILES_MOVED
from cleanroom.datasets.service import Datasets
from cleanroom.db.base import Base
from cleanroom.db.database import Database, Transaction
from cleanroom.matching.service import Match, Matching
from cleanroom.release.service import ReleaseService
from cleanroom.release.types import Cell
from cleanroom.rules.service import Rules
from policies.decision import Reason
from policies.question import question_to_dict
from policies.reasons import KILL_SWITCH, kill_switch

COUNTS_PER_QUESTION = 2
_ANALYSES = Base.metadata.tables[AnalysisRow.__tablename__]
# Made once: to put a statement together takes longer than to run it.
_END = (
    update(_ANALYSES)
    .where(_ANALYSES.c.id == bindparam("asked"), _ANALYSES.c.status == Outcome.RESERVED.value)
    .values(status=bindparam("status"), finished_at=bindparam("finished_at"))
)


@dataclass(frozen=True)
class Completing:
    """Counts, checks again, and hands the counts to the gate."""

    db: Database
    clock: Clock
    datasets: Datasets
    consents: Consents
    rules: Rules
    matching: Matching
    gate: ReleaseService
    refusals: Refusals

    def complete(self, reserved: Reserved) -> Refused | Answered:
        """Count and release at once, for whoever waits for it in this process; see `release`."""
        return self.release(reserved, self.count(reserved))

    def count(self, reserved: Reserved) -> Sequence[Cell]:
        """Return the exact cells, or none at all when a rotation of keys took the files away meanwhile."""
        return self._count(reserved.match, reserved)

    def release(
        self,
        reserved: Reserved,
        cells: Sequence[Cell],
        *,
        wait: Callable[[], datetime] | None = None,
    ) -> Refused | Answered:
        """Release what was counted (T2); what changes meanwhile makes it count once more, and no more.

        Args:
            reserved: the question.
            cells: counted exactly.
            wait: comes back when it may be released, with that instant; without it, it may be released now.

        Raises:
            EndedError: the question was cancelled or ended otherwise meanwhile; nothing of the counts is kept.
        """
        ticket, epoch = reserved.ticket, reserved.ticket.epoch
        for counts_left in reversed(range(COUNTS_PER_QUESTION)):
            at = wait() if wait else self.clock.now()
            with self.db.transaction() as tx:
                changed = self._changed(tx, reserved, epoch, counted=bool(cells))
                if changed is None or changed.rule == KILL_SWITCH or not counts_left:
                    return self._finish(tx, reserved, cells, epoch, changed, at)
                epoch = self.consents.epoch(tx, reserved.dataset.id)
                match = self.matching.open(
                    tx,
                    dataset_version_id=ticket.asked.version_id,
                    base_version_id=reserved.base_version.id,
                    purpose=ticket.asked.purpose,
                    epoch=epoch,
                )
            cells = self._count(match, reserved)
        raise AssertionError("the last count is final")

    def _count(self, match: Match, reserved: Reserved) -> Sequence[Cell]:
        try:
            return exact_cells(reserved.layout, match.count(reserved.plan, at=self.clock.now()))
        except FILES_MOVED:
            return []

    def _finish(
        self,
        tx: Transaction,
        reserved: Reserved,
        cells: Sequence[Cell],
        epoch: int,
        changed: Reason | None,
        at: datetime,
    ) -> Refused | Answered:
        analysis_id = reserved.ticket.analysis_id
        outcome = Outcome.RELEASED if changed is None else Outcome.REFUSED
        ended = {"asked": analysis_id, "status": outcome.value, "finished_at": at}
        # One that was cancelled meanwhile has ended; and two that complete it can never both release.
        if tx.connection.execute(_END, ended).rowcount != 1:
            raise EndedError("The question has ended meanwhile.", remedy="Ask again.")
        if changed is not None:
            return self.refusals.record(
                tx,
                analysis_id,
                Refused((changed,)),
                organisation_id=reserved.ticket.organisation_id,
                facts=_refusal_facts(reserved),
            )
        found = self.gate.release(tx, reserved.ticket, cells, epoch=epoch, at=self.clock.now())
        return Answered(outcome, found, reserved.layout)

    def _changed(self, tx: Transaction, reserved: Reserved, epoch: int, *, counted: bool) -> Reason | None:
        """Tell what has changed since the budget was reserved, so that the counts must not leave."""
        # Midnight may have passed meanwhile, and consents with it.
        now = self.consents.locked_epoch(tx, reserved.dataset)
        if self.rules.stopped(tx, reserved.dataset.id):
            return kill_switch()
        if now != epoch:
            message = "Consents changed twice while the question was being counted."
            return Reason("consent_epoch", message, now, epoch)
        if not counted:
            message = "The keys of a workspace were rotated twice while the question was being counted."
            return Reason("key_rotation", message, "the same keys", "other keys")
        return None


def _refusal_facts(reserved: Reserved) -> dict[str, Any]:
    """Say of a refusal what its ticket says: with the question as asked, and without what only a bill needs."""
    facts = {name: fact for name, fact in reserved.ticket.facts.items() if name != "people_at_most"}
    return facts | {"question": question_to_dict(reserved.question)}
