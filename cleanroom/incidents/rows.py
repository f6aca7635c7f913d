"""From rows to values, and back."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from cleanroom.clock import rfc3339
from cleanroom.incidents.models import IncidentDutyRow, IncidentEntryRow, IncidentRow
from cleanroom.incidents.types import (
    Deadline,
    Duty,
    DutyState,
    Entry,
    EntryKind,
    Incident,
    IncidentKind,
    IncidentState,
    Scope,
    Severity,
)


def incident_of(row: IncidentRow, duties: Iterable[IncidentDutyRow], *, viewer_id: str) -> Incident:
    """Return an incident as an organisation sees it."""
    own = row.organisation_id == viewer_id
    return Incident(
        id=row.id,
        organisation_id=row.organisation_id,
        own=own,
        kind=IncidentKind(row.kind),
        severity=Severity(row.severity),
        state=IncidentState(row.state),
        title=row.title,
        discovered_at=row.discovered_at,
        opened_at=row.opened_at,
        # Who works for the organisation is its own matter.
        opened_by=row.opened_by if own else row.organisation_id,
        closed_at=row.closed_at,
        scope=scope_from(row.scope) if own and row.scope is not None else None,
        deadlines=tuple(sorted(map(deadline_of, duties), key=lambda one: (one.due_at, one.duty)))
        if own
        else (),
    )


def deadline_of(row: IncidentDutyRow) -> Deadline:
    """Return a duty as a value."""
    return Deadline(Duty(row.duty), row.due_at, DutyState(row.state), row.ended_at)


def entry_of(row: IncidentEntryRow, *, viewer_is_owner: bool, owner_id: str) -> Entry:
    """Return an entry as a value; to others it is by the organisation."""
    return Entry(
        number=row.number,
        kind=EntryKind(row.kind),
        at=row.at,
        by=row.by if viewer_is_owner else owner_id,
        text=row.text,
        salt=row.salt,
        text_sha256=text_sha256(row.salt, row.text),
        shown=row.shown,
        # The scope names what is others'.
        facts=row.facts if viewer_is_owner else {k: v for k, v in row.facts.items() if k != "scope"},
    )


def text_sha256(salt: str, text: str) -> str:
    """Return the hash by which the log holds a text, without telling it: hex of SHA-256 over salt and UTF-8."""
    return hashlib.sha256(bytes.fromhex(salt) + text.encode("utf-8")).hexdigest()


def scope_to(scope: Scope) -> dict[str, Any]:
    """Return a scope as plain data, without what it does not name."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in asdict(scope).items()
        if value is not None
    }


def scope_from(data: dict[str, Any]) -> Scope:
    """Return a scope from plain data."""
    instants: dict[str, Any] = {
        name: datetime.fromisoformat(data[name]) for name in ("since", "until") if name in data
    }
    return Scope(**data | instants)
