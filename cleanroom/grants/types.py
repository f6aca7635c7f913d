"""Grants, accounts and reservations as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies.request import GrantFacts


class GrantStatus(StrEnum):
    """Whether a grant can still be spent; its unspent budget has gone back in the last two."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class AccountKind(StrEnum):
    """Whose budget an account holds, within one population."""

    TOTAL = "total"
    ADVERTISER = "advertiser"
    AFFILIATES = "affiliates"
    AGENCY = "agency"
    PUBLIC = "public"


@dataclass(frozen=True)
class Grant:
    """Budget of one advertiser for one dataset.

    Attributes:
        id: `gr_...`.
        population_id: whose people it is about; the accounts hang on it.
        dataset_id: what it may be spent on.
        advertiser_id: for whom.
        agency_id: through whom, if anyone.
        affiliate_group: the advertiser's group when it was given.
        purposes: for what.
        size: S, M or L.
        rho_micro: allocated.
        spent_micro: reserved by questions; never given back.
        valid_from: first instant.
        expires_at: the instant it ends at, exclusive.
        status: active, expired or revoked.
    """

    id: str
    population_id: str
    dataset_id: str
    advertiser_id: str
    agency_id: str | None
    affiliate_group: str | None
    purposes: tuple[str, ...]
    size: str
    rho_micro: int
    spent_micro: int
    valid_from: datetime
    expires_at: datetime
    status: GrantStatus

    @property
    def left_micro(self) -> int:
        """What questions can still spend."""
        return self.rho_micro - self.spent_micro if self.status is GrantStatus.ACTIVE else 0

    def facts(self) -> GrantFacts:
        """Return what the policy engine needs to know."""
        return GrantFacts(
            purposes=self.purposes,
            valid_from=self.valid_from,
            expires_at=self.expires_at,
            left_micro=self.left_micro,
            active=self.status is GrantStatus.ACTIVE,
        )


@dataclass(frozen=True)
class Account:
    """One account of a population.

    Attributes:
        kind: whose it is.
        party: the organisation's id or the affiliates' group; empty for the total and the public account.
        allocated_micro: held by active grants or spent by ended ones; for the public account, spent.
    """

    kind: AccountKind
    party: str
    allocated_micro: int


@dataclass(frozen=True)
class Reservation:
    """Budget taken out of a grant for one analysis; it stays spent whatever becomes of the analysis.

    Attributes:
        analysis_id: `an_...`.
        grant_id: which paid.
        rho_micro: how much.
        left_before_micro: of the grant.
        left_after_micro: of the grant.
    """

    analysis_id: str
    grant_id: str
    rho_micro: int
    left_before_micro: int
    left_after_micro: int
