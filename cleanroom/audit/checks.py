"""The room's own checks of its log: a regular one of the whole, and of a range on demand; what the badge shows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select

from cleanroom.audit.errors import CheckRangeError, UnknownCheckError
from cleanroom.audit.published_models import AuditCheck
from cleanroom.audit.ranges import verify_range
from cleanroom.audit.reader import log_size
from cleanroom.audit.types import VerifyReport
from cleanroom.audit.verify import verify_log
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id

CHECK_EVERY = timedelta(hours=12)
MAX_QUEUED = 20
"""Checks that an organisation may have waiting; each reads the whole range."""
DAMAGED, CHECKED = "audit.damaged", "audit.checked"


class CheckState(StrEnum):
    """How far a check is."""

    QUEUED = "queued"
    INTACT = "intact"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Check:
    """One check of the log.

    Attributes:
        id: `ck_...`.
        state: how it came out, or that it has not yet.
        organisation_id: who asked for it; None for the regular check of the whole log.
        asked_at: when it was asked for, or due.
        start: the first index that it looks at.
        stop: the index that it stops before; None for the log's size by then.
        ended_at: when it ended; None while it waits.
        size: how many events it looked at; None while it waits.
        root: of the log that was recomputed, hex; None while it waits.
        problems: what is damaged, as lines.
    """

    id: str
    state: CheckState
    organisation_id: str | None
    asked_at: datetime
    start: int
    stop: int | None
    ended_at: datetime | None
    size: int | None
    root: str | None
    problems: tuple[str, ...]


class Checks:
    """Asks for checks, runs them and tells of them."""

    def __init__(self, clock: Clock, verifier_key: str) -> None:
        self._clock = clock
        self._verifier_key = verifier_key

    def badge(self, tx: Transaction) -> Check | None:
        """Return the newest regular check that has ended; None while there was none."""
        rows = select(AuditCheck).where(
            AuditCheck.organisation_id.is_(None), AuditCheck.state != CheckState.QUEUED.value
        )
        row = tx.session.scalars(rows.order_by(AuditCheck.id.desc()).limit(1)).one_or_none()
        return None if row is None else _check(row)

    def ask(
        self, tx: Transaction, *, organisation_id: str, by: str, start: int = 0, stop: int | None = None
    ) -> Check:
        """Ask for a check of a range; a worker does it.

        Args:
            tx: the caller's transaction.
            organisation_id: who asks.
            by: id of the user who asks.
            start: the first index.
            stop: the index to stop before; the log's size by then when not given.

        Raises:
            CheckRangeError: the log holds no such range, or too many checks wait.
        """
        size = log_size(tx.connection)
        if not 0 <= start < size or (stop is not None and not start < stop <= size):
            raise CheckRangeError(
                f"A check goes from an index to a larger one, in a log of {size} events.",
                remedy="Choose a range that the log holds.",
            )
        waiting = select(AuditCheck.id).where(
            AuditCheck.organisation_id == organisation_id, AuditCheck.state == CheckState.QUEUED.value
        )
        if len(tx.session.scalars(waiting.limit(MAX_QUEUED)).all()) >= MAX_QUEUED:
            raise CheckRangeError(
                f"At most {MAX_QUEUED} checks wait at a time.", remedy="Wait for those that were asked for."
            )
        row = self._add(tx, organisation_id=organisation_id, by=by, start=start, stop=stop)
        tx.audit(
            "audit.check_asked",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"by": by, "start": start, "stop": stop},
        )
        return _check(row)

    def check(self, tx: Transaction, check_id: str, *, organisation_id: str) -> Check:
        """Return a check that an organisation asked for; raises UnknownCheckError."""
        row = tx.session.get(AuditCheck, check_id)
        if row is None or row.organisation_id != organisation_id:
            raise UnknownCheckError("There is no check with this id.", remedy="List yours.")
        return _check(row)

    def list(self, tx: Transaction, *, organisation_id: str, limit: int = 20) -> tuple[Check, ...]:
        """Return the checks that an organisation asked for, newest first."""
        rows = select(AuditCheck).where(AuditCheck.organisation_id == organisation_id)
        return tuple(
            _check(row) for row in tx.session.scalars(rows.order_by(AuditCheck.id.desc()).limit(limit))
        )

    def run_due(self, db: Database, database_url: str) -> bool:
        """Do the oldest check that waits, or the regular one when it is due; returns whether there was one.

        A process that is killed leaves it waiting, and what two do at once is written down once.
        """
        with db.reading() as tx:
            due = self._due(tx)
        if due is None:
            return False
        check_id, start, stop = due
        if check_id is None:
            with db.transaction() as tx:
                check_id = self._add(tx, organisation_id=None, by=None, start=0, stop=None).id
        if start == 0 and stop is None:
            report = verify_log(database_url, verifier_key=self._verifier_key)
        else:
            with db.reading() as tx:
                report = verify_range(tx, verifier_key=self._verifier_key, start=start, stop=stop)
        with db.transaction() as tx:
            self._finish(tx, check_id, report)
        return True

    def _due(self, tx: Transaction) -> tuple[str | None, int, int | None] | None:
        queued = select(AuditCheck).where(AuditCheck.state == CheckState.QUEUED.value)
        row = tx.session.scalars(queued.order_by(AuditCheck.id).limit(1)).one_or_none()
        if row is not None:
            return row.id, row.start, row.stop
        last = self.badge(tx)
        if last is not None and last.ended_at is not None:
            return None if self._clock.now() < last.ended_at + CHECK_EVERY else (None, 0, None)
        return (None, 0, None) if log_size(tx.connection) else None

    def _add(
        self, tx: Transaction, *, organisation_id: str | None, by: str | None, start: int, stop: int | None
    ) -> AuditCheck:
        now = self._clock.now()
        row = AuditCheck(
            id=new_id("ck", now),
            state=CheckState.QUEUED.value,
            organisation_id=organisation_id,
            asked_by=by,
            asked_at=now,
            start=start,
            stop=stop,
            ended_at=None,
            size=None,
            root=None,
            problems=None,
        )
        tx.session.add(row)
        tx.session.flush()
        return row

    def _finish(self, tx: Transaction, check_id: str, report: VerifyReport) -> None:
        row = tx.session.get(AuditCheck, check_id, with_for_update=True, populate_existing=True)
        if row is None or row.state != CheckState.QUEUED.value:
            return
        row.state = (CheckState.INTACT if report.ok else CheckState.DAMAGED).value
        row.ended_at, row.size, row.root = self._clock.now(), report.events, report.root
        row.problems = [{"line": str(problem)} for problem in report.problems]
        tx.session.flush()
        tx.audit(
            CHECKED if report.ok else DAMAGED,
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={"events": report.events, "root": report.root, "problems": len(report.problems)},
        )


def _check(row: AuditCheck) -> Check:
    return Check(
        id=row.id,
        state=CheckState(row.state),
        organisation_id=row.organisation_id,
        asked_at=row.asked_at,
        start=row.start,
        stop=row.stop,
        ended_at=row.ended_at,
        size=row.size,
        root=row.root,
        problems=tuple(str(one["line"]) for one in row.problems or ()),
    )
