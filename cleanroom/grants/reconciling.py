"""After a backup was put back: what the database does not know any more is charged, and never given back."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from cleanroom.client.receipts import VerifiedReceipt
from cleanroom.datasets.errors import DatasetNotFoundError
from cleanroom.db.database import Transaction
from cleanroom.grants import ledger, repository
from cleanroom.grants.journal import Allocation
from cleanroom.grants.models import GrantRow
from cleanroom.grants.types import AccountKind, Amount, Grant, GrantStatus, Reconciled
from cleanroom.workspaces.models import PopulationRow


@dataclass(frozen=True)
class _Spend:
    """What a receipt proves of the budget."""

    analysis_id: str
    grant_id: str
    base_id: str | None
    amount: Amount
    left_before: Amount
    advertiser_id: str
    agency_id: str | None
    dataset_id: str
    at: datetime


def reconcile(
    tx: Transaction,
    *,
    allocations: Sequence[Allocation],
    receipts: Iterable[VerifiedReceipt],
    population_of: Callable[[str], str],
    now: datetime,
) -> Reconciled:
    """Charge what may have been spent since the backup was made.

    First the receipts: each one's question is entered with its own cost and instant. Then the grants: what is left of
    every active one counts as spent, as no set of receipts proves that there were no others. Last the budget that was
    given out since the backup: it is charged to its accounts as a whole; where even the list of it is lost, as much as
    the receipts prove that there was.

    Args:
        tx: the caller's transaction.
        allocations: everything ever given out, as remembered outside the database.
        receipts: verified with this room's key.
        population_of: whom a dataset is about; raises DatasetNotFoundError.
        now: the instant of reconciling.

    Returns:
        How much was charged, and for what.
    """
    spends = [spend for spend in map(_spend_of, receipts) if spend is not None]
    entered = [spend.analysis_id for spend in spends if _enter(tx, spend)]
    active = select(GrantRow.id).where(GrantRow.status == GrantStatus.ACTIVE.value).order_by(GrantRow.id)
    written_off = {grant_id: write_off(tx, grant_id, now) for grant_id in list(tx.session.scalars(active))}
    proven = _proven(spends, population_of)
    lost = [found.subject_id for found in (*allocations, *proven) if _charge_lost(tx, found, now)]
    return Reconciled(
        receipts_entered=len(entered),
        grants_written_off=sum(amount != Amount(0) for amount in written_off.values()),
        written_off=sum(written_off.values(), Amount(0)),
        allocations_lost=len(lost),
        allocations_unchargeable=sum(
            tx.session.get(PopulationRow, allocation.population_id) is None for allocation in allocations
        ),
    )


def write_off(tx: Transaction, grant_id: str, now: datetime) -> Amount:
    """Count what is left of a grant as spent; returns how much that was."""
    grant = repository.load(tx, grant_id)
    left = grant.allocated - grant.spent
    if left == Amount(0):
        return left
    _spend(tx, grant, left)
    ledger.record(
        tx,
        "written_off",
        population_id=grant.population_id,
        subject_id=grant_id,
        amount=left,
        now=now,
        grant_id=grant_id,
    )
    tx.audit(
        "grants.written_off",
        subject_id=grant_id,
        organisation_id=grant.advertiser_id,
        body={"rho_micro": left.rho_micro, "delta_pico": left.delta_pico},
    )
    return left


def _enter(tx: Transaction, spend: _Spend) -> bool:
    """Enter a question that the database has forgotten, at most to the end of its grant."""
    known = tx.session.get(GrantRow, spend.grant_id) is not None
    if not known or ledger.recorded(tx, "reserved", spend.analysis_id) is not None:
        return False
    grant = repository.load(tx, spend.grant_id)
    left = grant.allocated - grant.spent
    amount = Amount(
        min(spend.amount.rho_micro, left.rho_micro), min(spend.amount.delta_pico, left.delta_pico)
    )
    if grant.status is not GrantStatus.ACTIVE or amount == Amount(0):
        return False
    _spend(tx, grant, amount)
    for kind in ("reserved", "settled"):
        ledger.record(
            tx,
            kind,
            population_id=grant.population_id,
            subject_id=spend.analysis_id,
            amount=amount,
            now=spend.at,
            grant_id=grant.id,
            base_id=spend.base_id,
        )
    tx.audit(
        "grants.spend_reentered",
        subject_id=spend.analysis_id,
        organisation_id=grant.advertiser_id,
        body={"grant_id": grant.id, "rho_micro": amount.rho_micro, "delta_pico": amount.delta_pico},
    )
    return True


def _spend(tx: Transaction, grant: Grant, amount: Amount) -> None:
    spent = grant.spent + amount
    tx.session.execute(
        update(GrantRow)
        .where(GrantRow.id == grant.id)
        .values(spent_micro=spent.rho_micro, spent_delta_pico=spent.delta_pico)
    )


def _charge_lost(tx: Transaction, allocation: Allocation, now: datetime) -> bool:
    subject = allocation.subject_id
    if (
        tx.session.get(GrantRow, subject) is not None
        or any(ledger.recorded(tx, kind, subject) for kind in ("public", "lost"))
        or tx.session.get(PopulationRow, allocation.population_id) is None
    ):
        return False
    keys = [(AccountKind(kind), party) for kind, party in allocation.accounts]
    ledger.lock_accounts(tx, allocation.population_id, keys, now)
    for key in keys:
        ledger.take(tx, allocation.population_id, key, allocation.amount, cap=None)
    ledger.record(
        tx,
        "lost",
        population_id=allocation.population_id,
        subject_id=subject,
        amount=allocation.amount,
        now=now,
    )
    tx.audit(
        "grants.lost_allocation_charged",
        subject_id=allocation.population_id,
        body={
            "lost": subject,
            "accounts": [list(key) for key in allocation.accounts],
            "rho_micro": allocation.rho_micro,
            "delta_pico": allocation.delta_pico,
        },
    )
    return True


def _proven(spends: Iterable[_Spend], population_of: Callable[[str], str]) -> list[Allocation]:
    """Return for each grant the most that a receipt says it had left: so much at least was given out."""
    grants: dict[str, list[_Spend]] = {}
    for spend in spends:
        grants.setdefault(spend.grant_id, []).append(spend)
    found = []
    for grant_id, questions in grants.items():
        one = questions[0]
        accounts = [(AccountKind.TOTAL.value, ""), (AccountKind.ADVERTISER.value, one.advertiser_id)]
        if one.agency_id is not None:
            accounts.append((AccountKind.AGENCY.value, one.agency_id))
        with suppress(DatasetNotFoundError):
            found.append(
                Allocation(
                    subject_id=grant_id,
                    population_id=population_of(one.dataset_id),
                    accounts=tuple(accounts),
                    rho_micro=max(question.left_before.rho_micro for question in questions),
                    delta_pico=max(question.left_before.delta_pico for question in questions),
                )
            )
    return found


def _spend_of(receipt: VerifiedReceipt) -> _Spend | None:
    """Read a receipt's cost: what its grant had left before and after."""
    body: dict[str, Any] = receipt.record["body"]
    budget = body.get("budget", {})
    amount = Amount(_spent(budget, "micro"), _spent(budget, "delta_pico"))
    if amount == Amount(0):
        return None
    before = Amount(budget.get("left_before_micro", 0), budget.get("left_before_delta_pico", 0))
    return _Spend(
        analysis_id=str(receipt.record["subject"]),
        grant_id=str(body["grant_id"]),
        base_id=body.get("base_id"),
        amount=amount,
        left_before=before,
        advertiser_id=str(body["advertiser_id"]),
        agency_id=body.get("agency_id"),
        dataset_id=str(body["dataset_id"]),
        at=datetime.fromisoformat(receipt.record["at"]),
    )


def _spent(budget: dict[str, int], unit: str) -> int:
    return max(0, budget.get(f"left_before_{unit}", 0) - budget.get(f"left_after_{unit}", 0))
