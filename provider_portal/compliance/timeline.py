"""The timeline: the log's events with filters, one of them with its proof, and checks of the log."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Response

from cleanroom.audit.browsing import EventFilter, LoggedEvent, ProvenEvent, page_of_events, prove_event
from cleanroom.audit.checks import Check, CheckState
from cleanroom.audit.errors import CheckRangeError, UnknownEventError
from cleanroom.datasets.shelf import shelf
from cleanroom.db.database import Transaction
from cleanroom.oversight.names import names_of
from crypto.merkle import ProofError, leaf_hash, verify_inclusion
from provider_portal.compliance.looking import Looking, day, sees_all, whose
from provider_portal.event_words import EVENTS, SLICES
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE
from provider_portal.ui import go, page
from provider_portal.visits import Visit

router = APIRouter(prefix="/compliance/events")
_MOST_DATASETS = 200
_LONGEST_INDEX = 15
_NOTICES = {"asked": N_("The log is being checked. The result appears here.")}


@router.get("")
def list_events(visit: Looking) -> Response:
    """Show the newest events, or those that an address asks for."""
    who, room = visit.who, visit.room
    chosen = {name: visit.asked(name).strip() for name in ("kind", "dataset", "subject", "organisation")}
    kind = chosen["kind"]
    known = kind if kind in EVENTS or kind in {f"{one}." for one in SLICES} else ""
    with room.db.reading() as tx:
        organisations = {}
        if sees_all(who):
            organisations = {one.id: one.name for one in room.accounts.organisations(tx)}
        wanted = EventFilter(
            organisation_id=chosen["organisation"] if chosen["organisation"] in organisations else whose(who),
            kinds=(known,) if known else (),
            subject_id=chosen["subject"] or None,
            dataset_id=chosen["dataset"] or None,
            since=day(visit, visit.asked("since")),
            until=day(visit, visit.asked("until"), after=True),
        )
        found = page_of_events(
            tx, wanted, before=_index(visit, "before"), after=_index(visit, "after"), limit=PER_PAGE
        )
        datasets = () if sees_all(who) else shelf(tx, who.organisation_id, limit=_MOST_DATASETS)[0]
        names = _names(visit, tx, found.events)
        badge, mine = _checks(visit, tx)
    narrowed = wanted != EventFilter(organisation_id=whose(who))
    return page(
        visit,
        "compliance/events.html",
        found=found,
        chosen=chosen | {"kind": known, "since": visit.asked("since"), "until": visit.asked("until")},
        narrowed=narrowed,
        kinds={one: sorted(name for name in EVENTS if name.startswith(f"{one}.")) for one in SLICES},
        datasets=datasets,
        organisations=organisations,
        names=names,
        badge=badge,
        mine=mine,
        notice=_NOTICES.get(visit.asked("done")),
    )


@router.get("/checks")
def show_checks(visit: Looking) -> Response:
    """Show the badge alone, for a page that waits for a check to end."""
    with visit.room.db.reading() as tx:
        badge, mine = _checks(visit, tx)
    return page(visit, "compliance/checks.html", badge=badge, mine=mine)


@router.post("/checks")
def check(visit: Looking) -> Response:
    """Have the log checked anew: all of it, or one event with its neighbours' hashes."""
    index = _number(visit.typed("index", longest=_LONGEST_INDEX))
    place = "/compliance/events" if index is None else f"/compliance/events/{index}"
    who = visit.who
    try:
        with visit.room.db.transaction() as tx:
            visit.room.checks.ask(
                tx,
                organisation_id=who.organisation_id,
                by=who.user_id,
                start=index or 0,
                stop=None if index is None else index + 1,
            )
    except CheckRangeError:
        # Enough of them wait already: the page shows them.
        return go(visit, place)
    return go(visit, f"{place}?done=asked")


@router.get("/{index}")
def show_event(visit: Looking, index: str) -> Response:
    """Show one event: what it says, and what proves it against the signed head."""
    with visit.room.db.reading() as tx:
        proven = _proven(visit, tx, index)
        names = _names(visit, tx, [proven.event])
        badge, mine = _checks(visit, tx)
    return page(
        visit,
        "compliance/event.html",
        proven=proven,
        event=proven.event,
        facts=_facts(proven.event.body),
        names=names,
        leads=_leads_to_the_head(proven),
        leaf=leaf_hash(proven.event.record).hex(),
        proof=_evidence(visit, proven),
        badge=badge,
        mine=mine,
        notice=_NOTICES.get(visit.asked("done")),
    )


@router.get("/{index}/proof.json")
def download_proof(visit: Looking, index: str) -> Response:
    """Give the event, its proof and the signed head, for tools of one's own."""
    with visit.room.db.reading() as tx:
        proven = _proven(visit, tx, index)
    name = f"event-{proven.event.index}.json"
    return Response(
        _evidence(visit, proven),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _proven(visit: Visit, tx: Transaction, index: str) -> ProvenEvent:
    number = _number(index)
    if number is None:
        raise UnknownEventError("The log has no event of this index.", remedy="Ask for a smaller index.")
    verifier_key = visit.room.audit.verifier_key
    return prove_event(tx, number, organisation_id=whose(visit.who), verifier_key=verifier_key)


def _leads_to_the_head(proven: ProvenEvent) -> bool:
    """Recompute the way from the record to the root that the room has signed."""
    try:
        leaf = leaf_hash(proven.event.record)
        verify_inclusion(leaf, proven.event.index, proven.size, proven.proof, proven.root)
    except ProofError:
        return False
    return True


def _evidence(visit: Visit, proven: ProvenEvent) -> str:
    """Write what anyone needs to check an event: in the form of the log's export."""
    content = {
        "v": 1,
        "index": proven.event.index,
        "record": proven.event.record.decode(),
        "size": proven.size,
        "proof": [base64.b64encode(node).decode() for node in proven.proof],
        "checkpoint": proven.checkpoint,
        "verifier_key": visit.room.audit.verifier_key,
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def _facts(body: Mapping[str, Any]) -> list[tuple[str, Any, bool]]:
    """Return what an event says, line by line: plain values first, then what has parts of its own."""
    lines = [
        (name, value, isinstance(value, dict | list)) for name, value in body.items() if value is not None
    ]
    return sorted(
        (
            (name, json.dumps(value, ensure_ascii=False, indent=1) if parts else value, parts)
            for name, value, parts in lines
        ),
        key=lambda line: line[2],
    )


def _names(visit: Visit, tx: Transaction, events: Iterable[LoggedEvent]) -> dict[str, str]:
    ids: set[str] = set()
    for event in events:
        ids |= {event.subject_id, event.organisation_id or "", event.dataset_id or ""}
        ids |= {value for value in event.body.values() if isinstance(value, str)}
    return names_of(tx, ids, organisation_id=whose(visit.who))


def _checks(visit: Visit, tx: Transaction) -> tuple[Check | None, Check | None]:
    """Return the newest regular check, and the newest one that the visitor's organisation asked for."""
    badge = visit.room.checks.badge(tx)
    mine = next(iter(visit.room.checks.list(tx, organisation_id=visit.who.organisation_id, limit=1)), None)
    if mine is not None and badge is not None and badge.ended_at is not None:
        older = mine.state is not CheckState.QUEUED and (mine.ended_at or mine.asked_at) < badge.ended_at
        mine = None if older else mine
    return badge, mine


def _index(visit: Visit, name: str) -> int | None:
    return _number(visit.asked(name))


def _number(text: str) -> int | None:
    plain = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_INDEX
    return int(text) if plain else None
