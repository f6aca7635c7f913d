"""How much of a population's privacy budget is given out, under the rule of a dataset: what a gauge shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from cleanroom.datasets.models import DatasetRow
from cleanroom.db.database import Transaction
from cleanroom.grants.budget_view import Bound, bound_of
from cleanroom.grants.service import Grants
from cleanroom.grants.types import AccountKind, Amount
from cleanroom.grants.window import aged
from cleanroom.workspaces.models import WorkspaceRow
from policies.decision import Limits


@dataclass(frozen=True)
class Gauge:
    """One population's total account.

    Attributes:
        population_id: whose people.
        given: held by active grants, spent by ended ones, or spent by public releases.
        cap: of everyone together.
        bound: what everyone colluding could learn about one person if the cap were spent in full.
        window_days: after how many days what was spent stops counting; None when never.
    """

    population_id: str
    given: Amount
    cap: Amount
    bound: Bound
    window_days: int | None

    @property
    def percent(self) -> int:
        """What is given out, of the cap; 100 when it is more."""
        return min(100, round(100 * self.given.rho_micro / self.cap.rho_micro)) if self.cap.rho_micro else 100


def populations_of(tx: Transaction, dataset_ids: Iterable[str]) -> dict[str, str]:
    """Return whom datasets are about, by id, in one statement; those that there are not are missing."""
    rows = (
        select(DatasetRow.id, WorkspaceRow.population_id)
        .join(WorkspaceRow, WorkspaceRow.id == DatasetRow.workspace_id)
        .where(DatasetRow.id.in_(sorted(dataset_ids)))
    )
    return dict(tx.session.execute(rows).all())


def gauge_of(tx: Transaction, grants: Grants, population_id: str, limits: Limits, now: datetime) -> Gauge:
    """Return the gauge of a population.

    Args:
        tx: any transaction.
        grants: the service.
        population_id: whose people.
        limits: of the rule in force.
        now: the instant.
    """
    given = Amount(0)
    for one in grants.accounts(tx, population_id):
        if one.kind in (AccountKind.TOTAL, AccountKind.PUBLIC):
            old = aged(tx, population_id, (one.kind, one.party), limits.window_days, now)
            given = given + one.allocated - old
    cap = Amount(limits.total_rho_micro, limits.total_delta_pico)
    return Gauge(population_id, given, cap, bound_of(cap), limits.window_days)
