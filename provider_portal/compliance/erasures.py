"""Requests to erase: what became of each, which pass over files carried it out, and the certificate of the log.

Whom a request names stands on no page: the room knows it only as a commitment, and the asker keeps the salt.
"""

from fastapi import APIRouter, Response

from cleanroom.oversight.names import names_of
from cleanroom.rights import browsing
from cleanroom.rights.types import ErasureState
from provider_portal.compliance.looking import Looking, sees_all, whose
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import page

router = APIRouter(prefix="/compliance/erasures")
_MOST_TABLES = 200


@router.get("")
def list_erasures(visit: Looking) -> Response:
    """Show the requests, the newest first."""
    who = visit.who
    wanted = asked(visit, browsing.SORTS, default="asked", descending=True)
    state, dataset_id = visit.chosen("state", ErasureState), visit.asked("dataset").strip()
    with visit.room.db.reading() as tx:
        found, total = browsing.erasures(
            tx,
            whose(who),
            state=state,
            dataset_id=dataset_id or None,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
        tables = browsing.asked_about(tx, whose(who), limit=_MOST_TABLES)
        named = {one.erasure.dataset_id for one in found} | {one.erasure.organisation_id for one in found}
        names = names_of(tx, named | {dataset_id}, organisation_id=whose(who))
    if dataset_id and dataset_id not in tables:
        # The filter says what it filters by, whatever an address has asked for.
        tables[dataset_id] = names.get(dataset_id, dataset_id)
    return page(
        visit,
        "compliance/erasures.html",
        found=found,
        total=total,
        wanted=wanted,
        state=state,
        states=tuple(ErasureState),
        dataset_id=dataset_id,
        tables=tables,
        names=names,
        whole_room=sees_all(who),
    )


@router.get("/{erasure_id}")
def show_erasure(visit: Looking, erasure_id: str) -> Response:
    """Show what was asked, what was done about it, and what proves that."""
    with visit.room.db.reading() as tx:
        found = browsing.erasure(tx, erasure_id, organisation_id=whose(visit.who))
        one = found.erasure
        names = names_of(
            tx, {one.dataset_id, one.organisation_id, one.asked_by}, organisation_id=whose(visit.who)
        )
    return page(
        visit,
        "compliance/erasure.html",
        found=found,
        one=one,
        names=names,
        whole_room=sees_all(visit.who),
    )


@router.get("/{erasure_id}/certificate.json")
def download_certificate(visit: Looking, erasure_id: str) -> Response:
    """Give the log's record of an erasure with the proof of its place; it verifies without the room."""
    with visit.room.db.reading() as tx:
        found = browsing.erasure(tx, erasure_id, organisation_id=whose(visit.who))
        content = visit.room.rights.erasures.certificate(tx, found.erasure.dataset_id, erasure_id)
    return Response(
        content,
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="erasure-{erasure_id}.json"'},
    )
