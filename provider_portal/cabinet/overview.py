"""The first page: what needs attention, and how things stand."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from cleanroom.access.scopes import BUDGETS_READ, DATASETS_READ, ENTITLEMENTS_READ, STATEMENTS_READ
from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.noticing import answered_lately
from cleanroom.bootstrap import Room
from cleanroom.datasets.shelf import Shelved, shelf
from cleanroom.db.database import Transaction
from cleanroom.grants.gauge import Gauge, gauge_of
from cleanroom.marketplace import desk
from cleanroom.marketplace.statements import Statement
from cleanroom.marketplace.types import RequestState
from policies.combine import combine, limits_of
from provider_portal.ui import page
from provider_portal.visits import SignedIn

router = APIRouter()
_FEW = 5


@dataclass(frozen=True)
class Filled:
    """A workspace's gauge, with its name."""

    name: str
    gauge: Gauge


@router.get("/")
def overview(visit: SignedIn) -> Response:
    """Show how things stand, as far as the person's role sees them."""
    room, who = visit.room, visit.who
    provider = who.kind is OrganisationKind.PROVIDER
    values: dict[str, Any] = {
        "datasets": None,
        "waiting": (),
        "unruled": (),
        "requests": None,
        "gauges": None,
        "statement": None,
        "releases": None,
        "codes_left": None,
    }
    with room.db.reading() as tx:
        if who.second_factor:
            values["codes_left"] = room.signin.second_factors.codes_left(tx, who.user_id)
        if provider and who.may(DATASETS_READ):
            newest, total = shelf(tx, who.organisation_id, sort="published", descending=True, limit=_FEW)
            values["datasets"], values["dataset_total"] = newest, total
            values["waiting"] = shelf(tx, who.organisation_id, waiting=True, limit=_FEW)[0]
            values["unruled"] = [
                one for one in newest if one.current and room.rules.current(tx, one.id) is None
            ]
            values["releases"] = answered_lately(tx, who.organisation_id, limit=_FEW)
            if who.may(BUDGETS_READ):
                values["gauges"] = _gauges(room, tx, newest)
        if provider and who.may(ENTITLEMENTS_READ):
            values["requests"], values["request_total"] = desk.entries(
                tx, who.organisation_id, state=RequestState.PENDING, limit=_FEW
            )
        if provider and who.may(STATEMENTS_READ):
            values["statement"] = _newest_complete(room, tx, who.organisation_id)
    return page(visit, "cabinet/overview.html", **values)


def _gauges(room: Room, tx: Transaction, datasets: tuple[Shelved, ...]) -> tuple[Filled, ...]:
    """Return a gauge per population, under the strictest of the rules of its datasets that are looked at."""
    found: dict[str, Filled] = {}
    for one in datasets:
        policy = room.rules.current(tx, one.id)
        if policy is None:
            continue
        limits = limits_of(combine([policy.document]))
        population_id = room.grants.population(tx, one.id)
        gauge = gauge_of(tx, room.grants, population_id, limits, room.clock.now())
        before = found.get(population_id)
        if before is None or gauge.cap.rho_micro < before.gauge.cap.rho_micro:
            name = room.workspaces.population(tx, population_id).name
            found[population_id] = Filled(name, gauge)
    return tuple(found.values())


def _newest_complete(room: Room, tx: Transaction, organisation_id: str) -> Statement | None:
    """Return the statement of the last month that is over; a month under way would tell of single questions."""
    statements = room.marketplace.statements
    for month in sorted(statements.months(tx, organisation_id), reverse=True)[:3]:
        made = statements.statement_lines(tx, organisation_id, month)
        if made.complete:
            return made
    return None
