"""One person, for the owner of the data: looked up by a hashed identifier that a form posts, and never remembered.

The identifier comes in a form's body and goes into no address; the answer is this one page, which no cache keeps. What
stays is the event in the log: who asked, why, and a salted commitment.
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import CONSENTS_READ, CONSENTS_WRITE, DATASETS_READ
from cleanroom.consent.optout_types import Named, OptOutReason
from cleanroom.datasets.shelf import shelf
from cleanroom.datasets.types import Dataset
from cleanroom.errors import CleanroomError
from cleanroom.subjects.exporting import export_document
from cleanroom.subjects.lookups import PERSON_NAME
from cleanroom.subjects.types import Lookup
from crypto.errors import CryptoError
from crypto.hash_profiles import hash_profile, parse_hashed
from provider_portal.error_words import error_words
from provider_portal.i18n import N_
from provider_portal.own import owned
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/compliance/lookup")
Reading = Annotated[Visit, Depends(needs(CONSENTS_READ, kinds=PROVIDERS))]
Exporting = Annotated[Visit, Depends(needs(CONSENTS_WRITE, kinds=PROVIDERS))]
_MOST_DATASETS = 200
_PERSON_PROFILE = "room"
"""A person_id is hashed to hex, as this profile writes digests."""
_UNREADABLE = N_(
    "This is no digest as the profile writes it. Hash the identifier here, or paste it once more."
)


@router.get("")
def show_form(visit: Reading) -> Response:
    """Show the form: which dataset, by which identifier, and why."""
    return _form(visit)


@router.post("")
def look_up(visit: Reading) -> Response:
    """Show what is held: consents, their changes, versions, and answers made from those."""
    try:
        lookup = _lookup(visit)
        found = visit.room.lookups.look_up(lookup, organisation_id=visit.who.organisation_id)
    except CryptoError:
        return _form(visit, error=_UNREADABLE, status=400)
    except CleanroomError as error:
        if error.code == "datasets.not_found":
            raise
        return _form(visit, error=error_words(error), status=400)
    with visit.room.db.reading() as tx:
        dataset = owned(visit, tx, lookup.dataset_id)
    return page(visit, "compliance/subject.html", dataset=dataset, found=found, lookup=lookup)


@router.post("/export.json")
def export(visit: Exporting) -> Response:
    """Give everything that is held about one person as a file, attributes too."""
    if not visit.who.may(DATASETS_READ):
        raise HTTPException(403)
    try:
        lookup = _lookup(visit)
        found = visit.room.lookups.export(lookup, organisation_id=visit.who.organisation_id)
    except CryptoError:
        return _form(visit, error=_UNREADABLE, status=400)
    except CleanroomError as error:
        if error.code == "datasets.not_found":
            raise
        return _form(visit, error=error_words(error), status=400)
    with visit.room.db.reading() as tx:
        schema = owned(visit, tx, lookup.dataset_id).schema
    return Response(
        json.dumps(export_document(found, schema), ensure_ascii=False, indent=1),
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="person.json"'},
    )


def _lookup(visit: Visit) -> Lookup:
    """Read the form.

    Raises:
        CryptoError: the digest is none.
        BadLookupError: what else is wrong is found by the service.
    """
    identifier, _, profile = visit.typed("key").partition("/")
    reason = visit.typed("reason")
    form = hash_profile(_PERSON_PROFILE if identifier == "person_id" else profile)
    return Lookup(
        dataset_id=visit.typed("dataset"),
        named=Named(identifier, profile, parse_hashed(form, visit.typed("digest").strip())),
        reason=OptOutReason(reason) if reason in set(OptOutReason) else OptOutReason.REQUEST,
        reference=visit.typed("reference").strip(),
        asked_by=visit.who.user_id,
    )


def _form(visit: Visit, *, error: str | None = None, status: int = 200) -> Response:
    who = visit.who
    with visit.room.db.reading() as tx:
        datasets, _ = shelf(tx, who.organisation_id, limit=_MOST_DATASETS)
        wanted = visit.typed("dataset") or visit.asked("dataset")
        chosen = next((one.id for one in datasets if one.id == wanted), datasets[0].id if datasets else None)
        dataset: Dataset | None = None if chosen is None else owned(visit, tx, chosen)
    # What was typed of a person is not written into a page again.
    kept: dict[str, Any] = {name: visit.typed(name) for name in ("key", "reason", "reference")}
    return page(
        visit,
        "compliance/lookup.html",
        status=status,
        datasets=datasets,
        dataset=dataset,
        keys=() if dataset is None else (*dataset.schema.key_names, PERSON_NAME),
        reasons=tuple(OptOutReason),
        kept=kept,
        exports=who.may(CONSENTS_WRITE) and who.may(DATASETS_READ),
        error=error,
    )
