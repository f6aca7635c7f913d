"""The privacy budget: what each dataset has given out, and its ledger, grant by grant and month by month."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import BUDGETS_READ
from cleanroom.datasets.types import DatasetKind
from cleanroom.grants import register
from cleanroom.grants.budget_view import Bound, bound_of
from cleanroom.grants.gauge import gauge_of
from cleanroom.grants.types import Amount
from cleanroom.marketplace.months import Month
from policies.combine import combine, limits_of
from provider_portal.lists import budgets_page
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/budgets")
Reading = Annotated[Visit, Depends(needs(BUDGETS_READ, kinds=PROVIDERS))]
_MONTHS = 12


@dataclass(frozen=True)
class Spent:
    """What questions about a dataset spent in a month, and up to its end.

    Attributes:
        month: which.
        amount: in it.
        so_far: what the questions up to its end, all together, let anyone learn at most.
    """

    month: Month
    amount: Amount
    so_far: Bound


@router.get("")
def list_budgets(visit: Reading) -> Response:
    """Show every dataset with what it has given out and what was spent of it."""
    return budgets_page(visit, "cabinet/budgets.html")


@router.get("/{dataset_id}")
def show_ledger(visit: Reading, dataset_id: str) -> Response:
    """Show a dataset's ledger: the gauge of its people, what was spent over time, and by which grants."""
    room = visit.room
    wanted = asked(visit, ("given",), default="given", descending=True)
    with room.db.reading() as tx:
        dataset = room.datasets.owned(
            tx, dataset_id, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
        )
        policy = room.rules.current(tx, dataset_id)
        population_id = room.grants.population(tx, dataset_id)
        gauge = None
        if policy is not None:
            limits = limits_of(combine([policy.document]))
            gauge = gauge_of(tx, room.grants, population_id, limits, room.clock.now())
        entries, total = register.entries(tx, dataset_id, offset=wanted.offset, limit=PER_PAGE)
        given, spent = register.totals(tx, [dataset_id]).get(dataset_id, (Amount(0), Amount(0)))
        zone = room.marketplace.usage.zone
        months = Month.of(room.clock.now(), zone).last(_MONTHS)
        edges = [*(month.starts_at(zone) for month in months), months[-1].ends_at(zone)]
        amounts = register.spent_between(tx, dataset_id, edges)
        releases = register.public_releases(tx, population_id)
    return page(
        visit,
        "cabinet/budget.html",
        dataset=dataset,
        gauge=gauge,
        entries=[(one, bound_of(one.spent)) for one in entries],
        total=total,
        wanted=wanted,
        given=bound_of(given),
        spent=bound_of(spent),
        over_time=_over_time(months, amounts, spent),
        most_spent=max((one.rho_micro for one in amounts), default=0),
        releases=releases,
    )


def _over_time(months: tuple[Month, ...], amounts: tuple[Amount, ...], spent: Amount) -> tuple[Spent, ...]:
    """Add up month by month; what was spent before the first of them is counted in."""
    so_far = spent
    for amount in amounts:
        so_far = so_far - amount
    found: list[Spent] = []
    for month, amount in zip(months, amounts, strict=True):
        so_far = so_far + amount
        # A chart begins with the first month that has anything to show.
        if found or so_far.rho_micro:
            found.append(Spent(month, amount, bound_of(so_far)))
    return tuple(found)
