"""What a grant must look like before it is given, whether the policy lets it be given, and what the log says of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import AgencyAction, OrganisationKind
from cleanroom.clock import rfc3339
from cleanroom.db.database import Transaction
from cleanroom.grants.allocation import SIZES
from cleanroom.grants.errors import GrantFormError
from cleanroom.grants.types import Grant
from cleanroom.rules.population import policies_of_population
from cleanroom.rules.types import policy_sha256
from policies.decision import Deny, Gap, Limits
from policies.engine import grant_limits
from policies.model import PolicyDocument


def check_form(
    accounts: Accounts,
    tx: Transaction,
    *,
    parties: tuple[str, str | None],
    size: str,
    term: tuple[datetime, datetime],
    now: datetime,
) -> None:
    """Refuse an unknown size, a term that is none, and an advertiser or agency that is none.

    Args:
        accounts: knows the parties.
        tx: any transaction.
        parties: the advertiser, and the agency if there is one.
        size: S, M or L.
        term: the first instant, and the one after the last.
        now: the instant of granting.

    Raises:
        GrantFormError: one of these is wrong.
        OrganisationOffboardedError: a party has left the room.
    """
    start, end = term
    if size not in SIZES:
        raise GrantFormError("Unknown size of a grant.", remedy=f"Use one of: {', '.join(SIZES)}.")
    if end <= start or end <= now:
        raise GrantFormError("A grant ends after it starts, and in the future.", remedy="Choose a later end.")
    for party, kind in zip(parties, (OrganisationKind.ADVERTISER, OrganisationKind.AGENCY), strict=True):
        if party is not None and accounts.require_present(tx, party).kind is not kind:
            raise GrantFormError(
                f"The organisation is not of the kind {kind}.", remedy="Name the right party."
            )


def mandated(
    accounts: Accounts,
    tx: Transaction,
    *,
    parties: tuple[str, str | None],
    purposes: Iterable[str],
    at: datetime,
) -> bool:
    """Tell whether the agency, if there is one, may hold a grant for the advertiser and these purposes."""
    advertiser_id, agency_id = parties
    return agency_id is None or accounts.mandate_in_force(
        tx,
        agency_id=agency_id,
        advertiser_id=advertiser_id,
        at=at,
        action=AgencyAction.REQUEST,
        purposes=tuple(purposes),
    )


def limits_for(
    accounts: Accounts,
    tx: Transaction,
    population_id: str,
    parties: tuple[str, str | None],
    purposes: Sequence[str],
    documents: Sequence[PolicyDocument],
    now: datetime,
) -> Limits | Deny | Gap:
    """Return the limits within which the policy lets these parties have a grant, or why it does not.

    Args:
        accounts: knows the parties.
        tx: any transaction.
        population_id: whom the data is about; the budgets of its other datasets hold too.
        parties: the advertiser, and the agency if there is one.
        purposes: of the grant.
        documents: the policies in force for the dataset, with the grant's licence.
        now: the instant of granting.
    """
    advertiser_id, agency_id = parties
    return grant_limits(
        documents,
        purposes=purposes,
        advertiser_id=advertiser_id,
        agency_id=agency_id,
        at=now,
        sector=accounts.organisation(tx, advertiser_id).sector,
        beside=policies_of_population(tx, population_id),
    )


def terms(grant: Grant) -> dict[str, object]:
    """Lay a grant out for the log."""
    return {
        "dataset_id": grant.dataset_id,
        "population_id": grant.population_id,
        "agency_id": grant.agency_id,
        "affiliate_group": grant.affiliate_group,
        "purposes": list(grant.purposes),
        "size": grant.size,
        "rho_micro": grant.rho_micro,
        "delta_pico": grant.delta_pico,
        "valid_from": rfc3339(grant.valid_from),
        "expires_at": rfc3339(grant.expires_at),
        "licence_sha256": None if grant.licence is None else policy_sha256(grant.licence),
    }
