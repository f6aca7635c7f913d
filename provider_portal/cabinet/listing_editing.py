"""Writing a listing: one form for the first wording and for the next ones, which keeps what was typed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import LISTINGS_WRITE
from cleanroom.datasets.shelf import shelf
from cleanroom.errors import CleanroomError
from cleanroom.grants.allocation import SIZES
from cleanroom.marketplace.errors import ListingFormError, PlanFormError
from cleanroom.marketplace.offerable import Offerable
from cleanroom.marketplace.plans import Counted
from cleanroom.marketplace.stall import Acquaintance, acquaintances
from policies.sectors import SECTORS
from provider_portal.cabinet.listing_form import FieldError, ListingForm, empty_form, form_of
from provider_portal.i18n import N_
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/listings")
Writing = Annotated[Visit, Depends(needs(LISTINGS_WRITE, kinds=PROVIDERS))]
_FEW = 200
_SAVE = "save"
_UNSAVED = N_("The listing is not saved yet; everything that you typed is still here.")


@router.get("/new")
def begin(visit: Writing) -> Response:
    """Ask which dataset is to be offered, or show the form for one."""
    dataset_id = visit.asked("dataset")
    if not dataset_id:
        with visit.room.db.reading() as tx:
            datasets, _ = shelf(tx, visit.who.organisation_id, limit=_FEW)
        return page(visit, "cabinet/listing_new.html", datasets=datasets)
    try:
        offer, buyers = _offer(visit, dataset_id)
    except ListingFormError:
        # The dataset has no rule, and so nothing that could be offered.
        with visit.room.db.reading() as tx:
            datasets, _ = shelf(tx, visit.who.organisation_id, limit=_FEW)
        error = N_("This dataset has no rule in force yet, so nothing of it can be asked. Set one first.")
        return page(visit, "cabinet/listing_new.html", datasets=datasets, error=error, status=409)
    return _form_page(visit, empty_form(offer, visit.writing.language), buyers)


@router.post("/new")
def create(visit: Writing) -> Response:
    """Save the first wording, as a draft."""
    offer, buyers = _offer(visit, visit.typed("dataset"))
    form = ListingForm(visit.form, visit.writing.language, offer)
    act = visit.typed("act") or _SAVE
    if act != _SAVE:
        return _form_page(visit, form.acted(act), buyers)
    who = visit.who
    try:
        content = form.content()
        with visit.room.db.transaction() as tx:
            made = visit.room.marketplace.listings.create(
                tx,
                organisation_id=who.organisation_id,
                dataset_id=offer.dataset_id,
                content=content,
                by=who.user_id,
            )
    except (FieldError, ListingFormError, PlanFormError) as error:
        return _form_page(visit, form, buyers, error=error)
    return go(visit, f"/listings/{made.id}?done=created")


@router.get("/{listing_id}/edit")
def edit(visit: Writing, listing_id: str) -> Response:
    """Show the form with the newest wording in it."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=organisation_id)
    offer, buyers = _offer(visit, listing.dataset_id)
    known = frozenset(one.id for one in buyers)
    form = form_of(listing.version.content, offer, visit.writing.language, known)
    return _form_page(visit, form, buyers, listing_id=listing_id)


@router.post("/{listing_id}/edit")
def revise(visit: Writing, listing_id: str) -> Response:
    """Save the next wording; buyers see the live one until the new one goes live."""
    room, who = visit.room, visit.who
    with room.db.reading() as tx:
        listing = room.marketplace.listings.listing(tx, listing_id, organisation_id=who.organisation_id)
    offer, buyers = _offer(visit, listing.dataset_id)
    form = ListingForm(visit.form, visit.writing.language, offer)
    act = visit.typed("act") or _SAVE
    if act != _SAVE:
        return _form_page(visit, form.acted(act), buyers, listing_id=listing_id)
    try:
        content = form.content()
        with room.db.transaction() as tx:
            room.marketplace.listings.revise(
                tx, listing_id, organisation_id=who.organisation_id, content=content, by=who.user_id
            )
    except (FieldError, ListingFormError, PlanFormError) as error:
        return _form_page(visit, form, buyers, listing_id=listing_id, error=error)
    return go(visit, f"/listings/{listing_id}?done=revised")


def _offer(visit: Visit, dataset_id: str) -> tuple[Offerable, tuple[Acquaintance, ...]]:
    organisation_id = visit.who.organisation_id
    with visit.room.db.reading() as tx:
        offer = visit.room.marketplace.listings.offerable(tx, dataset_id, organisation_id=organisation_id)
        return offer, acquaintances(tx, organisation_id)


def _form_page(
    visit: Visit,
    form: ListingForm,
    buyers: tuple[Acquaintance, ...],
    *,
    listing_id: str | None = None,
    error: CleanroomError | None = None,
) -> Response:
    return page(
        visit,
        "cabinet/listing_form.html",
        status=200 if error is None else 400,
        f=form,
        offer=form.offer,
        buyers=buyers,
        listing_id=listing_id,
        sizes=SIZES,
        sectors=SECTORS,
        counted=tuple(Counted),
        error=None if error is None else _told(visit, error),
    )


def _told(visit: Visit, error: CleanroomError) -> str:
    write = visit.writing.gettext
    if not isinstance(error, FieldError):
        # The service names the limit and the remedy.
        return f"{write(_UNSAVED)} {error}"
    row = f" {error.row}" if error.row else ""
    return f"{write(error.label)}{row}: {write(error.text)}"
