"""Which accounts enclose a grant, and taking its budget out of all of them or out of none."""

from datetime import datetime

from cleanroom.db.database import Transaction
from cleanroom.grants import ledger
from cleanroom.grants.types import AccountKind, Grant
from policies.decision import Deny, Limits, Reason

SIZES = ("S", "M", "L")


def allocate(tx: Transaction, grant: Grant, limits: Limits, now: datetime) -> Deny | None:
    """Take a grant out of every enclosing account; or return which of them have too little."""
    keys = enclosing(grant)
    allocated = ledger.lock_accounts(tx, grant.population_id, keys, now)
    caps = {kind: limits.allocatable(cap) for kind, cap in _caps(limits).items()}
    left = {key: max(0, caps[key[0]] - allocated[key]) for key in keys}
    full = [key for key in keys if left[key] < grant.rho_micro]
    if full:
        fitting = [size for size in SIZES if limits.grant_rho_micro(size) <= min(left.values())]
        nearest = {"size": fitting[-1]} if fitting else None
        return Deny(tuple(_reason(kind, left[kind, party], grant, nearest) for kind, party in full))
    for key in keys:
        taken = ledger.take(tx, grant.population_id, key, grant.rho_micro, cap_micro=caps[key[0]])
        assert taken, "the account is locked and was checked"
    return None


def enclosing(grant: Grant) -> list[ledger.AccountKey]:
    """Return the accounts that a grant is allocated in."""
    keys = [(AccountKind.TOTAL, ""), (AccountKind.ADVERTISER, grant.advertiser_id)]
    if grant.affiliate_group is not None:
        keys.append((AccountKind.AFFILIATES, grant.affiliate_group))
    if grant.agency_id is not None:
        keys.append((AccountKind.AGENCY, grant.agency_id))
    return keys


def _reason(kind: AccountKind, left: int, grant: Grant, nearest: dict[str, str] | None) -> Reason:
    message = (
        f"The {kind.value} account has {left} micro-rho left; "
        f"a grant of size {grant.size} takes {grant.rho_micro}."
    )
    return Reason(f"budget_{kind.value}", message, left, grant.rho_micro, nearest)


def _caps(limits: Limits) -> dict[AccountKind, int]:
    return {
        AccountKind.TOTAL: limits.total_rho_micro,
        AccountKind.ADVERTISER: limits.cap_rho_micro,
        AccountKind.AFFILIATES: limits.cap_rho_micro,
        AccountKind.AGENCY: limits.agency_rho_micro,
    }
