"""Grants, accounts and reservations as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies.model import PolicyDocument
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
class Amount:
    """How much of both budgets: rho, and the delta that questions about unknown keys cost besides.

    Attributes:
        rho_micro: a whole number of micro-rho.
        delta_pico: a whole number of 10^-12.
    """

    rho_micro: int
    delta_pico: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.rho_micro + other.rho_micro, self.delta_pico + other.delta_pico)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.rho_micro - other.rho_micro, self.delta_pico - other.delta_pico)

    def within(self, other: "Amount") -> bool:
        """Tell whether it is no more than another amount, of either budget that it takes anything of."""
        return self.rho_micro <= max(0, other.rho_micro) and self.delta_pico <= max(0, other.delta_pico)


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
        delta_pico: allocated, in 10^-12.
        spent_delta_pico: reserved by questions, likewise.
        valid_from: first instant.
        expires_at: the instant it ends at, exclusive.
        status: active, expired or revoked.
        licence: rules that its questions meet besides the owner's; None for none.
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
    delta_pico: int
    spent_delta_pico: int
    valid_from: datetime
    expires_at: datetime
    status: GrantStatus
    licence: PolicyDocument | None = None

    @property
    def left_micro(self) -> int:
        """What questions can still spend."""
        return self.rho_micro - self.spent_micro if self.status is GrantStatus.ACTIVE else 0

    @property
    def left_delta_pico(self) -> int:
        """What questions about unknown keys can still spend of delta."""
        return self.delta_pico - self.spent_delta_pico if self.status is GrantStatus.ACTIVE else 0

    @property
    def allocated(self) -> Amount:
        """What it was given."""
        return Amount(self.rho_micro, self.delta_pico)

    @property
    def spent(self) -> Amount:
        """What its questions have reserved."""
        return Amount(self.spent_micro, self.spent_delta_pico)

    def facts(self) -> GrantFacts:
        """Return what the policy engine needs to know."""
        return GrantFacts(
            purposes=self.purposes,
            valid_from=self.valid_from,
            expires_at=self.expires_at,
            left_micro=self.left_micro,
            left_delta_pico=self.left_delta_pico,
            active=self.status is GrantStatus.ACTIVE,
        )


@dataclass(frozen=True)
class Account:
    """One account of a population.

    Attributes:
        kind: whose it is.
        party: the organisation's id or the affiliates' group; empty for the total and the public account.
        allocated_micro: held by active grants or spent by ended ones; for the public account, spent.
        allocated_delta_pico: likewise, in 10^-12.
    """

    kind: AccountKind
    party: str
    allocated_micro: int
    allocated_delta_pico: int

    @property
    def allocated(self) -> Amount:
        """Both budgets."""
        return Amount(self.allocated_micro, self.allocated_delta_pico)


@dataclass(frozen=True)
class Impact:
    """What giving a grant would do to one of the accounts that enclose it.

    Attributes:
        kind: whose account it is.
        party: the organisation's id or the affiliates' group; empty for the total.
        cap: how far grants may take it.
        left: before the grant.
        left_after: after it; below 0 when the grant does not fit.
    """

    kind: AccountKind
    party: str
    cap: Amount
    left: Amount
    left_after: Amount


@dataclass(frozen=True)
class Reconciled:
    """What reconciling a restored room has charged.

    Attributes:
        receipts_entered: questions entered again from their receipts.
        grants_written_off: active grants whose rest counts as spent.
        written_off: these rests together.
        allocations_lost: grants and public releases that the database does not know, charged as a whole.
        allocations_unchargeable: those of populations that it does not know either: there is no account to charge.
    """

    receipts_entered: int
    grants_written_off: int
    written_off: Amount
    allocations_lost: int
    allocations_unchargeable: int


@dataclass(frozen=True)
class Reservation:
    """Budget taken out of a grant for one analysis; it stays spent whatever becomes of the analysis.

    Attributes:
        analysis_id: `an_...`.
        grant_id: which paid.
        rho_micro: how much.
        left_before_micro: of the grant.
        left_after_micro: of the grant.
        delta_pico: how much delta.
        left_before_delta_pico: of the grant.
        left_after_delta_pico: of the grant.
    """

    analysis_id: str
    grant_id: str
    rho_micro: int
    left_before_micro: int
    left_after_micro: int
    delta_pico: int = 0
    left_before_delta_pico: int = 0
    left_after_delta_pico: int = 0
