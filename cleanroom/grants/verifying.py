"""Comparing the budget in SQL with what the log says about it: grants, accounts, and the movements of the ledger."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from cleanroom.audit.models import AuditEvent
from cleanroom.audit.types import Problem
from cleanroom.db.database import Transaction
from cleanroom.grants.models import BudgetAccountRow, GrantRow, LedgerRow
from cleanroom.grants.repository import grant_of
from cleanroom.grants.types import AccountKind, Amount, Grant, GrantStatus

_KINDS = (
    "grants.grant_issued",
    "grants.budget_reserved",
    "grants.spend_reentered",
    "grants.written_off",
    "grants.grant_expired",
    "grants.grant_revoked",
    "grants.public_release_charged",
    "grants.lost_allocation_charged",
)
_NOTHING = Amount(0)
_ROWS_AT_ONCE = 1_000

_AccountKey = tuple[str, str, str]


@dataclass
class _Stated:
    """What the log says, summed up."""

    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: defaultdict[_AccountKey, Amount] = field(default_factory=lambda: defaultdict(lambda: _NOTHING))
    spent: defaultdict[str, Amount] = field(default_factory=lambda: defaultdict(lambda: _NOTHING))
    reserved: defaultdict[str, Amount] = field(default_factory=lambda: defaultdict(lambda: _NOTHING))
    ended: dict[str, str] = field(default_factory=dict)


def ledger_problems(tx: Transaction) -> Iterator[Problem]:
    """Compare every grant and account in SQL with the log's events; the log itself is verified elsewhere.

    Yields:
        A problem for each grant, account or sum of movements that is not what the log makes of it.
    """
    stated = _read_log(tx)
    rows = select(GrantRow).order_by(GrantRow.id).execution_options(yield_per=_ROWS_AT_ONCE)
    found = set()
    for row in tx.session.scalars(rows):
        found.add(row.id)
        yield from _grant_problems(grant_of(row), stated)
    for grant_id in sorted(stated.grants.keys() - found):
        yield Problem("grant", grant_id, "the log states this grant, and there is none")
    yield from _account_problems(tx, stated)
    yield from _movement_problems(tx, stated)


def _read_log(tx: Transaction) -> _Stated:
    stated = _Stated()
    events = select(AuditEvent.kind, AuditEvent.subject_id, AuditEvent.record).where(
        AuditEvent.kind.in_(_KINDS)
    )
    for kind, subject, record in tx.session.execute(
        events.order_by(AuditEvent.index).execution_options(yield_per=_ROWS_AT_ONCE)
    ):
        try:
            content = json.loads(record)
            _take(stated, kind.partition(".")[2], subject, content["organisation"], content["body"])
        except (ValueError, KeyError, TypeError, AttributeError):
            # The verification of the log names this record; here it counts as if it said nothing.
            continue
    return stated


def _take(stated: _Stated, kind: str, subject: str, organisation: str, body: Mapping[str, Any]) -> None:
    if kind == "grant_issued":
        stated.grants[subject] = {**body, "advertiser_id": organisation}
        _charge(stated, stated.grants[subject], _amount(body, "rho_micro", "delta_pico"))
    elif kind in ("grant_expired", "grant_revoked"):
        stated.ended[subject] = kind.removeprefix("grant_")
        unspent = _amount(body, "returned_micro", "returned_delta_pico")
        _charge(stated, stated.grants[subject], _NOTHING - unspent)
    elif kind in ("budget_reserved", "spend_reentered"):
        amount = _amount(body, "rho_micro", "delta_pico")
        stated.spent[body["grant_id"]] += amount
        stated.reserved[body["grant_id"]] += amount
    elif kind == "written_off":
        stated.spent[subject] += _amount(body, "rho_micro", "delta_pico")
    elif kind == "public_release_charged":
        stated.accounts[subject, AccountKind.PUBLIC.value, ""] += Amount(body["rho_micro"])
    else:
        for account, party in body["accounts"]:
            key = (subject, account, party)
            stated.accounts[key] += _amount(body, "rho_micro", "delta_pico")


def _charge(stated: _Stated, grant: Mapping[str, Any], amount: Amount) -> None:
    parties = {
        AccountKind.TOTAL: "",
        AccountKind.ADVERTISER: grant["advertiser_id"],
        AccountKind.AFFILIATES: grant["affiliate_group"],
        AccountKind.AGENCY: grant["agency_id"],
    }
    for kind, party in parties.items():
        if party is not None:
            stated.accounts[grant["population_id"], kind.value, party] += amount


def _amount(body: Mapping[str, Any], rho: str, delta: str) -> Amount:
    return Amount(body[rho], body[delta])


def _grant_problems(grant: Grant, stated: _Stated) -> Iterator[Problem]:
    known = stated.grants.get(grant.id)
    if known is None:
        yield Problem("grant", grant.id, "the log does not know this grant")
        return
    for name in ("population_id", "dataset_id", "advertiser_id", "agency_id", "affiliate_group"):
        if getattr(grant, name) != known[name]:
            yield Problem("grant", grant.id, f"its {name} is not the one that the log states")
    if sorted(grant.purposes) != sorted(known["purposes"]):
        yield Problem("grant", grant.id, "its purposes are not those that the log states")
    budgets = (
        ("was given", grant.allocated, _amount(known, "rho_micro", "delta_pico")),
        ("has spent", grant.spent, stated.spent[grant.id]),
    )
    for what, held, said in budgets:
        if held != said:
            yield Problem("grant", grant.id, f"it {what} {_text(held)} in SQL, and {_text(said)} in the log")
    status = stated.ended.get(grant.id, GrantStatus.ACTIVE.value)
    if grant.status.value != status:
        yield Problem("grant", grant.id, f"it is {grant.status.value} in SQL, and {status} in the log")


def _account_problems(tx: Transaction, stated: _Stated) -> Iterator[Problem]:
    missing = {key for key, amount in stated.accounts.items() if amount != _NOTHING}
    rows = select(BudgetAccountRow).order_by(BudgetAccountRow.id)
    for row in tx.session.scalars(rows.execution_options(yield_per=_ROWS_AT_ONCE)):
        key = (row.population_id, row.kind, row.party)
        missing.discard(key)
        held = Amount(row.allocated_micro, row.allocated_delta_pico)
        said = stated.accounts.get(key, _NOTHING)
        if held != said:
            reason = f"it holds {_text(held)} in SQL, and {_text(said)} in the log"
            yield Problem("account", "/".join(key), reason)
    for key in sorted(missing):
        yield Problem("account", "/".join(key), "the log states this account, and there is none")


def _movement_problems(tx: Transaction, stated: _Stated) -> Iterator[Problem]:
    sums = (
        select(LedgerRow.grant_id, func.sum(LedgerRow.rho_micro), func.sum(LedgerRow.delta_pico))
        .where(LedgerRow.kind == "reserved")
        .group_by(LedgerRow.grant_id)
    )
    held = {str(grant_id): Amount(int(rho), int(delta)) for grant_id, rho, delta in tx.session.execute(sums)}
    for grant_id in sorted(held.keys() | stated.reserved.keys()):
        found, said = held.get(grant_id, _NOTHING), stated.reserved.get(grant_id, _NOTHING)
        if found != said:
            reason = f"its movements come to {_text(found)} in SQL, and to {_text(said)} in the log"
            yield Problem("ledger", grant_id, reason)


def _text(amount: Amount) -> str:
    return f"{amount.rho_micro} micro-rho with {amount.delta_pico} pico-delta"
