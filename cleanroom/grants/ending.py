"""Ending a grant: what it has not spent returns to its accounts."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import update

from cleanroom.db.database import Transaction
from cleanroom.grants import ledger, repository
from cleanroom.grants.allocation import enclosing
from cleanroom.grants.models import GrantRow
from cleanroom.grants.types import Amount, Grant, GrantStatus


def end(tx: Transaction, grant_id: str, status: GrantStatus, now: datetime) -> Grant | None:
    """End a grant; None when it was ended before. Raises UnknownGrantError.

    Args:
        tx: the caller's transaction.
        grant_id: which.
        status: expired or revoked.
        now: the instant.
    """
    # Accounts are locked before the grant, in the order in which grants are given: no deadlock, and a
    # question that reserves at the same moment either comes first or finds the grant closed.
    grant = repository.load(tx, grant_id)
    ledger.lock_accounts(tx, grant.population_id, enclosing(grant), now)
    closed = tx.session.execute(
        update(GrantRow)
        .where(GrantRow.id == grant_id, GrantRow.status == GrantStatus.ACTIVE.value)
        .values(status=status.value)
        .returning(GrantRow.spent_micro, GrantRow.spent_delta_pico)
    ).one_or_none()
    if closed is None:
        return None
    spent = Amount(*closed)
    unspent = grant.allocated - spent
    for key in enclosing(grant):
        ledger.give_back(tx, grant.population_id, key, unspent)
    ledger.record(
        tx,
        "returned",
        population_id=grant.population_id,
        subject_id=grant_id,
        amount=unspent,
        now=now,
        grant_id=grant_id,
    )
    tx.audit(
        f"grants.grant_{status.value}",
        subject_id=grant_id,
        organisation_id=grant.advertiser_id,
        body={
            "returned_micro": unspent.rho_micro,
            "spent_micro": spent.rho_micro,
            "returned_delta_pico": unspent.delta_pico,
            "spent_delta_pico": spent.delta_pico,
        },
    )
    return replace(grant, status=status, spent_micro=spent.rho_micro, spent_delta_pico=spent.delta_pico)
