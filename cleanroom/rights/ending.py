"""What ends when: the day on which a version's period is over, and the periods that come due next."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select

from cleanroom.datasets.models import DatasetRow, DatasetVersionRow
from cleanroom.datasets.types import WITHOUT_FILES
from cleanroom.db.database import Transaction
from cleanroom.rights.models import RetentionRow
from cleanroom.rights.types import RetentionRule
from cleanroom.workspaces.models import WorkspaceRow


@dataclass(frozen=True)
class Ending:
    """A dataset or base with a period of retention, and what ends of it next.

    Attributes:
        dataset_id: which.
        organisation_id: whose.
        rule: how long its data are kept.
        set_at: since when that is so.
        next_on: the day on which a version goes next; None when none of those that it has is to go.
        versions: numbers of the versions that go on that day.
        later: how many versions go after it.
    """

    dataset_id: str
    organisation_id: str
    rule: RetentionRule
    set_at: datetime
    next_on: date | None
    versions: tuple[int, ...]
    later: int

    @property
    def told_on(self) -> date | None:
        """The day from which on the owner is told of it; None when nothing is to go."""
        return None if self.next_on is None else self.next_on - timedelta(days=self.rule.warn_days)


def end_of(rule: RetentionRule, since: datetime | None) -> date | None:
    """Return the day on which a version goes; None when its rule does not end it.

    Args:
        rule: of its dataset.
        since: when it was published, or loaded if it never was; None while it is being loaded.
    """
    ends = []
    if rule.version_days is not None and since is not None:
        ends.append(since.astimezone(UTC).date() + timedelta(days=rule.version_days))
    if rule.retain_until is not None:
        # The last day still counts.
        ends.append(rule.retain_until + timedelta(days=1))
    return min(ends, default=None)


def endings(
    tx: Transaction, organisation_id: str | None, *, offset: int = 0, limit: int = 20
) -> tuple[tuple[Ending, ...], int]:
    """Return a page of the tables that have a period, what ends first before the rest, and how many there are.

    Args:
        tx: any transaction.
        organisation_id: whose; None for all of the room, for its operator.
        offset: how many to pass over.
        limit: how many at most.
    """
    ruled = (
        select(RetentionRow)
        .join(DatasetRow, DatasetRow.id == RetentionRow.dataset_id)
        .where(DatasetRow.deleted_at.is_(None))
    )
    held = (
        select(
            DatasetVersionRow.dataset_id,
            DatasetVersionRow.number,
            func.coalesce(DatasetVersionRow.published_at, DatasetVersionRow.loaded_at),
        )
        .join(RetentionRow, RetentionRow.dataset_id == DatasetVersionRow.dataset_id)
        .where(DatasetVersionRow.status.not_in(WITHOUT_FILES))
        .order_by(DatasetVersionRow.number)
    )
    if organisation_id is not None:
        ruled = ruled.where(RetentionRow.organisation_id == organisation_id)
        held = held.where(RetentionRow.organisation_id == organisation_id)
    versions: dict[str, list[tuple[int, datetime | None]]] = defaultdict(list)
    for dataset_id, number, since in tx.session.execute(held):
        versions[dataset_id].append((number, since))
    found = [_ending(row, versions[row.dataset_id]) for row in tx.session.scalars(ruled)]
    # Days are counted here, as the two databases count them differently.
    found.sort(key=lambda one: (one.next_on or date.max, one.dataset_id))
    return tuple(found[offset : offset + limit]), len(found)


def without_period(tx: Transaction, organisation_id: str | None) -> int:
    """Count the tables of people that nobody has set a period for.

    Args:
        tx: any transaction.
        organisation_id: whose; None for everybody's.
    """
    rows = (
        select(func.count())
        .select_from(DatasetRow)
        .outerjoin(RetentionRow, RetentionRow.dataset_id == DatasetRow.id)
        .where(DatasetRow.deleted_at.is_(None), RetentionRow.dataset_id.is_(None))
    )
    if organisation_id is not None:
        rows = rows.join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        rows = rows.where(WorkspaceRow.organisation_id == organisation_id)
    return int(tx.session.scalar(rows) or 0)


def rule_of(row: RetentionRow) -> RetentionRule:
    """Return a row's rule as a value."""
    return RetentionRule(row.version_days, row.retain_until, row.collected_days, row.warn_days)


def _ending(row: RetentionRow, versions: list[tuple[int, datetime | None]]) -> Ending:
    rule = rule_of(row)
    by_number = {number: end_of(rule, since) for number, since in versions}
    ends = {number: end for number, end in by_number.items() if end is not None}
    next_on = min(ends.values(), default=None)
    first = tuple(number for number, end in ends.items() if end == next_on)
    return Ending(
        row.dataset_id, row.organisation_id, rule, row.set_at, next_on, first, len(ends) - len(first)
    )
