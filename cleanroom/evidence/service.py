"""Bundles that are asked for and made by a worker; their files lie in the room's home for some weeks."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from cleanroom.audit.log import AuditLog
from cleanroom.clock import Clock
from cleanroom.db.database import Database, Transaction
from cleanroom.errors import CleanroomError
from cleanroom.evidence.errors import BundlesWaitError, UnknownBundleError
from cleanroom.evidence.models import EvidenceBundleRow
from cleanroom.evidence.types import (
    ASKED,
    FAILED,
    READY,
    REMOVED,
    Bundle,
    BundleState,
    Made,
    Wanted,
    wanted_from_data,
)
from cleanroom.evidence.writing import Order, write_bundle
from cleanroom.ids import new_id
from cleanroom.storage.leases import Leases
from crypto.durable import discard_partials

KEPT = timedelta(days=30)
MAX_QUEUED = 5
"""Bundles that an organisation may have waiting; each may be as large as the log."""


class Bundles:
    """The room's bundles of evidence."""

    def __init__(self, db: Database, log: AuditLog, clock: Clock, directory: Path, leases: Leases) -> None:
        self._db = db
        self._log = log
        self._clock = clock
        self._directory = directory
        self._leases = leases

    def ask(
        self, tx: Transaction, wanted: Wanted, *, organisation_id: str, by: str, confirmed: str | None = None
    ) -> Bundle:
        """Ask for a bundle; a worker makes it.

        Whoever calls has made sure that the organisation may see what is wanted.

        Args:
            tx: the caller's transaction.
            wanted: which events.
            organisation_id: who asks.
            by: id of the user who asks.
            confirmed: id of the ask that a second person confirmed.

        Raises:
            BundlesWaitError: too many wait.
        """
        waiting = select(func.count()).where(
            EvidenceBundleRow.organisation_id == organisation_id,
            EvidenceBundleRow.state == BundleState.QUEUED.value,
        )
        if (tx.session.scalar(waiting) or 0) >= MAX_QUEUED:
            raise BundlesWaitError(
                f"At most {MAX_QUEUED} bundles of an organisation wait at a time.",
                remedy="Wait until one is made.",
            )
        now = self._clock.now()
        row = EvidenceBundleRow(
            id=new_id("eb", now),
            state=BundleState.QUEUED.value,
            organisation_id=organisation_id,
            asked_by=by,
            confirmed=confirmed,
            asked_at=now,
            wanted=wanted.as_data(),
            progress=0,
            ended_at=None,
            failure=None,
            size=None,
            events=None,
            bytes=None,
            sha256=None,
        )
        tx.session.add(row)
        tx.session.flush()
        body = {"wanted": wanted.as_data(), "by": by, "confirmed": confirmed}
        tx.audit(ASKED, subject_id=row.id, organisation_id=organisation_id, body=body)
        return _bundle(row)

    def bundle(self, tx: Transaction, bundle_id: str, *, organisation_id: str) -> Bundle:
        """Return a bundle that an organisation asked for; raises UnknownBundleError."""
        row = tx.session.get(EvidenceBundleRow, bundle_id)
        if row is None or row.organisation_id != organisation_id:
            raise UnknownBundleError("There is no bundle with this id.", remedy="List yours.")
        return _bundle(row)

    def list(
        self, tx: Transaction, *, organisation_id: str, before: str | None = None, limit: int = 20
    ) -> Sequence[Bundle]:
        """Return the bundles that an organisation asked for, newest first; `before` is an id to go on from."""
        rows = select(EvidenceBundleRow).where(EvidenceBundleRow.organisation_id == organisation_id)
        if before is not None:
            rows = rows.where(EvidenceBundleRow.id < before)
        return [
            _bundle(row)
            for row in tx.session.scalars(rows.order_by(EvidenceBundleRow.id.desc()).limit(limit))
        ]

    def file(self, tx: Transaction, bundle_id: str, *, organisation_id: str) -> Path:
        """Return the file of a bundle that is ready; raises UnknownBundleError."""
        found = self.bundle(tx, bundle_id, organisation_id=organisation_id)
        path = self._path(bundle_id)
        if found.state is not BundleState.READY or not path.is_file():
            raise UnknownBundleError("The bundle is not there.", remedy="Wait for it, or ask for it again.")
        return path

    def make_next(self) -> bool:
        """Make the oldest bundle that waits; returns whether there was one.

        A process that is killed leaves it waiting: what it has written is cleared away, and it is made anew.
        """
        with self._db.reading() as tx:
            queued = select(EvidenceBundleRow.id).where(EvidenceBundleRow.state == BundleState.QUEUED.value)
            waiting = tx.session.scalars(queued.order_by(EvidenceBundleRow.id)).all()
        for bundle_id in waiting:
            with self._leases.try_hold(bundle_id) as held:
                if held and self._make(bundle_id):
                    return True
        return False

    def _make(self, bundle_id: str) -> bool:
        with self._db.reading() as tx:
            row = tx.session.get(EvidenceBundleRow, bundle_id)
            # Another worker may have made it before this one held the lease.
            if row is None or row.state != BundleState.QUEUED.value:
                return False
            order = Order(
                bundle_id, row.organisation_id, row.asked_by, row.confirmed, wanted_from_data(row.wanted)
            )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(bundle_id)
        discard_partials(path)
        try:
            made = write_bundle(
                self._db,
                self._log,
                self._clock,
                path,
                order,
                progress=lambda count: self._progress(bundle_id, count),
            )
        except (OSError, CleanroomError) as error:
            self._end(bundle_id, None, getattr(error, "code", type(error).__name__))
        else:
            self._end(bundle_id, made, None)
        return True

    def sweep(self) -> None:
        """Remove the files of bundles that were made long ago."""
        with self._db.transaction() as tx:
            old = select(EvidenceBundleRow).where(
                EvidenceBundleRow.state == BundleState.READY.value,
                EvidenceBundleRow.ended_at < self._clock.now() - KEPT,
            )
            rows = tx.session.scalars(old.with_for_update()).all()
            for row in rows:
                row.state = BundleState.REMOVED.value
                tx.audit(REMOVED, subject_id=row.id, organisation_id=row.organisation_id)
        with self._db.reading() as tx:
            kept = {
                f"{one}.zip"
                for one in tx.session.scalars(
                    select(EvidenceBundleRow.id).where(
                        EvidenceBundleRow.state.in_((BundleState.READY.value, BundleState.QUEUED.value))
                    )
                )
            }
        # After the commit, and whatever a crash has left: a file that no row names.
        for path in self._directory.glob("eb_*.zip"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _path(self, bundle_id: str) -> Path:
        return self._directory / f"{bundle_id}.zip"

    def _progress(self, bundle_id: str, count: int) -> None:
        with self._db.transaction() as tx:
            tx.session.execute(
                update(EvidenceBundleRow).where(EvidenceBundleRow.id == bundle_id).values(progress=count)
            )

    def _end(self, bundle_id: str, made: Made | None, failure: str | None) -> None:
        with self._db.transaction() as tx:
            row = tx.session.get(EvidenceBundleRow, bundle_id, with_for_update=True, populate_existing=True)
            if row is None or row.state != BundleState.QUEUED.value:
                return
            row.ended_at = self._clock.now()
            if made is None:
                row.state, row.failure = BundleState.FAILED.value, failure
                body: dict[str, object] = {"failure": failure}
            else:
                row.state, row.progress = BundleState.READY.value, made.events
                row.size, row.events, row.bytes, row.sha256 = made.size, made.events, made.bytes, made.sha256
                body = {"sha256": made.sha256, "bytes": made.bytes, "manifest_sha256": made.manifest_sha256}
            tx.session.flush()
            kind = FAILED if made is None else READY
            tx.audit(kind, subject_id=row.id, organisation_id=row.organisation_id, body=body)


def _bundle(row: EvidenceBundleRow) -> Bundle:
    return Bundle(
        id=row.id,
        state=BundleState(row.state),
        organisation_id=row.organisation_id,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        wanted=wanted_from_data(row.wanted),
        progress=row.progress,
        ended_at=row.ended_at,
        failure=row.failure,
        size=row.size,
        events=row.events,
        bytes=row.bytes,
        sha256=row.sha256,
    )
