"""The report on an incident: what the register holds, what is affected, and the part of the log that proves it."""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Any

from sqlalchemy import select

from cleanroom.accounts.models import OrganisationRow
from cleanroom.audit.models import AuditEvent
from cleanroom.audit.reader import AuditReader
from cleanroom.clock import rfc3339
from cleanroom.db.database import Transaction
from cleanroom.incidents.affected import Affected, AffectedRelease, all_released
from cleanroom.incidents.rows import scope_to
from cleanroom.incidents.service import Incidents
from cleanroom.incidents.types import Entry, Incident
from cleanroom.papers.text import Language
from crypto.checkpoint import open_note

FORMAT = "cleanroom-incident-report/v1"
MAX_RELEASES = 10_000
_ENTRIES_AT_ONCE = 500


class ReportFormat(StrEnum):
    """Of a report."""

    JSON = "json"
    PDF = "pdf"


MEDIA_TYPES = {ReportFormat.JSON: "application/json", ReportFormat.PDF: "application/pdf"}


@dataclass(frozen=True)
class LoggedEvent:
    """An event of the log about the incident, with the proof of its place."""

    index: int
    record: str
    proof: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        incident: as the one sees it who asks for the report.
        organisation: the name of whose register it stands in.
        entries: in their order.
        affected: what its scope comes to; None when it has none.
        releases: the first 10,000 answers that left the room; how many there are, `affected` tells.
        names: of organisations.
        events: what the log holds about it, for the organisation whose register it is.
        checkpoint: the signed head that the proofs lead to.
        verifier_key: whose signature that is.
        made_at: the instant.
    """

    incident: Incident
    organisation: str
    entries: tuple[Entry, ...]
    affected: Affected | None
    releases: tuple[AffectedRelease, ...]
    names: dict[str, str]
    events: tuple[LoggedEvent, ...]
    checkpoint: str
    verifier_key: str
    made_at: datetime


def make_report(
    tx: Transaction,
    incidents: Incidents,
    incident_id: str,
    *,
    organisation_id: str,
    verifier_key: str,
    now: datetime,
) -> Report:
    """Put a report together.

    Args:
        tx: any transaction.
        incidents: the registers.
        incident_id: which; raises UnknownIncidentError.
        organisation_id: who asks: others than the owner see their part.
        verifier_key: the room's.
        now: the instant.
    """
    incident = incidents.register.incident(tx, incident_id, organisation_id=organisation_id)
    scope, within = incidents.scope_of(tx, incident_id, organisation_id)
    affected = None if scope is None else incidents.affected(tx, incident_id, organisation_id=organisation_id)
    releases: list[AffectedRelease] = []
    for release in () if scope is None else all_released(tx, scope, within=within):
        releases.append(release)
        if len(releases) == MAX_RELEASES:
            break
    reader = AuditReader()
    note = reader.head(tx)
    parties = {one.organisation_id for one in affected.organisations} if affected else set[str]()
    named = select(OrganisationRow.id, OrganisationRow.name)
    names = {
        id_: name
        for id_, name in tx.session.execute(named).all()
        if id_ in parties | {incident.organisation_id}
    }
    return Report(
        incident=incident,
        organisation=names[incident.organisation_id],
        entries=tuple(_entries(tx, incidents, incident)),
        affected=affected,
        releases=tuple(releases),
        names=names,
        events=tuple(_events(tx, reader, incident_id, organisation_id, open_note(note, verifier_key).size)),
        checkpoint=note,
        verifier_key=verifier_key,
        made_at=now,
    )


def write_report(report: Report, form: ReportFormat, language: Language) -> bytes:
    """Write a report as a file: JSON for programs, PDF for people and authorities."""
    if form is ReportFormat.JSON:
        return write_json(report)
    # Loaded when it is needed: what draws pages is large.
    written: bytes = import_module("cleanroom.incidents.report_pdf").write_pdf(report, language)
    return written


def write_json(report: Report) -> bytes:
    """Write a report as JSON: who holds it can recompute every hash, and verify the proofs with tools of their own."""
    incident = report.incident
    plain = {
        "format": FORMAT,
        "made_at": report.made_at,
        "organisation": {"id": incident.organisation_id, "name": report.organisation},
        "incident": {
            **{name: getattr(incident, name) for name in ("id", "kind", "severity", "state", "title")},
            **{name: getattr(incident, name) for name in ("discovered_at", "opened_at", "closed_at")},
            "scope": None if incident.scope is None else scope_to(incident.scope),
            "deadlines": [asdict(one) for one in incident.deadlines],
        },
        "entries": [asdict(one) for one in report.entries],
        "affected": None if report.affected is None else asdict(report.affected),
        "releases": [asdict(one) for one in report.releases],
        "log": {
            "verifier_key": report.verifier_key,
            "checkpoint": report.checkpoint,
            "events": [asdict(one) for one in report.events],
        },
    }
    return json.dumps(plain, ensure_ascii=False, indent=2, default=_plain).encode("utf-8") + b"\n"


def _plain(value: Any) -> str:
    assert isinstance(value, datetime)
    return rfc3339(value)


def _entries(tx: Transaction, incidents: Incidents, incident: Incident) -> Iterator[Entry]:
    offset = 0
    while True:
        page, total = incidents.register.entries(tx, incident, offset=offset, limit=_ENTRIES_AT_ONCE)
        yield from page
        offset += len(page)
        if offset >= total:
            return


def _events(
    tx: Transaction, reader: AuditReader, incident_id: str, organisation_id: str, size: int
) -> Iterator[LoggedEvent]:
    rows = select(AuditEvent.index, AuditEvent.record).where(
        AuditEvent.subject_id == incident_id,
        AuditEvent.organisation_id == organisation_id,
        AuditEvent.index < size,
    )
    for index, record in tx.session.execute(rows.order_by(AuditEvent.index)).all():
        proof = reader.inclusion(tx, index, size)
        yield LoggedEvent(index, record.decode(), tuple(base64.b64encode(node).decode() for node in proof))
