"""Consents: purposes and texts that people are shown, with what changed in them; epochs, and how each took effect."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import CONSENTS_READ
from cleanroom.consent.errors import UnknownNoticeError
from cleanroom.datasets.shelf import shelf
from cleanroom.oversight.names import names_of
from cleanroom.subjects.propagation_types import Begun
from provider_portal.own import owned
from provider_portal.tables import PER_PAGE
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/compliance")
Reading = Annotated[Visit, Depends(needs(CONSENTS_READ, kinds=PROVIDERS))]
_MOST_DATASETS = 200
_NEWEST = 2**62
_LONGEST = 9


@router.get("/purposes")
def list_purposes(visit: Reading) -> Response:
    """Show for what data are processed, and which texts ask for consent to it."""
    register, organisation_id = visit.room.consent_register, visit.who.organisation_id
    with visit.room.db.reading() as tx:
        purposes = register.purposes(tx, organisation_id=organisation_id)
        notices = register.notices(tx, organisation_id=organisation_id)
    newest = {one.code: one.version for one in notices}
    return page(visit, "compliance/purposes.html", purposes=purposes, notices=notices[::-1], newest=newest)


@router.get("/notices/{code}/{version}")
def show_notice(visit: Reading, code: str, version: str) -> Response:
    """Show a version of a text, and what changed in it against the one before or another."""
    register, organisation_id = visit.room.consent_register, visit.who.organisation_id
    number, against = _number(version), _number(visit.asked("against"))
    if number is None:
        raise UnknownNoticeError("There is no such notice.", remedy="Look at the list.")
    with visit.room.db.reading() as tx:
        found = register.notice(tx, code, number, organisation_id=organisation_id)
        newest = register.notice(tx, code, organisation_id=organisation_id).version
        other = against if against is not None and 1 <= against <= newest else number - 1
        lines = register.difference(tx, code, other, number, organisation_id=organisation_id) if other else ()
    return page(
        visit,
        "compliance/notice.html",
        notice_version=found,
        other=other,
        others=[one for one in range(1, newest + 1) if one != number],
        # Names of the two versions stand above already.
        lines=[line for line in lines if not line.startswith(("---", "+++", "@@"))],
    )


@router.get("/epochs")
def list_epochs(visit: Reading) -> Response:
    """Show the consent epochs of a dataset, the newest first."""
    before, organisation_id = _number(visit.asked("before")), visit.who.organisation_id
    with visit.room.db.reading() as tx:
        datasets, _ = shelf(tx, organisation_id, limit=_MOST_DATASETS)
        wanted = visit.asked("dataset")
        dataset = next((one for one in datasets if one.id == wanted), datasets[0] if datasets else None)
        found: tuple[Begun, ...] = ()
        if dataset is not None:
            found = visit.room.propagations.epochs(
                tx,
                dataset.id,
                organisation_id=organisation_id,
                before=_NEWEST if before is None else before,
                limit=PER_PAGE + 1,
            )
    shown = found[:PER_PAGE]
    return page(
        visit,
        "compliance/epochs.html",
        datasets=datasets,
        dataset=dataset,
        found=shown,
        older=shown[-1].epoch if len(found) > PER_PAGE else None,
    )


@router.get("/epochs/{dataset_id}/{epoch}")
def show_epoch(visit: Reading, dataset_id: str, epoch: str) -> Response:
    """Show how an epoch took effect: from which answer on, and that none was given against it."""
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, dataset_id)
        found = visit.room.propagations.of_epoch(
            tx, dataset_id, _number(epoch) or 0, organisation_id=visit.who.organisation_id
        )
        names = names_of(tx, {one.organisation_id for one in found.told}, organisation_id=None)
    return page(visit, "compliance/epoch.html", dataset=dataset, found=found, names=names)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else None
