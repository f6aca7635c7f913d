"""Which accounts enclose a grant, and taking its budget out of all of them or out of none."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cleanroom.db.database import Transaction
from cleanroom.grants import ledger
from cleanroom.grants.types import Account, AccountKind, Amount, Grant, Impact
from cleanroom.grants.window import aged
from policies.decision import Deny, Limits, Reason

SIZES = ("S", "M", "L")
PUBLIC = (AccountKind.PUBLIC, "")


def allocate(tx: Transaction, grant: Grant, limits: Limits, now: datetime) -> Deny | None:
    """Take a grant out of every enclosing account; or return which of them have too little."""
    keys = enclosing(grant)
    allocated = ledger.lock_accounts(tx, grant.population_id, keys, now)
    caps = caps_of(tx, grant.population_id, keys, limits, now)
    left = {key: caps[key] - allocated[key] for key in keys}
    full = [key for key in keys if not grant.allocated.within(left[key])]
    if full:
        nearest = _nearest(limits, left)
        return Deny(tuple(_reason(kind, left[kind, party], grant, nearest) for kind, party in full))
    for key in keys:
        taken = ledger.take(tx, grant.population_id, key, grant.allocated, cap=caps[key])
        assert taken, "the account is locked and was checked"
    return None


def caps_of(
    tx: Transaction, population_id: str, keys: Sequence[ledger.AccountKey], limits: Limits, now: datetime
) -> dict[ledger.AccountKey, Amount]:
    """Return how far grants may take each account, by today's policy and what public releases have used."""
    public = _public(ledger.accounts_of(tx, population_id))
    public -= aged(tx, population_id, PUBLIC, limits.window_days, now)
    return {
        key: _left_by(public, limits, key[0]) + aged(tx, population_id, key, limits.window_days, now)
        for key in keys
    }


def fits_all(tx: Transaction, population_id: str, cost: Amount, limits: Limits, now: datetime) -> bool:
    """Tell whether a figure for everyone fits the public share, and beside what grants hold in every account.

    Args:
        tx: a transaction that holds the locks of the population's total and of its public account.
        population_id: whose people it counts.
        cost: of the figure.
        limits: of the policy in force.
        now: the end of the window, if there is one.
    """
    accounts = ledger.accounts_of(tx, population_id)
    public = cost.rho_micro + _public(accounts).rho_micro
    public -= aged(tx, population_id, PUBLIC, limits.window_days, now).rho_micro
    return public <= limits.public_rho_micro and all(
        account.allocated_micro + public
        <= cap_of(limits, account.kind).rho_micro
        + aged(tx, population_id, (account.kind, account.party), limits.window_days, now).rho_micro
        for account in accounts
        if account.kind is not AccountKind.PUBLIC
    )


def reachable(
    tx: Transaction, grant: Grant, limits: Limits, now: datetime
) -> tuple[tuple[AccountKind, Amount], ...]:
    """Return how far each account of a grant may be spent: its cap, or what it holds since a cap was larger."""
    accounts = ledger.accounts_of(tx, grant.population_id)
    allocated = {(account.kind, account.party): account.allocated for account in accounts}
    public = _public(accounts) - aged(tx, grant.population_id, PUBLIC, limits.window_days, now)
    found = []
    for key in enclosing(grant):
        held = allocated[key] + public - aged(tx, grant.population_id, key, limits.window_days, now)
        cap = cap_of(limits, key[0])
        furthest = Amount(max(cap.rho_micro, held.rho_micro), max(cap.delta_pico, held.delta_pico))
        found.append((key[0], furthest))
    return tuple(found)


def enclosing(grant: Grant) -> list[ledger.AccountKey]:
    """Return the accounts that a grant is allocated in."""
    return enclosing_of(grant.advertiser_id, grant.agency_id, grant.affiliate_group)


def enclosing_of(
    advertiser_id: str, agency_id: str | None, affiliate_group: str | None
) -> list[ledger.AccountKey]:
    """Return the accounts that a grant of these parties is allocated in."""
    keys = [(AccountKind.TOTAL, ""), (AccountKind.ADVERTISER, advertiser_id)]
    if affiliate_group is not None:
        keys.append((AccountKind.AFFILIATES, affiliate_group))
    if agency_id is not None:
        keys.append((AccountKind.AGENCY, agency_id))
    return keys


def impact_of(
    tx: Transaction,
    population_id: str,
    keys: Sequence[ledger.AccountKey],
    size: str,
    limits: Limits,
    now: datetime,
) -> tuple[Impact, ...]:
    """Return what a grant of one size would leave in its accounts, as they stand."""
    caps = caps_of(tx, population_id, keys, limits, now)
    accounts = ledger.accounts_of(tx, population_id)
    allocated = {(account.kind, account.party): account.allocated for account in accounts}
    taken = Amount(limits.grant_rho_micro(size), limits.grant_delta_pico(size))
    found = []
    for key in keys:
        left = caps[key] - allocated.get(key, Amount(0))
        found.append(Impact(*key, cap=caps[key], left=left, left_after=left - taken))
    return tuple(found)


def cap_of(limits: Limits, kind: AccountKind) -> Amount:
    """Return the whole cap of an account, the public share included."""
    if kind is AccountKind.TOTAL:
        return Amount(limits.total_rho_micro, limits.total_delta_pico)
    if kind is AccountKind.AGENCY:
        return Amount(limits.agency_rho_micro, limits.agency_delta_pico)
    return Amount(limits.cap_rho_micro, limits.cap_delta_pico)


def allocatable(limits: Limits, kind: AccountKind) -> Amount:
    """Return what grants together may take of an account."""
    cap = cap_of(limits, kind)
    return Amount(limits.allocatable(cap.rho_micro), limits.allocatable(cap.delta_pico))


def _public(accounts: Sequence[Account]) -> Amount:
    return sum((account.allocated for account in accounts if account.kind is AccountKind.PUBLIC), Amount(0))


def _left_by(public: Amount, limits: Limits, kind: AccountKind) -> Amount:
    """Return what grants may take of an account: of a share that was larger once, more than today's may be used up."""
    share, rest = allocatable(limits, kind), cap_of(limits, kind) - public
    return Amount(min(share.rho_micro, rest.rho_micro), min(share.delta_pico, rest.delta_pico))


def _nearest(limits: Limits, left: Mapping[ledger.AccountKey, Amount]) -> dict[str, str] | None:
    offers = {size: Amount(limits.grant_rho_micro(size), limits.grant_delta_pico(size)) for size in SIZES}
    fitting = [size for size, offer in offers.items() if all(map(offer.within, left.values()))]
    return {"size": fitting[-1]} if fitting else None


def _reason(kind: AccountKind, left: Amount, grant: Grant, nearest: dict[str, str] | None) -> Reason:
    if grant.rho_micro > left.rho_micro:
        unit, has, takes = "micro-rho", max(0, left.rho_micro), grant.rho_micro
    else:
        unit, has, takes = "pico-delta", max(0, left.delta_pico), grant.delta_pico
    message = f"The {kind.value} account has {has} {unit} left; a grant of size {grant.size} takes {takes}."
    return Reason(f"budget_{kind.value}", message, has, takes, nearest)
