"""Acts of destruction: what was destroyed and when, each as a file to sign and with its event in the log."""

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from cleanroom.oversight.names import names_of
from cleanroom.papers.text import Language
from cleanroom.rights import browsing
from cleanroom.rights.act_pdf import write_act
from cleanroom.rights.types import ActKind
from provider_portal.compliance.looking import Looking, sees_all, whose
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import page

router = APIRouter(prefix="/compliance/acts")


@router.get("")
def list_acts(visit: Looking) -> Response:
    """Show the acts, the newest first."""
    wanted, kind = asked(visit, (), default=""), visit.chosen("kind", ActKind)
    with visit.room.db.reading() as tx:
        found, total = browsing.acts(tx, whose(visit.who), kind=kind, offset=wanted.offset, limit=PER_PAGE)
        ids = {one.about for one in found} | {one.organisation_id for one in found}
        names = names_of(tx, ids, organisation_id=whose(visit.who))
    return page(
        visit,
        "compliance/acts.html",
        found=found,
        total=total,
        wanted=wanted,
        kind=kind,
        kinds=tuple(ActKind),
        names=names,
        languages_of_files=tuple(Language),
        whole_room=sees_all(visit.who),
    )


@router.get("/{act_id}/act.pdf")
def download_act(visit: Looking, act_id: str) -> Response:
    """Give an act as PDF, in either language; the same bytes every time."""
    language = visit.asked("lang", visit.writing.language)
    if language not in set(Language):
        raise HTTPException(404)
    with visit.room.db.reading() as tx:
        act = visit.room.rights.acts.act(tx, act_id, organisation_id=whose(visit.who))
    return Response(
        write_act(act, Language(language)),
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="act-{act.number}-{language}.pdf"'},
    )
