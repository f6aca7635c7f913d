"""Lists that the cabinet and compliance both have, each with pages of its own behind."""

from fastapi import Response

from cleanroom.analyses import docket
from cleanroom.datasets.shelf import shelf
from cleanroom.grants import register
from cleanroom.grants.budget_view import bound_of
from cleanroom.grants.types import Amount
from policies.request import ApprovalState
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import page
from provider_portal.visits import Visit


def approvals_page(visit: Visit, template: str) -> Response:
    """Show questions that wait for the owner's word or were ruled on, by buyer, state and dataset.

    Args:
        visit: of somebody who may read exact questions; those about data of their organisation are shown.
        template: of the page.
    """
    wanted = asked(visit, docket.SORTS, default="asked", descending=True)
    state = visit.chosen("state", ApprovalState)
    with visit.room.db.reading() as tx:
        found, total = docket.docket(
            tx,
            visit.who.organisation_id,
            state=state,
            buyer=wanted.text,
            dataset_id=visit.asked("dataset"),
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        template,
        found=found,
        total=total,
        wanted=wanted,
        state=state,
        states=tuple(ApprovalState),
    )


def budgets_page(visit: Visit, template: str) -> Response:
    """Show each dataset of the visitor's organisation with what was given out of its budget, and what was spent.

    Args:
        visit: of somebody who may read budgets.
        template: of the page.
    """
    wanted = asked(visit, ("name",), default="name")
    with visit.room.db.reading() as tx:
        found, total = shelf(
            tx,
            visit.who.organisation_id,
            name=wanted.text,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
        totals = register.totals(tx, [one.id for one in found])
    nothing = (Amount(0), Amount(0))
    rows = [(one, *(bound_of(amount) for amount in totals.get(one.id, nothing))) for one in found]
    return page(visit, template, rows=rows, total=total, wanted=wanted)
