"""Mandates: an advertiser lets an agency act for it, within limits, until it takes that back."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from cleanroom.accounts.errors import MandateError, OrganisationKindError, UnknownMandateError
from cleanroom.accounts.models import MandateRow, OrganisationRow
from cleanroom.accounts.rows import present_row
from cleanroom.accounts.types import AgencyAction, Mandate, MandateLimits, OrganisationKind
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Transaction
from cleanroom.ids import new_id

_NO_LIMITS = MandateLimits()
_CURRENCY = re.compile(r"^[A-Z]{3}$")
_MAX_CAP = 2**53 - 1


def mandate_stood(agency_id: Any, advertiser_id: Any, at: Any) -> ColumnElement[bool]:
    """Tell in SQL whether an agency had a mandate of an advertiser at an instant.

    What an advertiser asks under an agency's grant once the mandate has ended is not the agency's to know.

    Args:
        agency_id, advertiser_id, at: values, or columns of the statement that this becomes part of.
    """
    return (
        select(MandateRow.id)
        .where(
            MandateRow.agency_id == agency_id,
            MandateRow.advertiser_id == advertiser_id,
            MandateRow.valid_from <= at,
            *(or_(end.is_(None), end > at) for end in (MandateRow.valid_until, MandateRow.revoked_at)),
        )
        .exists()
    )


class Mandates:
    """Granting, revoking and looking up mandates; `Accounts` inherits it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def lock(self, tx: Transaction, organisation_id: str) -> None:
        """Let nobody else act for an organisation until this transaction ends, where that would race.

        What is read of the organisation afterwards is what stands, whatever was read of it before.
        """
        one = select(OrganisationRow).where(OrganisationRow.id == organisation_id)
        # Not FOR UPDATE: rows that only refer to the organisation may still be written.
        held = one.with_for_update(key_share=True).execution_options(populate_existing=True)
        tx.session.execute(held).all()

    def grant_mandate(
        self,
        tx: Transaction,
        *,
        agency_id: str,
        advertiser_id: str,
        valid_from: datetime | None = None,
        valid_until: datetime | None = None,
        limits: MandateLimits = _NO_LIMITS,
    ) -> Mandate:
        """Let an agency act for an advertiser.

        Args:
            tx: the caller's transaction.
            agency_id: an organisation of kind agency.
            advertiser_id: an organisation of kind advertiser.
            valid_from: first instant; now when not given.
            valid_until: the instant it ends at, exclusive; open-ended when not given.
            limits: what the agency may do; everything when not given.

        Returns:
            The mandate.

        Raises:
            OrganisationKindError: the parties are not an agency and an advertiser.
            OrganisationOffboardedError: one of them has left the room.
            MandateError: it would end before it starts, its limits exclude each other, or another mandate of the
                two stands within its term: which one counts must never be a question.
        """
        _require_kind(tx, agency_id, OrganisationKind.AGENCY)
        _require_kind(tx, advertiser_id, OrganisationKind.ADVERTISER)
        now = self._clock.now()
        start = valid_from or now
        if valid_until is not None and valid_until <= start:
            raise MandateError("A mandate ends after it starts.", remedy="Choose a later valid_until.")
        _require_limits(limits)
        self.lock(tx, advertiser_id)
        overlapping = select(MandateRow.id).where(
            MandateRow.agency_id == agency_id,
            MandateRow.advertiser_id == advertiser_id,
            _open_until(MandateRow.valid_until, start),
            _open_until(MandateRow.revoked_at, start),
        )
        if valid_until is not None:
            overlapping = overlapping.where(MandateRow.valid_from < valid_until)
        if tx.session.scalars(overlapping.limit(1)).first() is not None:
            raise MandateError(
                "The agency has a mandate of this advertiser within that term.",
                remedy="Revoke it first: a new mandate takes its place, it does not add to it.",
            )
        row = MandateRow(
            id=new_id("man", now),
            agency_id=agency_id,
            advertiser_id=advertiser_id,
            valid_from=start,
            valid_until=valid_until,
            revoked_at=None,
            purposes=None if limits.purposes is None else sorted(set(limits.purposes)),
            may_upload=AgencyAction.UPLOAD in limits.actions,
            may_request=AgencyAction.REQUEST in limits.actions,
            may_ask=AgencyAction.ASK in limits.actions,
            cap_minor=limits.cap_minor,
            cap_currency=limits.cap_currency,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.audit(
            "accounts.mandate_granted",
            subject_id=row.id,
            organisation_id=advertiser_id,
            body={
                "agency_id": agency_id,
                "advertiser_id": advertiser_id,
                "valid_from": rfc3339(start),
                "valid_until": rfc3339(valid_until) if valid_until else None,
                "purposes": row.purposes,
                "actions": sorted(limits.actions),
                "cap_minor": limits.cap_minor,
                "cap_currency": limits.cap_currency,
            },
        )
        return _mandate(row)

    def revoke_mandate(
        self, tx: Transaction, mandate_id: str, *, advertiser_id: str | None = None
    ) -> Mandate:
        """End a mandate now; ending it twice changes nothing.

        Args:
            tx: the caller's transaction.
            mandate_id: which.
            advertiser_id: who must have granted it; anybody when not given.

        Raises:
            UnknownMandateError: there is none, or another advertiser granted it.
        """
        row = tx.session.get(MandateRow, mandate_id)
        if row is None or advertiser_id not in (None, row.advertiser_id):
            raise UnknownMandateError("There is no mandate with this id.", remedy="List the mandates.")
        if row.revoked_at is None:
            row.revoked_at = self._clock.now()
            tx.session.flush()
            tx.audit(
                "accounts.mandate_revoked",
                subject_id=row.id,
                organisation_id=row.advertiser_id,
                body={"agency_id": row.agency_id, "advertiser_id": row.advertiser_id},
            )
        return _mandate(row)

    def mandates(self, tx: Transaction, organisation_id: str | None = None) -> tuple[Mandate, ...]:
        """List the mandates of an organisation, given and held, or of all; oldest first, those that ended too."""
        rows = select(MandateRow).order_by(MandateRow.id)
        if organisation_id is not None:
            rows = rows.where(
                or_(MandateRow.agency_id == organisation_id, MandateRow.advertiser_id == organisation_id)
            )
        return tuple(_mandate(row) for row in tx.session.scalars(rows))

    def mandate(self, tx: Transaction, *, agency_id: str, advertiser_id: str, at: datetime) -> Mandate | None:
        """Return the mandate by which an agency may act for an advertiser at an instant; None when there is none.

        From a revocation on there is none. At most one stands at an instant; of older rooms, where several could,
        the newest counts.
        """
        found = (
            select(MandateRow)
            .where(
                MandateRow.agency_id == agency_id,
                MandateRow.advertiser_id == advertiser_id,
                MandateRow.valid_from <= at,
                _open_until(MandateRow.valid_until, at),
                _open_until(MandateRow.revoked_at, at),
            )
            .order_by(MandateRow.id.desc())
        )
        row = tx.session.scalars(found.limit(1)).first()
        return None if row is None else _mandate(row)

    def mandate_in_force(
        self,
        tx: Transaction,
        *,
        agency_id: str,
        advertiser_id: str,
        at: datetime,
        action: AgencyAction | None = None,
        purposes: tuple[str, ...] = (),
    ) -> bool:
        """Tell whether an agency may act for an advertiser at an instant, and do this for these purposes."""
        mandate = self.mandate(tx, agency_id=agency_id, advertiser_id=advertiser_id, at=at)
        return (
            mandate is not None
            and (action is None or mandate.covers(action))
            and all(mandate.covers_purpose(purpose) for purpose in purposes)
        )


def _open_until(column: InstrumentedAttribute[datetime | None], at: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column > at)


def _require_kind(tx: Transaction, organisation_id: str, kind: OrganisationKind) -> None:
    if present_row(tx, organisation_id).kind != kind:
        raise OrganisationKindError(
            f"The organisation is not of the kind {kind}.",
            remedy="A mandate joins an agency to an advertiser.",
        )


def _require_limits(limits: MandateLimits) -> None:
    if limits.purposes is not None and not all(limits.purposes or ("",)):
        raise MandateError(
            "A mandate names no purpose.",
            remedy="Name one or more, or leave them out to allow every purpose.",
        )
    if (limits.cap_minor is None) != (limits.cap_currency is None):
        raise MandateError("A cap has an amount and a currency.", remedy="Give both, or none.")
    if limits.cap_minor is not None and not 0 <= limits.cap_minor <= _MAX_CAP:
        raise MandateError("A cap is a whole number of minor units, not negative.", remedy="Give one.")
    if limits.cap_currency is not None and not _CURRENCY.match(limits.cap_currency):
        raise MandateError("A currency has three capital letters.", remedy="Use ISO 4217, such as RUB.")


def _mandate(row: MandateRow) -> Mandate:
    may = {
        AgencyAction.UPLOAD: row.may_upload,
        AgencyAction.REQUEST: row.may_request,
        AgencyAction.ASK: row.may_ask,
    }
    return Mandate(
        id=row.id,
        agency_id=row.agency_id,
        advertiser_id=row.advertiser_id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        revoked_at=row.revoked_at,
        limits=MandateLimits(
            purposes=None if row.purposes is None else tuple(row.purposes),
            actions=frozenset(action for action, allowed in may.items() if allowed),
            cap_minor=row.cap_minor,
            cap_currency=row.cap_currency,
        ),
    )
