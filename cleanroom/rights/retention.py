"""Periods of retention: set by the owner, kept by the worker without anybody's doing."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, select

from cleanroom.analyses.removing import Removing
from cleanroom.clock import Clock
from cleanroom.datasets.errors import VersionStatusError
from cleanroom.datasets.models import DatasetRow
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.types import WITHOUT_FILES, Dataset
from cleanroom.db.database import Database, Transaction
from cleanroom.rights.ending import end_of, rule_of
from cleanroom.rights.errors import RetentionFormError
from cleanroom.rights.models import CompactionRow, RetentionRow, RetentionWarningRow
from cleanroom.rights.schedule import schedule
from cleanroom.rights.types import Retention, RetentionRule, Why
from cleanroom.workspaces.service import Workspaces

MAX_DAYS = 36_500
MAX_WARN_DAYS = 365


@dataclass(frozen=True)
class Periods:
    """The service of retention; `keep` opens its own transactions."""

    db: Database
    clock: Clock
    workspaces: Workspaces
    datasets: Datasets
    removing: Removing

    def put(
        self, tx: Transaction, dataset_id: str, rule: RetentionRule, *, organisation_id: str, by: str
    ) -> Retention:
        """Put a rule in force, instead of the one before; a rule that ends nothing keeps data for good.

        Args:
            tx: the caller's transaction.
            dataset_id: a dataset or a base of the organisation.
            rule: what ends when.
            organisation_id: its owner.
            by: who sets it.

        Raises:
            RetentionFormError: a period is out of range, or the dataset does not know when consents were collected.
        """
        self.datasets.lock(tx, dataset_id)
        _check(rule, self.datasets.living(tx, dataset_id), self._today())
        row = tx.session.get(RetentionRow, dataset_id) or RetentionRow(
            dataset_id=dataset_id, organisation_id=organisation_id
        )
        row.version_days, row.retain_until, row.collected_days, row.warn_days = (
            rule.version_days,
            rule.retain_until,
            rule.collected_days,
            rule.warn_days,
        )
        row.set_by, row.set_at = by, self.clock.now()
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "rights.retention_set",
            subject_id=dataset_id,
            organisation_id=organisation_id,
            body={**_facts(rule), "by": by},
        )
        return self._retention(tx, row)

    def of(self, tx: Transaction, dataset_id: str) -> Retention | None:
        """Return the rule of a dataset; None when its owner has set none."""
        row = tx.session.get(RetentionRow, dataset_id)
        return None if row is None else self._retention(tx, row)

    def keep(self) -> None:
        """Warn of what ends soon, delete versions whose period is over, and plan passes over old consents."""
        with self.db.reading() as tx:
            ruled = (
                select(RetentionRow.dataset_id)
                .join(DatasetRow, DatasetRow.id == RetentionRow.dataset_id)
                .where(DatasetRow.deleted_at.is_(None))
                .order_by(RetentionRow.dataset_id)
            )
            dataset_ids = tx.session.scalars(ruled).all()
        for dataset_id in dataset_ids:
            for version_id, due_on in self._due(dataset_id):
                with self.db.transaction() as tx:
                    self._warn(tx, dataset_id, version_id, due_on)
                if due_on <= self._today():
                    self._end(dataset_id, version_id)
            with self.db.transaction() as tx:
                self._plan(tx, dataset_id)

    def _due(self, dataset_id: str) -> list[tuple[str, date]]:
        """Return the versions of which the owner is to be told by now, with the day on which they go."""
        with self.db.reading() as tx:
            row = tx.session.get_one(RetentionRow, dataset_id)
            ends = self._retention(tx, row).ends
            soon = self._today() + timedelta(days=row.warn_days)
            rows = select(RetentionWarningRow).where(RetentionWarningRow.version_id.in_(ends))
            told = {(one.version_id, one.due_on) for one in tx.session.scalars(rows)}
        today = self._today()
        return [
            (version_id, due_on)
            for version_id, due_on in ends.items()
            if due_on <= today or (due_on <= soon and (version_id, due_on) not in told)
        ]

    def _warn(self, tx: Transaction, dataset_id: str, version_id: str, due_on: date) -> None:
        self.datasets.lock(tx, dataset_id)
        if tx.session.get(RetentionWarningRow, (version_id, due_on)) is not None:
            return
        now = self.clock.now()
        tx.session.add(RetentionWarningRow(version_id=version_id, due_on=due_on, warned_at=now))
        tx.session.flush()
        tx.audit(
            "rights.retention_ends",
            subject_id=version_id,
            organisation_id=self._owner(tx, dataset_id),
            body={"dataset_id": dataset_id, "due_on": due_on.isoformat()},
        )

    def _end(self, dataset_id: str, version_id: str) -> None:
        """Delete a version whose period is over; while a question is being answered from it, later."""
        with suppress(VersionStatusError), self.db.transaction() as tx:
            self.datasets.lock(tx, dataset_id)
            retention = self.of(tx, dataset_id)
            # Somebody may have lengthened the period meanwhile, or deleted the version.
            if retention is None or retention.ends.get(version_id, date.max) > self._today():
                return
            if self.datasets.living(tx, dataset_id).current_version_id == version_id:
                self.removing.retire(tx, dataset_id)
            self.removing.delete_version(tx, dataset_id, version_id)
            tx.audit(
                "rights.retention_ended",
                subject_id=version_id,
                organisation_id=self._owner(tx, dataset_id),
                body={"dataset_id": dataset_id, **_facts(retention.rule), "by": retention.set_by},
            )

    def _plan(self, tx: Transaction, dataset_id: str) -> None:
        """Plan the day's pass over old consents: by the calendar alone, whether anybody's are old or not."""
        row = tx.session.get_one(RetentionRow, dataset_id)
        if row.collected_days is None or self._is_destroyed(tx, dataset_id):
            return
        before = datetime.combine(self._today() - timedelta(days=row.collected_days), time(), UTC)
        done = select(func.max(CompactionRow.collected_before)).where(CompactionRow.dataset_id == dataset_id)
        last = tx.session.scalar(done)
        versions = self.datasets.versions(tx, dataset_id)
        if (last is not None and last >= before) or all(one.status in WITHOUT_FILES for one in versions):
            return
        self.datasets.lock(tx, dataset_id)
        schedule(
            tx,
            self.clock,
            dataset_id,
            organisation_id=self._owner(tx, dataset_id),
            why=Why.RETENTION,
            due_at=self.clock.now(),
            collected_before=before,
        )

    def _retention(self, tx: Transaction, row: RetentionRow) -> Retention:
        rule, ends = rule_of(row), {}
        for version in self.datasets.versions(tx, row.dataset_id):
            end = end_of(rule, version.published_at or version.loaded_at)
            if end is not None and version.status not in WITHOUT_FILES:
                ends[version.id] = end
        return Retention(row.dataset_id, rule, row.set_by, row.set_at, ends)

    def _owner(self, tx: Transaction, dataset_id: str) -> str:
        workspace_id = self.datasets.dataset(tx, dataset_id).workspace_id
        return self.workspaces.workspace(tx, workspace_id).organisation_id

    def _is_destroyed(self, tx: Transaction, dataset_id: str) -> bool:
        workspace_id = self.datasets.dataset(tx, dataset_id).workspace_id
        return self.workspaces.workspace(tx, workspace_id).destroyed_at is not None

    def _today(self) -> date:
        return self.clock.now().astimezone(UTC).date()


def _check(rule: RetentionRule, dataset: Dataset, today: date) -> None:
    for days in (rule.version_days, rule.collected_days):
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise RetentionFormError(
                f"A period has 1 to {MAX_DAYS:,} days.", remedy="Give a number of days in that range."
            )
    if not 0 <= rule.warn_days <= MAX_WARN_DAYS:
        raise RetentionFormError(
            f"A warning comes 0 to {MAX_WARN_DAYS} days before.", remedy="Choose a number in that range."
        )
    if rule.retain_until is not None and rule.retain_until < today:
        raise RetentionFormError("The last day is over.", remedy="Delete the dataset, or give a later day.")
    if rule.collected_days is not None and not any(one.collected_at for one in dataset.schema.consents):
        raise RetentionFormError(
            "The dataset does not say when consents were collected.",
            remedy="Declare `collected_at` in its schema, or end whole versions instead.",
        )


def _facts(rule: RetentionRule) -> dict[str, object]:
    return {
        "version_days": rule.version_days,
        "retain_until": rule.retain_until.isoformat() if rule.retain_until else None,
        "collected_days": rule.collected_days,
        "warn_days": rule.warn_days,
    }
