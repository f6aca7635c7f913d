"""Asking for rotations, and doing them one at a time: by a worker, or at once by a command."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import select

from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.ids import new_id
from cleanroom.ingestion.errors import RotationError
from cleanroom.ingestion.metering import Tell, now_and_then
from cleanroom.ingestion.rotation import Rotation
from cleanroom.rekeying.errors import RotationStateError, RotationUnderWayError, UnknownRotationError
from cleanroom.rekeying.models import KeyRotationRow
from cleanroom.rekeying.rows import rotation_of
from cleanroom.rekeying.types import OPEN, KeyRotation, RotationState, What
from cleanroom.storage.leases import Leases
from cleanroom.workspaces.errors import UnknownWorkspaceError, WorkspaceDestroyedError
from cleanroom.workspaces.models import WorkspaceRow
from cleanroom.workspaces.service import Workspaces

OPERATOR = "operator"
"""Who asks on the server's own machine."""
MAX_FAILURES = 5
RETRY_AFTER = timedelta(seconds=30)
_OPEN = [state.value for state in OPEN]


@dataclass(frozen=True)
class Rekeying:
    """The service of the rekeying slice."""

    db: Database
    clock: Clock
    workspaces: Workspaces
    rotation: Rotation
    leases: Leases

    def ask(
        self, tx: Transaction, workspace_id: str, what: What, *, organisation_id: str | None = None, by: str
    ) -> KeyRotation:
        """Ask for a rotation; a worker does it.

        Args:
            tx: the caller's transaction.
            workspace_id: whose keys.
            what: which key.
            organisation_id: whose the workspace has to be; None for anybody's.
            by: the user's id, or `OPERATOR`.

        Raises:
            UnknownWorkspaceError: there is no such workspace; another's is answered the same.
            WorkspaceDestroyedError: its keys were destroyed.
            RotationUnderWayError: another rotation of it has not ended.
        """
        # Held, so that two who ask at once do not both find none.
        row = tx.session.get(WorkspaceRow, workspace_id, with_for_update=True, populate_existing=True)
        if row is None or organisation_id not in (None, row.organisation_id):
            raise UnknownWorkspaceError("There is no workspace with this id.", remedy="List your workspaces.")
        self.workspaces.kek(tx, workspace_id)
        others = select(KeyRotationRow.id).where(
            KeyRotationRow.workspace_id == workspace_id, KeyRotationRow.state.in_(_OPEN)
        )
        if tx.session.scalars(others.limit(1)).first() is not None:
            raise RotationUnderWayError(
                "A rotation of this workspace's keys has not ended.", remedy="Wait for its end."
            )
        now = self.clock.now()
        made = KeyRotationRow(
            id=new_id("kr", now),
            organisation_id=row.organisation_id,
            workspace_id=workspace_id,
            what=what.value,
            state=RotationState.WAITING.value,
            asked_by=by,
            asked_at=now,
            due_at=now,
            started_at=None,
            ended_at=None,
            done=0,
            total=0,
            failures=0,
            failure=None,
        )
        tx.session.add(made)
        tx.session.flush()
        _log(tx, made, "asked", workspace_id=workspace_id, what=made.what, by=by)
        return rotation_of(made)

    def withdraw(self, tx: Transaction, rotation_id: str, *, organisation_id: str, by: str) -> KeyRotation:
        """Take a rotation back that has not begun.

        Raises:
            UnknownRotationError: the organisation has no such rotation.
            RotationStateError: it has begun: a key that is half replaced is only ever replaced in full.
        """
        row = _row(tx, rotation_id)
        if row is None or row.organisation_id != organisation_id:
            raise UnknownRotationError("There is no rotation with this id.", remedy="List your keys.")
        if row.state != RotationState.WAITING or row.started_at is not None:
            raise RotationStateError("The rotation has begun, or ended.", remedy="Wait for its end.")
        self._end(tx, row, RotationState.WITHDRAWN)
        _log(tx, row, "withdrawn", by=by)
        return rotation_of(row)

    def work(self) -> bool:
        """Do one rotation that is due, if there is one; returns whether there was."""
        due = (
            select(KeyRotationRow.id)
            .where(KeyRotationRow.state.in_(_OPEN), KeyRotationRow.due_at <= self.clock.now())
            .order_by(KeyRotationRow.due_at, KeyRotationRow.id)
        )
        with self.db.reading() as tx:
            waiting = tx.session.scalars(due.limit(20)).all()
        return any(self.run(rotation_id) is not None for rotation_id in waiting)

    def run(self, rotation_id: str, *, watch: Tell | None = None) -> KeyRotation | None:
        """Do a rotation, from its beginning or again after a crash.

        Args:
            rotation_id: one that was asked for.
            watch: is told how much is done, of how much.

        Returns:
            What became of it; None when somebody else is at it, or it has ended.

        Raises:
            Exception: whatever it met; it is tried again later, and given up after several times.
        """
        with self.leases.try_hold(rotation_id) as held:
            row = self._begin(rotation_id) if held else None
            if row is None:
                return None
            try:
                self._rotate(row, watch)
            except (RotationError, WorkspaceDestroyedError) as error:
                self._failed(rotation_id, error.code, final=isinstance(error, WorkspaceDestroyedError))
            except Exception as error:
                with suppress(Exception):
                    self._failed(rotation_id, getattr(error, "code", type(error).__name__), counts=True)
                raise
            with self.db.reading() as tx:
                return rotation_of(tx.session.get_one(KeyRotationRow, rotation_id))

    def _begin(self, rotation_id: str) -> KeyRotation | None:
        with self.db.transaction() as tx:
            row = _row(tx, rotation_id)
            if row is None or row.state not in _OPEN:
                return None
            # A running one that nobody holds was killed: it begins again.
            row.state, row.started_at, row.done, row.total = (
                RotationState.RUNNING.value,
                self.clock.now(),
                0,
                0,
            )
            tx.session.flush()
            return rotation_of(row)

    def _rotate(self, asked: KeyRotation, watch: Tell | None) -> None:
        tell = now_and_then(partial(self._note, asked.id), watch)

        def finish(tx: Transaction) -> None:
            row = tx.session.get_one(KeyRotationRow, asked.id, with_for_update=True, populate_existing=True)
            row.done, row.failure = row.total, None
            self._end(tx, row, RotationState.DONE)
            _log(tx, row, "done", workspace_id=row.workspace_id, what=row.what)

        if asked.what is What.TOKENS:
            self.rotation.rotate_token_key(asked.workspace_id, tell=tell, finish=finish)
        else:
            self.rotation.rotate_kek(asked.workspace_id, tell=tell, finish=finish)

    def _note(self, rotation_id: str, done: int, total: int) -> None:
        with self.db.transaction() as tx:
            row = tx.session.get_one(KeyRotationRow, rotation_id)
            row.done, row.total = done, total

    def _failed(self, rotation_id: str, code: str, *, counts: bool = False, final: bool = False) -> None:
        with self.db.transaction() as tx:
            row = _row(tx, rotation_id)
            if row is None or row.state != RotationState.RUNNING:
                return
            row.failures += counts
            row.failure = code[:80]
            if final or row.failures >= MAX_FAILURES:
                self._end(tx, row, RotationState.FAILED)
                _log(tx, row, "failed", workspace_id=row.workspace_id, what=row.what, failure=row.failure)
                return
            row.state, row.due_at = RotationState.WAITING.value, self.clock.now() + RETRY_AFTER
            tx.session.flush()

    def _end(self, tx: Transaction, row: KeyRotationRow, state: RotationState) -> None:
        row.state, row.ended_at = state.value, self.clock.now()
        tx.session.flush()


def _row(tx: Transaction, rotation_id: str) -> KeyRotationRow | None:
    return tx.session.get(KeyRotationRow, rotation_id, with_for_update=True, populate_existing=True)


def _log(tx: Transaction, row: KeyRotationRow, happened: str, **facts: object) -> None:
    tx.audit(f"rekeying.{happened}", subject_id=row.id, organisation_id=row.organisation_id, body=facts)
