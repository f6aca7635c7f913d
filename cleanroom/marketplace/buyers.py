"""What an operator has confirmed of a buyer, and what its mandates let an agency spend."""

from dataclasses import dataclass

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import AgencyAction
from cleanroom.clock import Clock
from cleanroom.db.database import Transaction
from cleanroom.money import Money


@dataclass(frozen=True)
class Buyers:
    """Reads the accounts of buyers as they are now."""

    accounts: Accounts
    clock: Clock

    def verified(self, tx: Transaction, organisation_id: str) -> bool:
        """Tell whether an operator has confirmed who an organisation is."""
        return self.accounts.organisation(tx, organisation_id).verified_at is not None

    def may_request(
        self, tx: Transaction, *, agency_id: str, advertiser_id: str, purposes: frozenset[str]
    ) -> bool:
        """Tell whether a mandate in force lets an agency ask for entitlements for these purposes."""
        return self.accounts.mandate_in_force(
            tx,
            agency_id=agency_id,
            advertiser_id=advertiser_id,
            at=self.clock.now(),
            action=AgencyAction.REQUEST,
            purposes=tuple(sorted(purposes)),
        )

    def monthly_cap(self, tx: Transaction, *, agency_id: str, advertiser_id: str) -> Money | None:
        """Return what a mandate lets an agency spend for an advertiser in a calendar month; None without a cap."""
        mandate = self.accounts.mandate(
            tx, agency_id=agency_id, advertiser_id=advertiser_id, at=self.clock.now()
        )
        if mandate is None or mandate.limits.cap_minor is None or mandate.limits.cap_currency is None:
            return None
        return Money(mandate.limits.cap_minor, mandate.limits.cap_currency)
