"""The budget ledger: per dataset and adversary, what was spent and what it lets anyone learn, as time went by."""

from fastapi import APIRouter, Response

from cleanroom.grants import register
from cleanroom.marketplace.months import Month
from cleanroom.oversight.adversaries import adversaries
from provider_portal.compliance.looking import Owning
from provider_portal.lists import budgets_page
from provider_portal.own import owned
from provider_portal.time_plot import time_plot
from provider_portal.ui import page

router = APIRouter(prefix="/compliance/budgets")
MONTHS = 12
MOST_LINES = 4
"""More lines in one chart cannot be told apart; the table has them all."""


@router.get("")
def list_budgets(visit: Owning) -> Response:
    """Show every dataset with what was spent of it, and what everyone colluding could learn from that."""
    return budgets_page(visit, "compliance/budgets.html")


@router.get("/{dataset_id}")
def show_budget(visit: Owning, dataset_id: str) -> Response:
    """Show who has spent what of a dataset's budget, and (epsilon, delta) month by month."""
    zone = visit.room.marketplace.usage.zone
    months = Month.of(visit.room.clock.now(), zone).last(MONTHS)
    edges = [*(month.starts_at(zone) for month in months), months[-1].ends_at(zone)]
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        found = adversaries(tx, dataset_id, edges)
        releases = register.public_releases(tx, visit.room.grants.population(tx, dataset_id))
    # A chart begins with the first month that has anything to show.
    spent = [any(one.over_time[at].amount.rho_micro for one in found) for at in range(len(months))]
    first = spent.index(True) if True in spent else len(months)
    shown = found[:MOST_LINES]
    return page(
        visit,
        "compliance/budget.html",
        dataset=dataset,
        found=found,
        months=months[first:],
        first=first,
        releases=releases,
        plot=time_plot([[bound.epsilon for bound in one.over_time[first:]] for one in shown]),
        shown=shown,
    )
