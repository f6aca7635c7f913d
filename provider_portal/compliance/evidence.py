"""Evidence to carry away: bundles of events with proofs that verify without the room; a worker makes them."""

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from cleanroom.access.scopes import OPERATE
from cleanroom.datasets.shelf import shelf
from cleanroom.errors import CleanroomError
from cleanroom.evidence.types import BundleState, Wanted
from cleanroom.foureyes.evidence import EVERYBODY, EVIDENCE_EXPORT, ask_alone
from cleanroom.oversight.names import names_of
from provider_portal.compliance.looking import Looking, day, sees_all, whose
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE
from provider_portal.ui import go, page
from provider_portal.visits import Visit

router = APIRouter(prefix="/compliance/evidence")
_MOST_DATASETS = 200
_FIELDS = ("organisation", "dataset", "since", "until", "reason")
_NOTICES = {"asked": N_("The bundle is being made. It appears here when it is ready.")}


@router.get("")
def list_bundles(visit: Looking) -> Response:
    """Show the bundles that were asked for, and the form for another one."""
    return _page(visit, notice=_NOTICES.get(visit.asked("done")))


@router.post("")
def ask(visit: Looking) -> Response:
    """Ask for a bundle: of one's own events at once, of others' by a second person."""
    who, room = visit.who, visit.room
    owner = visit.typed("organisation") or who.organisation_id
    try:
        wanted = Wanted(
            organisation_id=None if owner == EVERYBODY else owner,
            dataset_id=visit.typed("dataset") or None,
            since=day(visit, visit.typed("since")),
            until=day(visit, visit.typed("until"), after=True),
        )
        with room.db.transaction() as tx:
            if owner == who.organisation_id:
                ask_alone(
                    tx,
                    room.accounts,
                    room.bundles,
                    wanted,
                    organisation_id=who.organisation_id,
                    by=who.user_id,
                )
                return go(visit, "/compliance/evidence?done=asked")
            made = room.four_eyes.ask(
                tx,
                EVIDENCE_EXPORT,
                owner,
                reason=visit.typed("reason"),
                by=who.user_id,
                details={"wanted": wanted.as_data()},
            )
    except CleanroomError as error:
        if error.code == "datasets.not_found":
            raise
        return _page(visit, error=error_words(error), status=400)
    return go(visit, f"/compliance/two-people/{made.id}?done=asked")


@router.get("/{bundle_id}/bundle.zip")
def download(visit: Looking, bundle_id: str) -> Response:
    """Give the file of a bundle."""
    with visit.room.db.reading() as tx:
        path = visit.room.bundles.file(tx, bundle_id, organisation_id=visit.who.organisation_id)
    return FileResponse(path, media_type="application/zip", filename=f"evidence-{bundle_id}.zip")


def _page(
    visit: Visit, *, notice: str | None = None, error: str | None = None, status: int = 200
) -> Response:
    who, room = visit.who, visit.room
    with room.db.reading() as tx:
        found = room.bundles.list(
            tx,
            organisation_id=who.organisation_id,
            before=visit.asked("before") or None,
            limit=PER_PAGE + 1,
        )
        ids = {one for bundle in found for one in (bundle.asked_by, *bundle.wanted.as_data().values()) if one}
        names = names_of(tx, ids, organisation_id=whose(who))
        datasets = () if sees_all(who) else shelf(tx, who.organisation_id, limit=_MOST_DATASETS)[0]
        organisations = {}
        if who.may(OPERATE):
            organisations = {one.id: one.name for one in room.accounts.organisations(tx)}
    shown = found[:PER_PAGE]
    return page(
        visit,
        "compliance/evidence.html",
        status=status,
        found=shown,
        older=shown[-1].id if len(found) > PER_PAGE else None,
        waits=any(one.state is BundleState.QUEUED for one in shown),
        names=names,
        datasets=datasets,
        organisations=organisations,
        everybody=EVERYBODY,
        typed={name: visit.typed(name) for name in _FIELDS},
        verifier_key=room.audit.verifier_key,
        notice=notice,
        error=error,
    )
