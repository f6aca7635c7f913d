"""The rule of a dataset: what is in force and what it means, its versions, and the kill switch."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import DATASETS_READ, POLICIES_WRITE
from cleanroom.db.database import Transaction
from cleanroom.grants.prospect import Prospect, prospect
from cleanroom.rules.errors import UnknownPolicyError
from cleanroom.rules.population import policies_of_population
from cleanroom.rules.types import PolicyVersion
from policies.codec import PRESETS, policy_to_yaml
from policies.decision import Gap
from policies.diff import diff
from policies.model import PolicyDocument
from provider_portal.i18n import N_
from provider_portal.own import owned, people_of
from provider_portal.policy_shown import rules_shown
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/datasets/{dataset_id}/policy")
Reading = Annotated[Visit, Depends(needs(DATASETS_READ, kinds=PROVIDERS))]
Writing = Annotated[Visit, Depends(needs(POLICIES_WRITE, kinds=PROVIDERS))]
_NOTICES = {
    "published": N_("Published. It counts from the next question on."),
    "unchanged": N_("This is in force already; nothing was changed."),
    "stopped": N_("Stopped. No question is answered from now on."),
    "resumed": N_("Released. Questions are answered again."),
}


@router.get("")
def show_policy(visit: Reading, dataset_id: str) -> Response:
    """Show which rule is in force since when, what it means, and its versions."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        history = room.rules.history(tx, dataset_id)
        current = history[-1] if history else None
        trial = room.trials.newest(tx, dataset_id, current.sha256) if current else None
        expected = expectation(visit, tx, dataset_id, current.document) if current else None
        switch = room.rules.switch(tx, dataset_id)
        people = people_of(visit, tx, organisation_id)
    return page(
        visit,
        "cabinet/policy.html",
        dataset=dataset,
        current=current,
        versions=history[::-1],
        trial=trial,
        expected=expected,
        switch=switch,
        people=people,
        shown=rules_shown(current.document, visit.writing) if current else (),
        presets=PRESETS,
        notice=_NOTICES.get(visit.asked("done")),
    )


@router.get("/versions/{number}")
def show_version(visit: Reading, dataset_id: str, number: str) -> Response:
    """Show a version, and what changed in it against the one before or another."""
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        history = visit.room.rules.history(tx, dataset_id)
        people = people_of(visit, tx, visit.who.organisation_id)
    version = _numbered(history, number)
    against = visit.asked("against") or str(version.number - 1)
    other = next((one for one in history if str(one.number) == against), None)
    return page(
        visit,
        "cabinet/policy_version.html",
        dataset=dataset,
        version=version,
        other=other,
        others=[one.number for one in history if one.number != version.number],
        changes=diff(other.document, version.document) if other else (),
        text=policy_to_yaml(version.document),
        people=people,
    )


@router.get("/stop")
def ask_to_stop(visit: Writing, dataset_id: str) -> Response:
    """Ask whether the dataset is to be stopped, or released."""
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        switch = visit.room.rules.switch(tx, dataset_id)
    return page(visit, "cabinet/policy_stop.html", dataset=dataset, switch=switch)


@router.post("/stop")
def stop(visit: Writing, dataset_id: str) -> Response:
    """Refuse every question from now on."""
    return _switch(visit, dataset_id, stopped=True)


@router.post("/resume")
def resume(visit: Writing, dataset_id: str) -> Response:
    """Answer questions again."""
    return _switch(visit, dataset_id, stopped=False)


def _switch(visit: Visit, dataset_id: str, *, stopped: bool) -> Response:
    rules, who = visit.room.rules, visit.who
    with visit.room.db.transaction() as tx:
        owned(visit, tx, dataset_id)
        (rules.stop if stopped else rules.resume)(
            tx, dataset_id, organisation_id=who.organisation_id, by=who.user_id
        )
    return go(visit, f"/datasets/{dataset_id}/policy?done={'stopped' if stopped else 'resumed'}")


def expectation(visit: Visit, tx: Transaction, dataset_id: str, document: PolicyDocument) -> Prospect | Gap:
    """Return what a rule would mean for a dataset, under the budgets of others about the same people."""
    population_id = visit.room.grants.population(tx, dataset_id)
    return prospect(document, beside=policies_of_population(tx, population_id, but=dataset_id))


def _numbered(history: tuple[PolicyVersion, ...], number: str) -> PolicyVersion:
    found = next((one for one in history if str(one.number) == number), None)
    if found is None:
        raise UnknownPolicyError("There is no such version.", remedy="Look at the list.")
    return found
