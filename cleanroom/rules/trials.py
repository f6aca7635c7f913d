"""Trials: documents that the red team is let loose on before they are put in force, and what it found.

The verdict is never brought from outside. The room's own worker runs the attacks, in a process and in rooms made for
the purpose, and writes down what that process left; so a verdict says what this program found of this document, and
nobody can put one in its place. The attacks themselves are out of reach of every server.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update

from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id
from cleanroom.rules.errors import TooManyTrialsError, TrialReportError, UnknownTrialError, UntriableError
from cleanroom.rules.models import TrialRow
from cleanroom.rules.ownership import require_owner
from cleanroom.rules.types import Attacked, RedTeamVerdict, Trial, TrialState, policy_sha256
from policies.codec import policy_from_data, policy_to_data
from policies.combine import combine, missing_rules
from policies.model import PolicyDocument
from policies.rules import Purposes

MOST_WAITING = 3
"""Documents of one organisation that wait, or are attacked, at a time."""
MOST_STARTS = 3
"""A trial whose workers die this often is given up: it may be what kills them."""
SILENT_SECONDS = 60
"""A worker that has not been heard of for so long is gone, and its trial is taken by another."""
MAX_REPORT_BYTES = 1 << 20
_OPEN = (TrialState.WAITING.value, TrialState.RUNNING.value)


class Trials:
    """The service of trials."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ask(
        self,
        tx: Transaction,
        dataset_id: str,
        document: PolicyDocument,
        *,
        organisation_id: str,
        by: str | None = None,
    ) -> Trial:
        """Let a document be attacked; one that waits, is under way or was done already is not attacked again.

        Args:
            tx: the caller's transaction.
            dataset_id: for which dataset it is meant.
            document: complete, purposes included.
            organisation_id: the dataset's owner.
            by: which person.

        Raises:
            DatasetNotFoundError, NotYourDatasetError: the organisation owns no such dataset.
            UntriableError: nothing can be asked under the document.
            TooManyTrialsError: too many of the organisation wait already.
        """
        require_owner(tx, dataset_id, organisation_id)
        purposes = combine([document]).get(Purposes)
        if missing_rules(document) or not (isinstance(purposes, Purposes) and purposes.allowed):
            raise UntriableError(
                "Under this policy nothing can be asked at all.",
                remedy="Complete it: the six required rules, with at least one purpose.",
            )
        digest = policy_sha256(document)
        known = self.newest(tx, dataset_id, digest)
        if known is not None and known.state is not TrialState.FAILED:
            return known
        waiting = select(func.count()).where(
            TrialRow.organisation_id == organisation_id, TrialRow.state.in_(_OPEN)
        )
        if (tx.session.scalar(waiting) or 0) >= MOST_WAITING:
            raise TooManyTrialsError(
                f"At most {MOST_WAITING} policies of an organisation wait for the red team.",
                remedy="Wait until one is done.",
            )
        now = self._clock.now()
        row = TrialRow(
            id=new_id("try", now),
            dataset_id=dataset_id,
            organisation_id=organisation_id,
            document=policy_to_data(document),
            sha256=digest,
            state=TrialState.WAITING.value,
            asked_by=by,
            asked_at=now,
            starts=0,
            percent=0,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "rules.trial_asked",
            subject_id=row.id,
            organisation_id=organisation_id,
            body={"dataset_id": dataset_id, "sha256": digest, "document": row.document, "by": by},
        )
        return _trial(row)

    def trial(self, tx: Transaction, trial_id: str, *, dataset_id: str, organisation_id: str) -> Trial:
        """Return a trial; raises UnknownTrialError when it is not of this organisation's dataset."""
        row = tx.session.get(TrialRow, trial_id)
        if row is None or (row.dataset_id, row.organisation_id) != (dataset_id, organisation_id):
            raise UnknownTrialError("There is no trial with this id.", remedy="Start it from the policy.")
        return _trial(row)

    def newest(self, tx: Transaction, dataset_id: str, sha256: str) -> Trial | None:
        """Return the newest trial of a document; None when it was never asked for."""
        found = (
            select(TrialRow)
            .where(TrialRow.dataset_id == dataset_id, TrialRow.sha256 == sha256)
            .order_by(TrialRow.asked_at.desc(), TrialRow.id.desc())
            .limit(1)
        )
        row = tx.session.scalar(found)
        return None if row is None else _trial(row)

    def any_open(self, tx: Transaction) -> bool:
        """Tell whether any trial waits or is under way; for whoever would have to lock before taking one."""
        return tx.session.scalar(select(TrialRow.id).where(TrialRow.state.in_(_OPEN)).limit(1)) is not None

    def take(self, tx: Transaction) -> tuple[Trial, str] | None:
        """Take the trial that waits longest, unless one is under way: attacks take a processor for a long time.

        Returns:
            The trial, and the name that its worker goes by; None when there is nothing to do.
        """
        # One worker after the other: whoever comes second sees what the first one took.
        opened = select(TrialRow.id).where(TrialRow.state.in_(_OPEN)).order_by(TrialRow.id)
        tx.session.execute(opened.with_for_update()).all()
        now = self._clock.now()
        silent = now - timedelta(seconds=SILENT_SECONDS)
        self._give_up(tx, silent)
        under_way = select(TrialRow.id).where(
            TrialRow.state == TrialState.RUNNING.value, TrialRow.beat_at > silent
        )
        if tx.session.scalar(under_way.limit(1)) is not None:
            return None
        free = (
            select(TrialRow)
            .where(
                or_(
                    TrialRow.state == TrialState.WAITING.value,
                    (TrialRow.state == TrialState.RUNNING.value) & (TrialRow.beat_at <= silent),
                )
            )
            .order_by(TrialRow.asked_at, TrialRow.id)
            .limit(1)
        )
        row = tx.session.scalar(free)
        if row is None:
            return None
        row.state, row.runner, row.beat_at = TrialState.RUNNING.value, new_id("run", now), now
        row.starts += 1
        row.percent = 0
        tx.session.flush()
        assert row.runner is not None
        return _trial(row), row.runner

    def beat(self, tx: Transaction, trial_id: str, runner: str, *, percent: int) -> bool:
        """Note that a worker is alive and how far it is; returns whether the trial is still its own."""
        noted = (
            update(TrialRow)
            .where(TrialRow.id == trial_id, TrialRow.runner == runner)
            .where(TrialRow.state == TrialState.RUNNING.value)
            .values(beat_at=self._clock.now(), percent=min(max(0, percent), 100))
        )
        return bool(tx.session.execute(noted).rowcount)  # type: ignore[attr-defined]

    def put_back(self, tx: Transaction, trial_id: str, runner: str) -> None:
        """Let another worker take a trial whose worker is told to end; it counts as no start."""
        row = self._own(tx, trial_id, runner)
        if row is not None:
            row.state, row.runner, row.starts = TrialState.WAITING.value, None, row.starts - 1

    def finish(self, tx: Transaction, trial_id: str, runner: str, report: bytes) -> None:
        """Write down what the red team found.

        Args:
            tx: the caller's transaction.
            trial_id: `try_...`.
            runner: who did it; nothing is written for one that was given up.
            report: the JSON report, byte by byte as it was written.

        Raises:
            TrialReportError: it is no report on this document.
        """
        row = self._own(tx, trial_id, runner)
        if row is None:
            return
        found = read_report(report, sha256=row.sha256)
        row.state, row.ended_at, row.percent = TrialState.DONE.value, self._clock.now(), 100
        row.resists, row.grade = found.resists, found.grade
        row.report, row.report_sha256 = report.decode(), found.report_sha256
        self._ended(tx, row)

    def fail(self, tx: Transaction, trial_id: str, runner: str, failure: str) -> None:
        """Give a trial up; it can be asked for again."""
        row = self._own(tx, trial_id, runner)
        if row is not None:
            self._failed(tx, row, failure)

    def _own(self, tx: Transaction, trial_id: str, runner: str) -> TrialRow | None:
        row = tx.session.get(TrialRow, trial_id, with_for_update=True)
        own = row is not None and row.runner == runner and row.state == TrialState.RUNNING.value
        return row if own else None

    def _give_up(self, tx: Transaction, silent: datetime) -> None:
        lost = select(TrialRow).where(
            TrialRow.state == TrialState.RUNNING.value,
            TrialRow.beat_at <= silent,
            TrialRow.starts >= MOST_STARTS,
        )
        for row in tx.session.scalars(lost):
            self._failed(tx, row, "worker_lost")

    def _failed(self, tx: Transaction, row: TrialRow, failure: str) -> None:
        row.state, row.failure, row.ended_at = TrialState.FAILED.value, failure, self._clock.now()
        self._ended(tx, row)

    def _ended(self, tx: Transaction, row: TrialRow) -> None:
        tx.session.flush()
        tx.audit(
            f"rules.trial_{row.state}",
            subject_id=row.id,
            organisation_id=row.organisation_id,
            body={
                "dataset_id": row.dataset_id,
                "sha256": row.sha256,
                "grade": row.grade,
                "resists": row.resists,
                "report_sha256": row.report_sha256,
                "failure": row.failure,
            },
        )


def recorded_verdict(tx: Transaction, dataset_id: str, sha256: str) -> RedTeamVerdict | None:
    """Return the verdict that the room's own red team has reached on a document; None without one."""
    done = (
        select(TrialRow)
        .where(
            TrialRow.dataset_id == dataset_id,
            TrialRow.sha256 == sha256,
            TrialRow.state == TrialState.DONE.value,
        )
        .order_by(TrialRow.ended_at.desc(), TrialRow.id.desc())
        .limit(1)
    )
    row = tx.session.scalar(done)
    return None if row is None else _verdict(row)


def read_report(report: bytes, *, sha256: str) -> RedTeamVerdict:
    """Read the verdict out of a report of `cleanroom policy redteam`.

    Args:
        report: as it was written.
        sha256: of the document that it must be on.

    Raises:
        TrialReportError: it is too long, no report, on another document, or made with a planted fault.
    """
    try:
        if len(report) > MAX_REPORT_BYTES:
            raise ValueError("too long")
        data = json.loads(report)
        grade, conclusive, version, plant = data["grade"], data["conclusive"], data["v"], data["plant"]
        document = policy_from_data(data["policy"]["document"])
        fallen = [one.verdict for one in _attacked(data)]
    except (ValueError, KeyError, TypeError) as error:
        raise TrialReportError(
            f"The red team left no report that can be read ({type(error).__name__}).",
            remedy="Run `cleanroom policy redteam` on the server to see why.",
        ) from None
    says_so = (grade == "falls") is ("falls" in fallen) and grade in ("resists", "falls")
    if version != 1 or plant is not None or policy_sha256(document) != sha256 or not says_so:
        raise TrialReportError("The report is not on this document.", remedy="Start the trial anew.")
    return RedTeamVerdict(
        resists=grade == "resists" and conclusive is True and bool(fallen),
        grade=str(grade),
        policy_sha256=sha256,
        report_sha256=hashlib.sha256(report).hexdigest(),
    )


def _attacked(data: Any) -> tuple[Attacked, ...]:
    return tuple(
        Attacked(
            name=str(one["name"]),
            metric=str(one["metric"]),
            value=float(one["value"]),
            interval95=(float(one["interval95"][0]), float(one["interval95"][1])),
            limit=float(one["limit"]),
            verdict=str(one["verdict"]),
        )
        for one in data["attacks"]
    )


def _verdict(row: TrialRow) -> RedTeamVerdict | None:
    if row.grade is None or row.report_sha256 is None:
        return None
    return RedTeamVerdict(bool(row.resists), row.grade, row.sha256, row.report_sha256)


def _trial(row: TrialRow) -> Trial:
    return Trial(
        id=row.id,
        dataset_id=row.dataset_id,
        document=policy_from_data(row.document),
        sha256=row.sha256,
        state=TrialState(row.state),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        percent=row.percent,
        ended_at=row.ended_at,
        failure=row.failure,
        verdict=_verdict(row),
        attacks=_attacked(json.loads(row.report)) if row.report is not None else (),
    )
