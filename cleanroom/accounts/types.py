"""Organisations, mandates and enrolled keys as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class OrganisationKind(StrEnum):
    """What a legal party does in the room."""

    PROVIDER = "provider"
    ADVERTISER = "advertiser"
    AGENCY = "agency"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Organisation:
    """A legal party.

    Attributes:
        id: `org_...`.
        name: as shown to other parties.
        kind: provider, advertiser, agency or operator.
        affiliate_group: a name shared by organisations under one control, whose budgets count together.
        created_at: when it was registered.
        sector: what it trades in, one of `policies.sectors.SECTORS`; None until it is declared.
    """

    id: str
    name: str
    kind: OrganisationKind
    affiliate_group: str | None
    created_at: datetime
    sector: str | None = None


@dataclass(frozen=True)
class Mandate:
    """An agency's right to act for one advertiser, from one instant until before another.

    Attributes:
        id: `man_...`.
        agency_id: who acts.
        advertiser_id: for whom.
        valid_from: first instant.
        valid_until: the instant it ends at, exclusive; None for open-ended.
        revoked_at: the instant from which it no longer counts; None while it stands.
    """

    id: str
    agency_id: str
    advertiser_id: str
    valid_from: datetime
    valid_until: datetime | None
    revoked_at: datetime | None
