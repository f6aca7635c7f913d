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
        verified_at: when an operator confirmed who it is; None until then.
        verification_note: what the operator looked at; providers may read it.
        offboarded_at: when it left the room; None while it is there.
    """

    id: str
    name: str
    kind: OrganisationKind
    affiliate_group: str | None
    created_at: datetime
    sector: str | None = None
    verified_at: datetime | None = None
    verification_note: str | None = None
    offboarded_at: datetime | None = None


class AgencyAction(StrEnum):
    """What an advertiser may keep an agency from doing in its name."""

    UPLOAD = "upload"
    REQUEST = "request"
    ASK = "ask"


@dataclass(frozen=True)
class MandateLimits:
    """What an advertiser lets an agency do in its name; everything, unless it says otherwise.

    Attributes:
        purposes: the only ones that the agency may act for; None for every purpose.
        actions: upload bases, request entitlements, ask questions.
        cap_minor: the most that the agency may spend in a calendar month, in minor units; None for no cap.
        cap_currency: of the cap, ISO 4217; None exactly when there is no cap.
    """

    purposes: tuple[str, ...] | None = None
    actions: frozenset[AgencyAction] = frozenset(AgencyAction)
    cap_minor: int | None = None
    cap_currency: str | None = None


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
        limits: what the agency may do.
    """

    id: str
    agency_id: str
    advertiser_id: str
    valid_from: datetime
    valid_until: datetime | None
    revoked_at: datetime | None
    limits: MandateLimits = MandateLimits()

    def in_force(self, at: datetime) -> bool:
        """Tell whether it counts at an instant."""
        ends = (self.valid_until, self.revoked_at)
        return self.valid_from <= at and all(end is None or end > at for end in ends)

    def covers_purpose(self, purpose: str) -> bool:
        """Tell whether the agency may act for a purpose."""
        return self.limits.purposes is None or purpose in self.limits.purposes

    def covers(self, action: AgencyAction) -> bool:
        """Tell whether the agency may do a thing."""
        return action in self.limits.actions


@dataclass(frozen=True)
class SigningKey:
    """A public key that may sign an organisation's upload packages.

    Attributes:
        id: `ek_...`; manifests name it.
        organisation_id: whose it is.
        public_key: 32 bytes of a raw Ed25519 public key.
        enrolled_at: since when it counts.
        revoked_at: the instant from which it no longer counts; None while it stands.
        user_id: in whose browser it was made; None for a key of a program.
        expires_at: when it ends by itself; None for never.
    """

    id: str
    organisation_id: str
    public_key: bytes
    enrolled_at: datetime
    revoked_at: datetime | None
    user_id: str | None = None
    expires_at: datetime | None = None
