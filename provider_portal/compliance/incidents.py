"""Incidents: the register with its terms, what each one affects, and the forms that add to it."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import INCIDENTS_READ, INCIDENTS_WRITE
from cleanroom.datasets.shelf import shelf
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from cleanroom.incidents.affected import Affected
from cleanroom.incidents.errors import IncidentScopeError
from cleanroom.incidents.register import SORTS
from cleanroom.incidents.rows import scope_to
from cleanroom.incidents.types import Duty, DutyState, Incident, IncidentKind, IncidentState, Scope, Severity
from cleanroom.oversight.names import names_of
from cleanroom.papers.text import Language
from provider_portal.compliance.looking import Acting, day, instant, sees_all, whose
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/compliance/incidents")
Reading = Annotated[Visit, Depends(needs(INCIDENTS_READ))]
_FEW = 100
_LONGEST_TEXT = 10_001
_FIELDS = ("kind", "severity", "title", "text", "discovered", "dataset", "since", "until")
_TYPED = ("text", "shown", "duty", "state", "told")
_NOTICES = {
    "opened": N_("Entered. Its terms run from the discovery on."),
    "noted": N_("Your note is entered."),
    "settled": N_("What became of the duty is entered."),
    "closed": N_("The incident is closed."),
    "scoped": N_("What it concerns is entered."),
    "shared": N_("The organisations see the incident now."),
}
Choice = TypeVar("Choice", bound=StrEnum)


@router.get("")
def list_incidents(visit: Reading) -> Response:
    """Show the register, the newest entry first."""
    wanted = asked(visit, SORTS, default="opened", descending=True)
    state = _one_of(IncidentState, visit.asked("state"))
    severity = _one_of(Severity, visit.asked("severity"))
    room = visit.room
    with room.db.reading() as tx:
        found, total = room.incidents.register.page(
            tx,
            visit.who.organisation_id,
            state=state,
            severity=severity,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        "compliance/incidents.html",
        found=found,
        total=total,
        wanted=wanted,
        state=state,
        states=tuple(IncidentState),
        severity=severity,
        severities=tuple(Severity),
        writes=visit.who.may(INCIDENTS_WRITE),
    )


@router.get("/new")
def new_incident(visit: Acting) -> Response:
    """Show the form for an incident."""
    return _form(visit)


@router.post("/new")
def open_incident(visit: Acting) -> Response:
    """Enter an incident."""
    who, room = visit.who, visit.room
    dataset, since, until = visit.typed("dataset"), visit.typed("since"), visit.typed("until")
    begins, ends = day(visit, since), day(visit, until, after=True)
    scope = Scope(dataset_id=dataset or None, since=begins, until=ends) if dataset or begins or ends else None
    discovered = instant(visit, visit.typed("discovered"))
    try:
        with room.db.transaction() as tx:
            made = room.incidents.open(
                tx,
                who.organisation_id,
                kind=_one_of(IncidentKind, visit.typed("kind")) or IncidentKind.OTHER,
                severity=_one_of(Severity, visit.typed("severity")) or Severity.HIGH,
                title=visit.typed("title"),
                text=visit.typed("text", longest=_LONGEST_TEXT),
                discovered_at=discovered or room.clock.now(),
                by=who.user_id,
                scope=scope,
            )
    except CleanroomError as error:
        return _form(visit, error=error_words(error), status=400)
    return go(visit, f"/compliance/incidents/{made}?done=opened")


@router.get("/{incident_id}")
def show_incident(visit: Reading, incident_id: str) -> Response:
    """Show an incident: its terms, what it affects, and what was entered so far."""
    return _incident_page(visit, incident_id, notice=_NOTICES.get(visit.asked("done")))


@router.post("/{incident_id}/note")
def note(visit: Acting, incident_id: str) -> Response:
    """Add what became known."""
    who, room = visit.who, visit.room

    def enter(tx: Transaction) -> None:
        room.incidents.note(
            tx,
            incident_id,
            organisation_id=who.organisation_id,
            text=visit.typed("text", longest=_LONGEST_TEXT),
            by=who.user_id,
            shown=visit.typed("shown") == "yes",
        )

    return _entered(visit, incident_id, enter, "noted")


@router.post("/{incident_id}/duty")
def settle_duty(visit: Acting, incident_id: str) -> Response:
    """Enter that an authority was told, or why it need not be."""
    who, room = visit.who, visit.room
    duty = _one_of(Duty, visit.typed("duty")) or Duty.RU_NOTICE
    state = DutyState.DONE if visit.typed("state") == DutyState.DONE else DutyState.NOT_DUE

    def enter(tx: Transaction) -> None:
        room.incidents.end_duty(
            tx,
            incident_id,
            duty,
            organisation_id=who.organisation_id,
            state=state,
            text=visit.typed("text", longest=_LONGEST_TEXT),
            by=who.user_id,
            at=instant(visit, visit.typed("told")),
        )

    return _entered(visit, incident_id, enter, "settled")


@router.post("/{incident_id}/share")
def share(visit: Acting, incident_id: str) -> Response:
    """Show an incident to an organisation that it affects."""
    who, room = visit.who, visit.room

    def enter(tx: Transaction) -> None:
        others = [visit.typed("organisation")]
        room.incidents.share(tx, incident_id, others, organisation_id=who.organisation_id, by=who.user_id)

    return _entered(visit, incident_id, enter, "shared")


@router.post("/{incident_id}/close")
def close(visit: Acting, incident_id: str) -> Response:
    """Enter that an incident is over."""
    who, room = visit.who, visit.room

    def enter(tx: Transaction) -> None:
        text = visit.typed("text", longest=_LONGEST_TEXT)
        room.incidents.close(tx, incident_id, organisation_id=who.organisation_id, text=text, by=who.user_id)

    return _entered(visit, incident_id, enter, "closed")


def _entered(visit: Visit, incident_id: str, enter: Callable[[Transaction], None], done: str) -> Response:
    try:
        with visit.room.db.transaction() as tx:
            enter(tx)
    except CleanroomError as error:
        if error.code == "incidents.unknown":
            raise
        return _incident_page(visit, incident_id, form=done, error=error_words(error), status=400)
    return go(visit, f"/compliance/incidents/{incident_id}?done={done}")


def _form(visit: Visit, *, error: str | None = None, status: int = 200) -> Response:
    with visit.room.db.reading() as tx:
        datasets = () if sees_all(visit.who) else shelf(tx, visit.who.organisation_id, limit=_FEW)[0]
    return page(
        visit,
        "compliance/incident_new.html",
        status=status,
        kinds=tuple(IncidentKind),
        severities=tuple(Severity),
        datasets=datasets,
        typed={name: visit.typed(name, longest=_LONGEST_TEXT) for name in _FIELDS},
        error=error,
    )


def _incident_page(
    visit: Visit,
    incident_id: str,
    *,
    form: str = "",
    notice: str | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    who, room = visit.who, visit.room
    with room.db.reading() as tx:
        found = room.incidents.register.incident(tx, incident_id, organisation_id=who.organisation_id)
        entries, total = room.incidents.register.entries(tx, found, limit=_FEW)
        shared = room.incidents.register.shared_with(tx, found)
        touched = _affected(visit, tx, found)
        scope = None if found.scope is None else scope_to(found.scope)
        ids = {found.organisation_id, found.opened_by, *shared, *(one.by for one in entries)}
        for named in (scope, *(one.facts.get("scope") for one in entries)):
            ids |= {one for one in (named or {}).values() if isinstance(one, str)}
        names = names_of(tx, ids, organisation_id=whose(who))
    others = [] if touched is None else [one for one in touched.organisations if one.id not in shared]
    return page(
        visit,
        "compliance/incident.html",
        status=status,
        found=found,
        scope=scope,
        entries=entries,
        more=total - len(entries),
        shared=shared,
        touched=touched,
        others=others if sees_all(who) else [],
        names=names,
        writes=found.own and who.may(INCIDENTS_WRITE),
        languages_of_files=tuple(Language),
        # What was typed goes back into the form that it came from.
        form=form,
        typed={name: visit.typed(name, longest=_LONGEST_TEXT) for name in _TYPED},
        notice=notice,
        error=error,
    )


def _affected(visit: Visit, tx: Transaction, found: Incident) -> Affected | None:
    """Return what of an incident is the visitor's to see; None until it is entered which data it is about."""
    try:
        return visit.room.incidents.affected(tx, found.id, organisation_id=visit.who.organisation_id)
    except IncidentScopeError:
        return None


def _one_of(kind: type[Choice], text: str) -> Choice | None:
    return kind(text) if text in set(kind) else None
