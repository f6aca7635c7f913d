"""Checking a part of the log: its records against their hashes, and these, with the rest's, against the signed head."""

from sqlalchemy import select
from sqlalchemy.exc import NoResultFound

from cleanroom.audit.models import AuditEvent
from cleanroom.audit.reader import AuditReader, node_source
from cleanroom.audit.records import record_fault
from cleanroom.audit.types import Problem, VerifyReport
from cleanroom.audit.verify import MAX_PROBLEMS
from cleanroom.clock import rfc3339
from cleanroom.db.database import Transaction
from crypto.checkpoint import CheckpointError, open_note
from crypto.merkle import leaf_hash
from crypto.spine import Spine, covering

_ROWS_AT_ONCE = 2_000


def verify_range(tx: Transaction, *, verifier_key: str, start: int, stop: int | None = None) -> VerifyReport:
    """Check the events from `start` up to `stop`, in bounded memory; the others count by their stored hashes.

    Args:
        tx: a reading transaction.
        verifier_key: the room's.
        start: the first index.
        stop: the index to stop before; the signed head's size when not given, or when it is larger.

    Returns:
        The report; its `events` are the number of those that were looked at.
    """
    try:
        head = open_note(AuditReader().head(tx), verifier_key)
    except CheckpointError as error:
        return VerifyReport(
            0, "", (Problem("head", "", f"is not signed by this room's key ({error.message})"),)
        )
    stop = head.size if stop is None else min(stop, head.size)
    start = min(max(start, 0), stop)
    source, spine, problems = node_source(tx.session), Spine(), list[Problem]()
    try:
        for level, position in covering(0, start):
            spine.push(source(level, position), level)
        for first in range(start, stop, _ROWS_AT_ONCE):
            _take(tx, spine, first, min(first + _ROWS_AT_ONCE, stop), problems)
        if spine.size == stop:
            for level, position in covering(stop, head.size):
                spine.push(source(level, position), level)
    except NoResultFound:
        problems.append(Problem("node", f"beside records {start} to {stop - 1}", "is missing"))
    if not problems and spine.root() != head.root:
        reason = "do not give the signed root: one of them was changed, or a hash beside them was"
        problems.append(Problem("event", f"{start} to {stop - 1}", reason))
    return VerifyReport(
        events=max(0, spine.size - start) if problems else stop - start,
        root=spine.root().hex(),
        problems=tuple(problems[:MAX_PROBLEMS]),
    )


def _take(tx: Transaction, spine: Spine, first: int, last: int, problems: list[Problem]) -> None:
    rows = select(
        AuditEvent.index,
        AuditEvent.record,
        AuditEvent.leaf_hash,
        AuditEvent.kind,
        AuditEvent.organisation_id,
        AuditEvent.subject_id,
        AuditEvent.recorded_at,
        AuditEvent.dataset_id,
    ).where(AuditEvent.index >= first, AuditEvent.index < last)
    wanted = first
    for index, record, stored, kind, organisation_id, subject_id, at, dataset_id in tx.session.execute(
        rows.order_by(AuditEvent.index)
    ):
        if index != wanted:
            break
        columns = {"kind": kind, "organisation": organisation_id, "subject": subject_id}
        fault, _ = record_fault(record, columns=columns, recorded_at=rfc3339(at), dataset_id=dataset_id)
        leaf = leaf_hash(record)
        if leaf != stored:
            fault = "the record does not give its leaf hash: one of them was changed"
        if fault:
            problems.append(Problem("event", str(index), fault))
        spine.push(leaf)
        wanted += 1
    if wanted < last:
        problems.append(Problem("event", f"{wanted} to {last - 1}", "the first of them is missing"))
        raise NoResultFound
