"""Recomputing the whole log from its records, in one pass and bounded memory, with the public key alone."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from cleanroom.audit.reading import open_log, sqlite_path, stream
from cleanroom.audit.records import record_fault
from cleanroom.audit.types import Problem, VerifyReport
from cleanroom.clock import rfc3339
from crypto.checkpoint import Checkpoint, CheckpointError, open_note, parse_verifier_key
from crypto.merkle import EMPTY_ROOT, leaf_hash, node_hash

MAX_PROBLEMS = 100
# Else a row with a huge index would make the walk as long as the number that somebody wrote there.
_MAX_GAP = 1_000_000

_HEAD = "SELECT size, note, peaks FROM audit_head"
_EVENTS = (
    'SELECT "index", record, leaf_hash, kind, organisation_id, subject_id, recorded_at, dataset_id '
    'FROM audit_events ORDER BY "index"'
)
_NODES = "SELECT closed_by, level, hash FROM audit_nodes ORDER BY closed_by, level"
_CHECKPOINTS = "SELECT size, note FROM audit_checkpoints ORDER BY size"


def verify_log(database: str | Path, *, verifier_key: str, against: Sequence[str] = ()) -> VerifyReport:
    """Check that a log is whole, unchanged and signed, and that it continues older checkpoints.

    Every row is checked against the rows below it (record, leaf, node, root), and roots against signatures. A
    damaged row is reported once: what stands above it is checked against its stored value.

    Args:
        database: the path of the SQLite file, or SQLAlchemy's URL of either database; it is only read.
        verifier_key: the room's public verifier key, as text.
        against: checkpoints kept outside the room; without any a room rolled back as a whole looks intact.

    Returns:
        The report; `ok` when nothing is damaged.

    Raises:
        CheckpointError: the verifier key is malformed.
        LogUnreadableError: the database's URL is malformed or its server cannot be reached.
    """
    origin = parse_verifier_key(verifier_key).name
    path = database if isinstance(database, Path) else sqlite_path(database)
    if path is not None and not path.is_file():
        return VerifyReport(0, "", (Problem("database", path.name, "the file is missing"),))
    with open_log(database) as connection:
        walk = _Walk(connection, _Signer(origin, verifier_key))
        try:
            walk.run(against)
        except DBAPIError as error:
            # The driver's text names the file format's fault, never a value.
            walk.report("database", f"after record {walk.size - 1}", f"cannot be read further ({error.orig})")
    root = walk.root()
    return VerifyReport(
        events=walk.size,
        root=root.hex() if root else "",
        problems=tuple(walk.problems),
        file_roots=walk.file_roots,
    )


@dataclass(frozen=True)
class _Signer:
    origin: str
    verifier_key: str

    def open(self, note: object) -> Checkpoint | str:
        """Return the checkpoint, or why it is none of this room."""
        if not isinstance(note, str):
            return "is not text"
        try:
            checkpoint = open_note(note, self.verifier_key)
        except CheckpointError as error:
            return f"is not signed by this room's key ({error.message})"
        if checkpoint.origin != self.origin:
            return "belongs to another room"
        return checkpoint


class _Stop(Exception):  # noqa: N818 - not an error: enough problems were found
    """Ends the walk."""


class _Walk:
    """One pass over events, nodes and checkpoints, each in the order in which the events close them."""

    def __init__(self, connection: Connection, signer: _Signer) -> None:
        self.size = 0
        self.problems: list[Problem] = []
        self.file_roots: dict[str, str] = {}
        self._connection = connection
        self._signer = signer
        self._peaks: list[bytes | None] = []
        self._signed_size = 0
        self._nodes: Iterator[Any] = iter(())
        self._node: Any = None
        self._checkpoints: Iterator[Any] = iter(())
        self._checkpoint: Any = None
        self._older: deque[Checkpoint] = deque()
        self._stored_peaks: object = None

    def report(self, what: str, place: str, reason: str) -> None:
        self.problems.append(Problem(what, place, reason))

    def root(self) -> bytes | None:
        """Return the root over what was walked; None when an event is missing under it."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = None if peak is None or root is None else node_hash(peak, root)
        return root

    def run(self, against: Sequence[str]) -> None:
        head = self._open_head()
        opened = [one for note in against if (one := self._open_against(note)) is not None]
        self._older = deque(sorted(opened, key=lambda one: one.size))
        with (
            suppress(_Stop),
            closing(stream(self._connection, _NODES)) as self._nodes,
            closing(stream(self._connection, _CHECKPOINTS)) as self._checkpoints,
            closing(stream(self._connection, _EVENTS)) as events,
        ):
            self._node = next(self._nodes, None)
            self._checkpoint = next(self._checkpoints, None)
            self._reached()
            for row in events:
                if head is not None and row[0] >= head.size:
                    self.report("event", str(row[0]), f"stands beyond the signed head of {head.size} events")
                elif not self._fill_gap(row[0]):
                    break
                else:
                    self._take_event(row)
                    self._reached()
                self._stop_when_enough()
            self._finish(head)

    def _open_head(self) -> Checkpoint | None:
        rows = self._connection.exec_driver_sql(_HEAD).all()
        if len(rows) > 1:
            self.report("head", "", "there is more than one")
            return None
        if not rows:
            if self._connection.exec_driver_sql('SELECT "index" FROM audit_events LIMIT 1').first():
                self.report("head", "", "is missing: nothing signs the newest events")
            return None
        head = self._signer.open(rows[0][1])
        if isinstance(head, str):
            self.report("head", "", head)
            return None
        self._stored_peaks = rows[0][2]
        if head.size != rows[0][0]:
            self.report("head", f"of {rows[0][0]} events", f"its signed text counts {head.size}")
        return head

    def _open_against(self, note: str) -> Checkpoint | None:
        older = self._signer.open(note)
        if isinstance(older, str):
            self.report("against", "the given checkpoint", older)
            return None
        return older

    def _fill_gap(self, index: int) -> bool:
        missing = index - self.size
        if missing < 0:
            self.report("event", str(index), "stands in the log twice")
            return False
        if missing:
            self.report("event", _range(self.size, index - 1), "is missing")
        if missing > _MAX_GAP:
            return False
        for _ in range(missing):
            self._push(None)
        return True

    def _take_event(self, row: Any) -> None:
        index, record, stored, kind, organisation_id, subject_id, recorded_at, dataset_id = row
        columns = {"kind": kind, "organisation": organisation_id, "subject": subject_id}
        fault, file_roots = "the record is not bytes", dict[str, str]()
        if isinstance(record, bytes):
            fault, file_roots = record_fault(
                record, columns=columns, recorded_at=_instant(recorded_at), dataset_id=dataset_id
            )
            if leaf_hash(record) != stored:
                fault = "the record does not give its leaf hash: one of them was changed"
        if fault:
            self.report("event", str(index), fault)
        else:
            self.file_roots.update(file_roots)
        self._push(stored if isinstance(stored, bytes) else None)

    def _push(self, leaf: bytes | None) -> None:
        node, level, position = leaf, 0, self.size
        while position & 1:
            left = self._peaks.pop()
            level, position = level + 1, position >> 1
            computed = None if left is None or node is None else node_hash(left, node)
            node = self._stored_node(level, computed)
        self._peaks.append(node)
        self.size += 1

    def _stored_node(self, level: int, computed: bytes | None) -> bytes | None:
        while self._node is not None and (self._node[0], self._node[1]) < (self.size, level):
            self._report_surplus_node()
        records = _range(self.size + 1 - (1 << level), self.size)
        if self._node is None or (self._node[0], self._node[1]) != (self.size, level):
            self.report("node", f"over records {records}", "is missing")
            return computed
        stored = self._node[2]
        self._node = next(self._nodes, None)
        if computed is not None and stored != computed:
            reason = (
                "does not follow from the hashes below it: a record was changed or moved, or the node was"
            )
            self.report("node", f"over records {records}", reason)
        return stored if isinstance(stored, bytes) else computed

    def _report_surplus_node(self) -> None:
        self.report(
            "node", f"level {self._node[1]} closed by record {self._node[0]}", "is no node of this log"
        )
        self._node = next(self._nodes, None)
        self._stop_when_enough()

    def _reached(self) -> None:
        while self._checkpoint is not None and self._checkpoint[0] <= self.size:
            self._check_checkpoint()
        while self._older and self._older[0].size <= self.size:
            older = self._older.popleft()
            if self._differs(older):
                reason = (
                    "the log was rewritten: its first events do not give the root of the given checkpoint"
                )
                self.report("against", f"size {older.size}", reason)

    def _check_checkpoint(self) -> None:
        size, note = self._checkpoint
        self._checkpoint = next(self._checkpoints, None)
        opened = self._signer.open(note)
        if isinstance(opened, str):
            self.report("checkpoint", f"of size {size}", opened)
        elif opened.size != size:
            self.report("checkpoint", f"of size {size}", f"its signed text counts {opened.size} events")
        elif self._differs(opened):
            self.report("checkpoint", f"of size {size}", self._unsigned_change(size))
        else:
            self._signed_size = size
        self._stop_when_enough()

    def _has_peaks(self, stored: object) -> bool:
        # A log that was last written to before these were kept has none.
        known = [peak for peak in self._peaks if peak is not None]
        return stored is None or len(known) < len(self._peaks) or stored == b"".join(known)

    def _differs(self, checkpoint: Checkpoint) -> bool:
        root = self.root()
        return root is not None and root != checkpoint.root

    def _unsigned_change(self, size: int) -> str:
        return (
            f"records {_range(self._signed_size, size - 1)} do not give its signed root: they were rewritten"
        )

    def _finish(self, head: Checkpoint | None) -> None:
        while self._node is not None:
            self._report_surplus_node()
        while self._checkpoint is not None:
            reason = f"the log was cut: it ends after {self.size} events"
            self.report("checkpoint", f"of size {self._checkpoint[0]}", reason)
            self._checkpoint = next(self._checkpoints, None)
            self._stop_when_enough()
        if head is not None and head.size > self.size:
            missing = _range(self.size, head.size - 1)
            self.report("event", missing, f"is missing: the log was cut, its signed head counts {head.size}")
        elif head is not None and head.size == self.size and self._differs(head):
            self.report("head", f"of {head.size} events", self._unsigned_change(head.size))
        elif head is not None and head.size == self.size and not self._has_peaks(self._stored_peaks):
            self.report(
                "head", f"of {head.size} events", "the hashes of the tree's peaks beside it are not its"
            )
        for older in self._older:
            reason = (
                f"the log was rolled back: it holds {self.size} events, the given checkpoint {older.size}"
            )
            self.report("against", f"size {older.size}", reason)

    def _stop_when_enough(self) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _instant(value: object) -> str:
    """Write a stored instant as records do, whatever the driver gives; garbage stays unlike any instant."""
    if isinstance(value, datetime):
        return rfc3339(value)
    return f"{value}".replace(" ", "T") + "Z"
