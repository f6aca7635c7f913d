"""Advertisers let agencies act for them, within limits, until they take that back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, AwareDatetime, Field

from advertiser_api.auth import requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown, in_range
from cleanroom.access.scopes import MANDATES_WRITE
from cleanroom.access.types import Principal
from cleanroom.accounts.errors import (
    OrganisationKindError,
    OrganisationOffboardedError,
    UnknownOrganisationError,
)
from cleanroom.accounts.types import AgencyAction, Mandate, MandateLimits
from cleanroom.db.database import Transaction

MAX_PURPOSES = 100
router = APIRouter(prefix="/v1/mandates", tags=["mandates"])
Granting = Annotated[Principal, Depends(requires(MANDATES_WRITE))]


class Cap(Given):
    """The most that the agency may spend in a calendar month."""

    minor: Annotated[int, Field(ge=0, le=2**53 - 1, examples=[12000000])]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["RUB"])]


class NewMandate(Given):
    """A right to act."""

    agency_id: Id
    valid_until: Annotated[AwareDatetime, AfterValidator(in_range)] | None = None
    purposes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]] | None,
        Field(description="the only ones it may act for; null for every one", max_length=MAX_PURPOSES),
    ] = None
    actions: Annotated[
        list[AgencyAction] | None, Field(description="what it may do; null for everything", max_length=3)
    ] = None
    cap: Cap | None = None


class MandateOut(Shown):
    """A right to act, as it stands."""

    id: Id
    agency_id: Id
    advertiser_id: Id
    valid_from: Instant
    valid_until: Instant | None
    revoked_at: Instant | None
    purposes: list[str] | None
    actions: list[AgencyAction]
    cap: Cap | None


@router.post("", summary="Grant a mandate", status_code=201, response_model=MandateOut)
def grant_mandate(room: OpenRoom, caller: Granting, once: OnlyOnce, body: NewMandate) -> Response:
    """Let an agency act for the caller's organisation."""
    limits = MandateLimits(
        purposes=None if body.purposes is None else tuple(body.purposes),
        actions=frozenset(AgencyAction if body.actions is None else body.actions),
        cap_minor=body.cap.minor if body.cap else None,
        cap_currency=body.cap.currency if body.cap else None,
    )

    def grant(tx: Transaction) -> MandateOut:
        try:
            mandate = room.accounts.grant_mandate(
                tx,
                agency_id=body.agency_id,
                advertiser_id=caller.organisation_id,
                valid_until=body.valid_until,
                limits=limits,
            )
        except (OrganisationKindError, OrganisationOffboardedError):
            # Whether it is another kind of party is nobody's business.
            raise UnknownOrganisationError(
                "There is no organisation with this id.", remedy="Register it first."
            ) from None
        return _mandate(mandate)

    return once(caller, grant)


@router.get("", summary="List mandates")
def list_mandates(
    room: OpenRoom, caller: Annotated[Principal, Depends(requires())], page: AskedPage
) -> Listed[MandateOut]:
    """List what the caller's organisation granted, or was granted."""
    with room.db.reading() as tx:
        known = room.accounts.mandates(tx, caller.organisation_id)
    rows = [mandate for mandate in known if mandate.id > page.after][: page.fetch]
    return page.of(rows, _mandate, position=lambda mandate: mandate.id)


@router.delete("/{mandate_id}", summary="Revoke a mandate", status_code=204)
def revoke_mandate(room: OpenRoom, caller: Granting, mandate_id: IdInPath) -> None:
    """End a mandate that the caller's organisation granted; a second time changes nothing."""
    with room.db.transaction() as tx:
        room.accounts.revoke_mandate(tx, mandate_id, advertiser_id=caller.organisation_id)


def _mandate(mandate: Mandate) -> MandateOut:
    limits = mandate.limits
    return MandateOut(
        id=mandate.id,
        agency_id=mandate.agency_id,
        advertiser_id=mandate.advertiser_id,
        valid_from=mandate.valid_from,
        valid_until=mandate.valid_until,
        revoked_at=mandate.revoked_at,
        purposes=None if limits.purposes is None else list(limits.purposes),
        actions=sorted(limits.actions),
        cap=None
        if limits.cap_minor is None or limits.cap_currency is None
        else Cap(minor=limits.cap_minor, currency=limits.cap_currency),
    )
