"""The report on an incident as files: JSON with the part of the log that proves it, and PDF for people."""

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from cleanroom.incidents.report import MEDIA_TYPES, ReportFormat, make_report, write_report
from cleanroom.papers.text import Language
from provider_portal.compliance.incidents import Reading
from provider_portal.visits import Visit

router = APIRouter(prefix="/compliance/incidents")


@router.get("/{incident_id}/report.json")
def download_json(visit: Reading, incident_id: str) -> Response:
    """Give the report with the salts of its texts, and every event of the log about the incident with its proof."""
    return _file(visit, incident_id, ReportFormat.JSON)


@router.get("/{incident_id}/report.pdf")
def download_pdf(visit: Reading, incident_id: str) -> Response:
    """Give the report for people and authorities, in either language."""
    return _file(visit, incident_id, ReportFormat.PDF)


def _file(visit: Visit, incident_id: str, form: ReportFormat) -> Response:
    room, language = visit.room, visit.asked("lang", visit.writing.language)
    if language not in set(Language):
        raise HTTPException(404)
    with room.db.reading() as tx:
        report = make_report(
            tx,
            room.incidents,
            incident_id,
            organisation_id=visit.who.organisation_id,
            verifier_key=room.audit.verifier_key,
            now=room.clock.now(),
        )
    return Response(
        write_report(report, form, Language(language)),
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="incident-{incident_id}.{form}"'},
    )
