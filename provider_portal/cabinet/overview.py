"""The first page: what needs attention, and how things stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from cleanroom.access.scopes import (
    ANALYSES_READ,
    BUDGETS_READ,
    DATASETS_READ,
    ENTITLEMENTS_READ,
    LISTINGS_WRITE,
    OPERATE,
    STATEMENTS_READ,
)
from cleanroom.accounts.types import OrganisationKind
from cleanroom.analyses.docket import docket
from cleanroom.analyses.noticing import answered_lately
from cleanroom.datasets.shelf import shelf
from cleanroom.db.database import Transaction
from cleanroom.foureyes.queue import waits_for
from cleanroom.grants.gauge import Gauge, gauge_of, populations_of
from cleanroom.marketplace import desk
from cleanroom.marketplace.earnings import months_earned
from cleanroom.marketplace.stall import reviews_waiting, stall
from cleanroom.marketplace.types import ListingState, RequestState
from cleanroom.room import Room
from cleanroom.rules.types import PolicyVersion
from policies.combine import combine, limits_of
from policies.decision import Limits
from policies.request import ApprovalState
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
        "stopped": (),
        "questions_waiting": 0,
        "requests": None,
        "gauges": None,
        "earned": (),
        "releases": None,
        "codes_left": None,
        "listings_waiting": 0,
        "reviews_waiting": 0,
    }
    with room.db.reading() as tx:
        values["second"] = waits_for(tx, room.four_eyes, who)
        if who.second_factor:
            values["codes_left"] = room.signin.second_factors.codes_left(tx, who.user_id)
        if provider and who.may(DATASETS_READ):
            newest, total = shelf(tx, who.organisation_id, sort="published", descending=True, limit=_FEW)
            values["datasets"], values["dataset_total"] = newest, total
            values["waiting"] = shelf(tx, who.organisation_id, waiting=True, limit=_FEW)[0]
            rules = {one.id: room.rules.current(tx, one.id) for one in newest}
            values["unruled"] = [one for one in newest if one.current and rules[one.id] is None]
            values["stopped"] = room.rules.stopped_of(tx, who.organisation_id)
            values["releases"] = answered_lately(tx, who.organisation_id, limit=_FEW)
            if who.may(BUDGETS_READ):
                values["gauges"] = _gauges(room, tx, rules)
        if provider and who.may(ANALYSES_READ):
            values["questions_waiting"] = docket(
                tx, who.organisation_id, state=ApprovalState.PENDING, limit=0
            )[1]
        if provider and who.may(ENTITLEMENTS_READ):
            values["requests"], values["request_total"] = desk.entries(
                tx, who.organisation_id, state=RequestState.PENDING, limit=_FEW
            )
        if provider and who.may(LISTINGS_WRITE):
            values["listings_waiting"] = stall(tx, who.organisation_id, state=ListingState.REVIEW, limit=0)[1]
        if who.kind is OrganisationKind.OPERATOR and who.may(OPERATE):
            values["reviews_waiting"] = reviews_waiting(tx)
        if provider and who.may(STATEMENTS_READ):
            values["earned"] = months_earned(
                tx, room.marketplace.statements, who.organisation_id, newest=_FEW + 2
            ).earned
    return page(visit, "cabinet/overview.html", **values)


def _gauges(room: Room, tx: Transaction, rules: Mapping[str, PolicyVersion | None]) -> tuple[Filled, ...]:
    """Return a gauge per population, under the strictest of the rules of its datasets that are looked at."""
    strictest: dict[str, Limits] = {}
    ruled = {dataset_id: policy for dataset_id, policy in rules.items() if policy is not None}
    populations = populations_of(tx, ruled)
    for dataset_id, policy in ruled.items():
        limits, population_id = limits_of(combine([policy.document])), populations[dataset_id]
        before = strictest.get(population_id)
        if before is None or limits.total_rho_micro < before.total_rho_micro:
            strictest[population_id] = limits
    return tuple(
        Filled(
            room.workspaces.population(tx, population_id).name,
            gauge_of(tx, room.grants, population_id, limits, room.clock.now()),
        )
        for population_id, limits in strictest.items()
    )
